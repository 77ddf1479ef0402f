"""The fake keeper: its tokens, the failures that a test scripts, and the requests that it saw."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Callable

from oauth_callback.keeper import Keeper
from oauth_callback.settings import KEY, URL, Settings
from oauth_callback.source import TokenSource
from oauth_callback.testing.connections import FakeConnection
from oauth_callback.testing.server import FakeAnswer, LoopbackServer, SeenRequest

_PREFIX = "urn:oauth-callback:problem:"
_STATUS = {
    "api-key-invalid": 401,
    "api-key-missing": 401,
    "authorization-required": 401,
    "client-refused": 502,
    "connection-moved": 410,
    "invalid-request": 400,
    "key-not-allowed": 403,
    "not-configured": 500,
    "not-found": 404,
    "record-unreadable": 500,
    "refused-without-reason": 502,
    "too-many-failures": 429,
    "unexpected": 500,
}


@dataclass
class _Failure:
    """A scripted answer. None closes the connection; `times` is None for all requests."""

    answer: FakeAnswer | None
    times: int | None


class FakeKeeper:
    """A context manager that serves `token-1`, `token-2` and so on, over HTTP on this machine.

    A token is replaced by the next one when it is about to expire, when it is refused, and by
    `replace`. `lifetime` is in seconds, None for tokens that do not expire. `clock` returns seconds
    and can be a test's. With `is_older`, the answers lack the members of later versions.
    """

    def __init__(
        self,
        *,
        lifetime: float | None = 1800.0,
        key: str = "a-key-for-tests-only",
        clock: Callable[[], float] = time.monotonic,
        is_older: bool = False,
    ) -> None:
        self.key = key
        self.requests: list[SeenRequest] = []
        """All requests that arrived, in order."""
        self._lifetime = lifetime
        self._clock = clock
        self._is_older = is_older
        self._connections: dict[str, FakeConnection] = {}
        self._failure: _Failure | None = None
        self._refuses_again = False
        self._lock = Lock()
        self._open = Event()
        self._open.set()
        self._server: LoopbackServer | None = None

    def __enter__(self) -> FakeKeeper:  # noqa: PYI034 - `Self` is newer than Python 3.9
        self._server = LoopbackServer(self._answer)
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    # How programs reach it

    @property
    def url(self) -> str:
        """The address."""
        if self._server is None:
            raise RuntimeError("Enter the context first: with FakeKeeper() as keeper")
        return self._server.url

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables that make `TokenSource()` and the command use it."""
        return {URL: self.url, KEY: self.key}

    def keeper(self) -> Keeper:
        """Return a client of it."""
        return Keeper(Settings(self.url, self.key))

    def source(self, connection: str | None = None, **options: Any) -> TokenSource:  # noqa: ANN401
        """Return a source of its tokens; the options are those of `TokenSource`."""
        return TokenSource(connection=connection, keeper=self.keeper(), **options)

    # Its behaviour

    def connection(self, name: str = "default") -> FakeConnection:
        """Return a connection, to change its tokens."""
        with self._lock:
            return self._connection(name)

    def replace(self, access_token: str | None = None, *, connection: str = "default") -> None:
        """Replace the current token by the next one, or by this one."""
        with self._lock:
            self._connection(connection).replace(access_token)

    def require_login(
        self, cause: str = "refresh-token-rejected", *, connection: str = "default"
    ) -> None:
        """Answer that a person has to log in, until `log_in`."""
        self.connection(connection).login_cause = cause

    def log_in(self, *, connection: str = "default") -> None:
        """Log in as a person does: the next token comes from a new login."""
        self.connection(connection).login_cause = None
        self.replace(connection=connection)

    def fail(
        self,
        problem: str = "provider-unavailable",
        *,
        times: int | None = None,
        retry_after: int | None = 1,
        detail: str = "A scripted failure.",
    ) -> None:
        """Answer with a problem: so many requests, or all until `recover`.

        `retry_after` is in seconds, None for an answer without it.
        """
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self._failure = _Failure(_problem(problem, detail, headers=headers), times)

    def answer(self, status: int, members: Mapping[str, object], *, times: int = 1) -> None:
        """Answer so many requests with any status and JSON object."""
        self._failure = _Failure(FakeAnswer(status, members), times)

    def go_away(self) -> None:
        """Close every connection without an answer, until `recover`."""
        self._failure = _Failure(None, None)

    def refuse_again(self) -> None:
        """Answer `refused` as for an API that refuses every token, until `recover`."""
        self._refuses_again = True

    def recover(self) -> None:
        """End the scripted failures."""
        self._failure = None
        self._refuses_again = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Answer no request within the context. They are answered at its end."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    # Requests

    def _answer(self, seen: SeenRequest) -> FakeAnswer | None:
        with self._lock:
            self.requests.append(seen)
        self._open.wait()
        with self._lock:
            failure = self._failure
            if failure is not None:
                self._count_down(failure)
                return failure.answer
            return self._route(seen)

    def _count_down(self, failure: _Failure) -> None:
        if failure.times is not None:
            failure.times -= 1
            if failure.times == 0:
                self._failure = None

    def _route(self, seen: SeenRequest) -> FakeAnswer:
        key = seen.headers.get("x-api-key")
        if key != self.key:
            return _problem("api-key-missing" if key is None else "api-key-invalid", "Wrong key.")
        endpoints = {("GET", "/api/token"): self._token, ("POST", "/api/refresh"): self._refresh}
        endpoint = endpoints.get((seen.method, seen.path))
        if endpoint is None:
            return _problem("not-found", f"The fake keeper has no {seen.method} {seen.path}.")
        connection = self._connection(seen.params.get("connection", "default"))
        if connection.login_cause is not None:
            return _login_required(connection.login_cause, self.url)
        return endpoint(seen, connection)

    def _token(self, seen: SeenRequest, connection: FakeConnection) -> FakeAnswer:
        allowed = {"connection", "min_ttl"} | (set() if self._is_older else {"refused"})
        if unknown := sorted(seen.params.keys() - allowed):
            return _problem("invalid-request", f"Unknown parameter {unknown[0]!r}.")
        min_ttl = float(seen.params.get("min_ttl", 60))
        refused = int(seen.params["refused"]) if "refused" in seen.params else None
        if refused is not None and self._refuses_again:
            detail = "The API refuses every token. Retry in 60 s."
            return _problem("token-refused-again", detail, headers={"retry-after": "60"})
        connection.serve(min_ttl=min_ttl, refused=refused)
        return FakeAnswer(200, connection.members(min_ttl=min_ttl, is_older=self._is_older))

    def _refresh(self, _seen: SeenRequest, connection: FakeConnection) -> FakeAnswer:
        connection.refresh()
        return FakeAnswer(200, {"state": "fresh", "generation": connection.generation})

    def _connection(self, name: str) -> FakeConnection:
        if name not in self._connections:
            prefix = "" if name == "default" else f"{name}-"
            self._connections[name] = FakeConnection(
                clock=self._clock, prefix=prefix, lifetime=self._lifetime
            )
        return self._connections[name]


def _problem(
    name: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, object] | None = None,
) -> FakeAnswer:
    status = _STATUS.get(name, 503)
    document = {"type": _PREFIX + name, "title": name, "status": status, "detail": detail}
    return FakeAnswer(status, {**document, **(members or {})}, headers or {})


def _login_required(cause: str, url: str) -> FakeAnswer:
    login = {"method": "POST", "url": f"{url}/api/login", "link": f"{url}/api/login?link=a-link"}
    return _problem(
        "authorization-required",
        f"The fake keeper needs a login ({cause}). To log in, open the link in `login`.",
        members={"cause": cause, "login": login},
    )

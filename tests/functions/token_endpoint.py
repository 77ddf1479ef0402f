"""A provider that answers as and when a test plans it."""

import json
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that arrived; `form` has the members of a body in JSON too."""

    line: str
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)
    authorization: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer; None instead of one is to hang up."""

    status: int = 200
    body: bytes = field(repr=False, default=b"")
    content_type: str = "application/json"
    retry_after: int | None = None

    @classmethod
    def json(cls, members: object, *, status: int = 200) -> "Answer":
        """Answer in JSON."""
        return cls(status=status, body=json.dumps(members).encode())

    @classmethod
    def echo(cls, *, status: int) -> "Answer":
        """Refuse, and repeat the request, as some providers do."""
        return cls(status=status, content_type="echo")

    @classmethod
    def echo_values(cls, *, status: int) -> "Answer":
        """Refuse, and repeat the values of the request, each as a word of its own."""
        return cls(status=status, content_type="echo values")


class TokenEndpoint:
    """A provider that issues tokens to everybody, unless other answers are planned."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[Seen] = []
        self.revocations: list[Seen] = []
        self.given: list[dict[str, object]] = []
        self.metadata: dict[str, object] | None = None
        """The issuer's metadata apart from its endpoints; None where it does not answer."""
        self.described = 0
        """How often the metadata was read."""
        self._answers: deque[Answer | None] = deque()
        self._revocation_answers: deque[Answer] = deque()
        self._open = Event()
        self._open.set()

    @property
    def environ(self) -> dict[str, str]:
        """The settings of a deployment that has this provider."""
        return {
            "PROVIDER": "custom",
            "AUTHORIZATION_ENDPOINT": f"{self.url}/authorize",
            "TOKEN_ENDPOINT": f"{self.url}/token",
            "REVOCATION_ENDPOINT": f"{self.url}/revoke",
        }

    @property
    def issuer_environ(self) -> dict[str, str]:
        """The settings of a deployment that names the issuer only."""
        return {
            "PROVIDER": "custom",
            "AUTHORIZATION_ENDPOINT": "",
            "TOKEN_ENDPOINT": "",
            "ISSUER": self.url,
        }

    def plan(self, *answers: Answer | None) -> None:
        """Give the next token requests these answers."""
        self._answers.extend(answers)

    def plan_revocations(self, *answers: Answer) -> None:
        """Give the next revocations these answers, and success to those that come after."""
        self._revocation_answers.extend(answers)

    def forget(self) -> None:
        """Forget what was seen, given and planned."""
        self.seen.clear()
        self.given.clear()
        self.metadata = None
        self.described = 0
        self._answers.clear()
        self.revocations.clear()
        self._revocation_answers.clear()

    @contextmanager
    def held(self) -> Iterator[Event]:
        """Keep all answers back until the event is set, or the context is left."""
        self._open.clear()
        try:
            yield self._open
        finally:
            self._open.set()

    def answer(self, seen: Seen) -> Answer | None:
        """Answer one request, once answers are not held back."""
        planned = self._answers.popleft() if self._answers else self._tokens()
        self.seen.append(seen)
        self._open.wait()
        if planned is not None and planned.content_type.startswith("echo"):
            whole = f"invalid: {seen.body} and {seen.authorization}?"
            text = whole if planned.content_type == "echo" else " and ".join(seen.form.values())
            error = {"error": "invalid_request", "error_description": text}
            return Answer.json(error, status=planned.status)
        return planned

    def describe(self) -> Answer:
        """Answer a request for the issuer's metadata."""
        self.described += 1
        if self.metadata is None:
            return Answer(status=503)
        endpoints = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        }
        return Answer.json(endpoints | self.metadata)

    def answer_revocation(self, seen: Seen) -> Answer:
        """Answer one revocation; RFC 7009 §2.2: with a body that says nothing."""
        self.revocations.append(seen)
        return self._revocation_answers.popleft() if self._revocation_answers else Answer()

    def _tokens(self) -> Answer:
        members: dict[str, object] = {
            "access_token": f"access-{secrets.token_urlsafe(24)}",
            "refresh_token": f"refresh-{secrets.token_urlsafe(24)}",
            "token_type": "bearer",
            "expires_in": 1800,
            "scope": "read",
        }
        self.given.append(members)
        return Answer.json(members)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A hundred callers may come at once.
    request_queue_size = 128
    endpoint: TokenEndpoint


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        seen = self._seen()
        is_revocation = self.path == "/revoke"
        endpoint = self._endpoint
        self._send(endpoint.answer_revocation(seen) if is_revocation else endpoint.answer(seen))

    def do_DELETE(self) -> None:
        self._send(self._endpoint.answer_revocation(self._seen()))

    def do_GET(self) -> None:
        self._send(self._endpoint.describe())

    @property
    def _endpoint(self) -> TokenEndpoint:
        server = self.server
        assert isinstance(server, _Server)
        return server.endpoint

    def _seen(self) -> Seen:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        is_json = self.headers["content-type"] == "application/json"
        return Seen(
            line=f"{self.command} {self.path}",
            headers={name.lower(): value for name, value in self.headers.items()},
            form=json.loads(body) if is_json else dict(parse_qsl(body, strict_parsing=bool(body))),
            body=body,
            authorization=self.headers["authorization"],
        )

    def _send(self, answer: Answer | None) -> None:
        if answer is not None:
            self.send_response(answer.status)
            self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(len(answer.body)))
            if answer.retry_after is not None:
                self.send_header("retry-after", str(answer.retry_after))
            self.end_headers()
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep pytest's output free of requests."""


@contextmanager
def token_endpoint() -> Iterator[TokenEndpoint]:
    """Serve a token endpoint on a loopback port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.endpoint = TokenEndpoint(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.endpoint
        finally:
            server.shutdown()
            thread.join()

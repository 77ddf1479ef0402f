"""A deployment under test: a host that runs the application, its provider, and its store."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx
from anyio.from_thread import BlockingPortal

from domain.authorization import PendingLogin, login_key
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    FailureState,
    Grant,
    Inactive,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.ledger import Ledger
from domain.tokens import Tokens
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.store import Store
from tests.functions.grants import DAY
from tests.functions.hosts import Host, Running
from tests.functions.stores import Row, rows_of
from tests.system.client_address import UNTOLD
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

PUBLIC_URL = "https://keeper.test"
REDIRECT_URI = f"{PUBLIC_URL}/api/callback"
API_KEY = "the-api-key-of-this-deployment"
STATIC_STATE = "a static state: 5b1f0c9e7d3a"
CRON_SECRET = "the-cron-secret-of-this-deployment"
HTML = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
JSON = ("accept", "application/json")
# Each method of each endpoint that asks for the API key.
WITH_API_KEY = [
    ("GET", "/api/token"),
    ("GET", "/api/verify"),
    ("GET", "/api/connections"),
    ("GET", "/api/metrics"),
    ("POST", "/api/adopt"),
    ("POST", "/api/login"),
    ("POST", "/api/refresh"),
    ("POST", "/api/revoke"),
]

Header: TypeAlias = tuple[str | bytes, str | bytes]
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to be; `target` is the path and query, as they stand on the wire.

    It comes from the address `client`.
    """

    method: str
    target: str | bytes
    headers: tuple[Header, ...] = ()
    content: bytes = b""
    client: str = UNTOLD

    def build(self, base_url: str) -> httpx.Request:
        """Make the request, with nothing in the target changed."""
        target = self.target if isinstance(self.target, bytes) else self.target.encode()
        return httpx.Request(
            self.method,
            base_url,
            headers=[
                (
                    name if isinstance(name, bytes) else name.encode(),
                    value if isinstance(value, bytes) else value.encode(),
                )
                for name, value in self.headers
            ],
            content=self.content or None,
            extensions={"target": target, "client": self.client},
        )


class Deployment:
    """The application as its callers see it, and its store."""

    def __init__(
        self,
        *,
        portal: BlockingPortal,
        host: Host,
        running: Running,
        environ: Mapping[str, str],
        provider: SimulatedDigiKeyPeer,
    ) -> None:
        self.host = host
        self.running = running
        self.environ = environ
        self.provider = provider
        self._portal = portal
        self._client = portal.call(self._make_client)
        self._store: Store | None = None

    # Calls.

    def together(self, calls: Iterable[Call]) -> list[httpx.Response]:
        """Make calls at the same time."""

        async def send() -> list[httpx.Response]:
            requests = [call.build(self.running.base_url) for call in calls]
            return await asyncio.gather(*map(self._client.send, requests))

        return self._portal.call(send)

    def call(
        self, method: str, target: str | bytes, *headers: Header, content: bytes = b""
    ) -> httpx.Response:
        """Make a call with these headers and no others that matter."""
        call = Call(method=method, target=target, headers=headers, content=content)
        return self.together([call])[0]

    def get(self, target: str | bytes, *headers: Header) -> httpx.Response:
        """GET with the API key."""
        return self.call("GET", target, self.key, *headers)

    def post(self, target: str | bytes, *headers: Header, content: bytes = b"") -> httpx.Response:
        """POST with the API key."""
        return self.call("POST", target, self.key, *headers, content=content)

    def abandon(self, call: Call, *, once: Callable[[], object]) -> None:
        """Make a call, and hang up before its answer, once a condition is true."""

        async def send() -> None:
            task = asyncio.create_task(self._client.send(call.build(self.running.base_url)))
            while not once():
                assert not task.done(), task.result().text
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})

        self._portal.call(send)

    @property
    def key(self) -> Header:
        """The header with the API key."""
        return ("x-api-key", self.environ["API_KEY"])

    def token(self, connection: str, **parameters: str) -> httpx.Response:
        """GET /api/token."""
        return self.get(at("/api/token", connection=connection, **parameters))

    def refresh(self, connection: str) -> httpx.Response:
        """POST /api/refresh."""
        return self.post(at("/api/refresh", connection=connection))

    def adopt(
        self,
        connection: str,
        body: bytes,
        content_type: str = "application/json",
        **parameters: str,
    ) -> httpx.Response:
        """POST /api/adopt."""
        target = at("/api/adopt", connection=connection, **parameters)
        return self.post(target, ("content-type", content_type), content=body)

    def revoke(self, connection: str) -> httpx.Response:
        """POST /api/revoke."""
        return self.post(at("/api/revoke", connection=connection))

    def sweep(self) -> httpx.Response:
        """GET /api/sweep with its secret."""
        secret = ("authorization", f"Bearer {self.environ['CRON_SECRET']}")
        return self.call("GET", "/api/sweep", secret)

    def verify(self, connection: str) -> httpx.Response:
        """GET /api/verify."""
        return self.get(at("/api/verify", connection=connection))

    def begin_login(self, connection: str) -> str:
        """POST /api/login, and return the authorization URL."""
        answer = self.post(at("/api/login", connection=connection))
        assert answer.status_code == httpx.codes.OK, answer.text
        return str(answer.json()["authorization_url"])

    def begin(self, connection: str = "default") -> str:
        """POST /api/login, and return the state."""
        return query_of(self.begin_login(connection))["state"]

    def link(self, connection: str) -> str:
        """The login link in the answer to a token request."""
        answer = self.token(connection)
        assert answer.status_code == httpx.codes.UNAUTHORIZED, answer.text
        return str(answer.json()["login"]["link"])

    def open_link(self, link: str, *headers: Header, method: str = "GET") -> httpx.Response:
        """GET a link, without a key."""
        parts = urlsplit(link)
        return self.call(method, f"{parts.path}?{parts.query}", *(headers or (HTML,)))

    def press(self, link: str, *headers: Header) -> httpx.Response:
        """Press the button on the link's page."""
        return self.together([self.pressing(link, *headers)])[0]

    def pressing(self, link: str, *headers: Header) -> Call:
        """The call that the button on the link's page makes."""
        form = ("content-type", "application/x-www-form-urlencoded")
        return Call(
            method="POST",
            target="/api/login",
            headers=(form, *(headers or (HTML,))),
            content=urlencode({"link": query_of(link)["link"]}).encode(),
        )

    def callback(self, *headers: Header, **parameters: str) -> httpx.Response:
        """GET /api/callback, as the browser that the provider sends back."""
        return self.call("GET", at("/api/callback", **parameters), *(headers or (HTML,)))

    def follow(self, callback_url: str, *headers: Header) -> httpx.Response:
        """Follow the provider's redirect to this deployment."""
        assert callback_url.startswith(REDIRECT_URI + "?"), callback_url
        parts = urlsplit(callback_url)
        return self.call("GET", f"{parts.path}?{parts.query}", *(headers or (HTML,)))

    def log_in(self, connection: str) -> None:
        """Log in at the simulated Digi-Key."""
        answer = self.follow(self.provider.allow(self.begin_login(connection)))
        assert answer.status_code == httpx.codes.OK, answer.text

    # The store.

    def rows(self) -> list[Row]:
        """Everything in the store, in its own form."""
        return rows_of(self.environ)

    def grant(self, connection: str) -> Grant:
        """The stored grant of the connection."""
        return self._with_store(lambda store: store.load(connection)).grant

    def tokens(self, connection: str) -> Tokens:
        """The stored tokens of the connection."""
        grant = self.grant(connection)
        assert not isinstance(grant, Inactive)
        return grant.tokens

    def put(self, connection: str, grant: Grant, ledger: Ledger | None = None) -> None:
        """Replace the stored grant; without a `ledger`, the stored one stays."""

        async def swap(store: Store) -> None:
            there = await store.load(connection)
            new_etag = f"seeded after {there.etag}"[:60] + str(id(grant))
            record = replace(
                there,
                grant=grant,
                etag=new_etag,
                ledger=there.ledger if ledger is None else ledger,
                alerts=None,
            )
            await store.swap(connection, record, expected_etag=there.etag)

        self._with_store(swap)

    def put_login(self, pending: PendingLogin) -> str:
        """Store a login that has begun, and return its state."""
        logins = Wiring(Settings.from_environ(self.environ)).client(None).logins
        state = self._portal.call(logins.state_of, secrets.token_urlsafe())
        self._with_store(lambda store: store.put_login(login_key(state), pending))
        return state

    def age(self, connection: str, by: timedelta) -> None:
        """Move every time in the stored grant back."""
        self.put(connection, aged(self.grant(connection), by))

    async def _make_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self.running.transport, timeout=120)

    def _with_store(self, use: Callable[[Store], Awaitable[_Result]]) -> _Result:
        async def work() -> _Result:
            if self._store is None:
                # The deployment's own kind, so that the host reads it.
                self._store = Wiring(Settings.from_environ(self.environ)).store
            return await use(self._store)

        return self._portal.call(work)

    def close(self) -> None:
        """Close the connections to the host and to the store."""
        self._portal.call(self._client.aclose)
        if self._store is not None:
            self._portal.call(self._store.close)


def at(path: str, **parameters: str) -> str:
    """A request target."""
    return f"{path}?{urlencode(parameters, quote_via=quote)}" if parameters else path


def query_of(url: str) -> dict[str, str]:
    """The parameters of a URL, each of which stands there once."""
    parameters = parse_qs(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert all(len(values) == 1 for values in parameters.values()), url
    return {name: values[0] for name, values in parameters.items()}


@contextmanager
def deployed(
    host: Host,
    portal: BlockingPortal,
    environ: Mapping[str, str],
    provider: SimulatedDigiKeyPeer,
) -> Iterator[Deployment]:
    """Start a deployment and stop it."""
    with host.run(portal, environ) as running:
        deployment = Deployment(
            portal=portal, host=host, running=running, environ=environ, provider=provider
        )
        try:
            yield deployment
        finally:
            deployment.close()


def aged(grant: Grant, by: timedelta) -> Grant:
    """The grant, with every instant in it that much earlier."""

    def earlier(instant: datetime | None) -> Any:
        return None if instant is None else instant - by

    def tokens(tokens: Tokens) -> Tokens:
        return replace(
            tokens,
            issued_at=earlier(tokens.issued_at),
            expires_at=earlier(tokens.expires_at),
            refresh_token_expires_at=earlier(tokens.refresh_token_expires_at),
            rejection=tokens.rejection
            and replace(tokens.rejection, at=earlier(tokens.rejection.at)),
        )

    def failure_state(failure_state: FailureState | None) -> FailureState | None:
        return failure_state and replace(
            failure_state,
            at=earlier(failure_state.at),
            retry_at=earlier(failure_state.retry_at),
            in_doubt_since=earlier(failure_state.in_doubt_since),
            since=earlier(failure_state.since),
        )

    match grant:
        case Unauthorized():
            return replace(grant, failure_state=failure_state(grant.failure_state))
        case Requesting():
            attempt = replace(grant.attempt, started_at=earlier(grant.attempt.started_at))
            return replace(grant, attempt=attempt, failure_state=failure_state(grant.failure_state))
        case Authorized():
            return Authorized(
                tokens=tokens(grant.tokens), failure_state=failure_state(grant.failure_state)
            )
        case Refreshing():
            attempt = replace(grant.attempt, started_at=earlier(grant.attempt.started_at))
            return Refreshing(
                tokens=tokens(grant.tokens),
                attempt=attempt,
                failure_state=failure_state(grant.failure_state),
            )
        case AuthorizationRequired():
            return replace(grant, tokens=tokens(grant.tokens), since=earlier(grant.since))
        case Adopting() | Moved() | Revoking() | Revoked():
            raise AssertionError("this grant does not age")


def idle(deployment: Deployment, connection: str) -> None:
    """Log in, 89 days ago."""
    deployment.log_in(connection)
    deployment.age(connection, 89 * DAY)


def spoil(deployment: Deployment, connection: str) -> None:
    """Replace the stored refresh token by one that was never issued."""
    grant = deployment.grant(connection)
    assert isinstance(grant, Authorized)
    unknown = replace(grant.tokens, refresh_token="a-token-that-nobody-issued")
    deployment.put(connection, replace(grant, tokens=unknown))


def sequence_of(deployment: Deployment, connection: str, times: int) -> Sequence[Call]:
    """The same token request, many times."""
    target = at("/api/token", connection=connection)
    return [Call(method="GET", target=target, headers=(deployment.key,))] * times

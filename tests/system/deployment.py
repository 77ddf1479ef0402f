"""The application in front of a real authorization server, and its connections."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import Message
from functools import cache
from http.client import parse_headers
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from adapters.dynamodb_table import DynamoDbTable
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing, derive_key
from adapters.store_dynamodb import DynamoDbStore
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Grant,
    Inactive,
    Refreshing,
)
from domain.tokens import Tokens
from functions.settings.settings import Settings
from functions.settings.store import DynamoDbSettings
from functions.wiring import Wiring
from ports.store import Record, Store, StoreUnavailableError
from tests.patience import PATIENCE
from tests.system.browser import log_in
from tests.system.dynamodb_peer import DynamoDbPeer
from tests.system.loopback import http
from tests.system.peers import Peer, Stats
from tests.system.waiting import wait_until
from tests.system.workers import APP, Workers, doors, public_url, running

API_KEY = "not-a-real-api-key-of-anything"


class StartPeer(Protocol):
    """One of the functions of `peers`, with all but the redirect URI filled in."""

    def __call__(self, *, redirect_uri: str) -> AbstractContextManager[Peer]:
        """Run the authorization server."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to the caller at this port. The status is 0 where there is none."""

    port: int
    status: int
    headers: Message = field(repr=False)
    members: Mapping[str, Any]

    @property
    def token(self) -> str:
        """The access token, if there is one."""
        return str(self.members.get("access_token", ""))

    @property
    def problem(self) -> str:
        """The last part of the problem's type, if there is one."""
        return str(self.members.get("type", "")).rpartition(":")[2]


# Callers that wait, or have their answers.
Asked: TypeAlias = Future[list[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Workers and the authorization server that they ask."""

    peer: Peer
    workers: Workers


@contextmanager
def deployed(
    start_peer: StartPeer,
    *,
    rotation: str = "always",
    count: int = 4,
    arguments: Sequence[str] = (),
    store: Mapping[str, str] | None = None,
    by_issuer: bool = False,
    app: str = APP,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Deployment]:
    """Run `count` workers, and the peer that knows them by the address of the first.

    Their store is a SQLite file, unless `store` has the variables of another one. With `by_issuer`
    they know the issuer, and discover the rest. `settings` are more variables.
    """
    with TemporaryDirectory() as name, doors(count) as opened:
        url = public_url(opened)
        with start_peer(redirect_uri=f"{url}/api/callback") as peer:
            peers = _issuer(peer) if by_issuer else _endpoints(peer)
            kept = dict(store or _sqlite(Path(name)))
            environment = _environment(peer, url, rotation) | peers | kept
            environment |= {**peer.client_variables, **settings}
            started = running(opened, environment, Path(name), arguments=arguments, app=app)
            with started as workers:
                yield Deployment(peer=peer, workers=workers)


def _environment(peer: Peer, url: str, rotation: str) -> dict[str, str]:
    return {
        "API_KEY": API_KEY,
        "CLIENT_ID": peer.client_id,
        "CLIENT_SECRET": peer.client_secret,
        "PROVIDER": "custom",
        "SCOPE": peer.scope,
        "AUTHORIZATION_PARAMS": urlencode(peer.authorization_params),
        "ROTATION": rotation,
        "PUBLIC_URL": url,
    }


def _endpoints(peer: Peer) -> dict[str, str]:
    return {
        "AUTHORIZATION_ENDPOINT": peer.authorization_endpoint,
        "TOKEN_ENDPOINT": peer.token_endpoint,
        "REVOCATION_ENDPOINT": peer.revocation_endpoint,
        "TOKEN_ENDPOINT_AUTH_METHOD": peer.auth_method,
        "PKCE": "S256",
    }


def _issuer(peer: Peer) -> dict[str, str]:
    return {"ISSUER": peer.issuer}


def _sqlite(directory: Path) -> dict[str, str]:
    return {"SQLITE_PATH": str(directory / "records.sqlite3")}


class Connection:
    """One connection of a deployment: over HTTP, and in the store."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        self.name = name
        self.peer = deployment.peer
        self.workers = deployment.workers

    # Over HTTP

    def log_in(self) -> None:
        """Log in as a person does. Count the provider's token requests from then on."""
        begun = http.post(
            f"{self.workers.urls[0]}{self._path('login')}",
            headers={"x-api-key": API_KEY},
        )
        assert begun.status_code == 200, begun.text
        url = begun.json()["authorization_url"]
        page = log_in(url, redirect_uri=f"{self.workers.urls[0]}/api/callback")
        assert page.status_code == 200, page.text
        self.peer.reset_stats()

    def ask(
        self,
        callers: int = 1,
        *,
        workers: Sequence[int] | None = None,
        min_ttl: int | None = None,
        refused: int | None = None,
    ) -> list[Answer]:
        """Let so many callers ask for a token at the same instant, spread over the workers."""
        path = self._path("token") + ("" if min_ttl is None else f"&min_ttl={min_ttl}")
        path += "" if refused is None else f"&refused={refused}"
        return self._ask(path, callers, workers)

    def ask_meanwhile(self, callers: int, *, workers: Sequence[int] | None = None) -> Asked:
        """Let so many callers ask as `ask` does, and return at once."""
        return _background().submit(lambda: self.ask(callers, workers=workers))

    def ask_in_background(self, *, worker: int, leave: bool = False) -> Asked:
        """Let one caller ask a worker. Return once the refresh is at the provider.

        With `leave`, the caller has hung up by then.
        """
        arrived = self.peer.stats().arrived["refresh_token"]
        url = f"{self.workers.urls[worker]}{self._path('token')}"
        hang_up = Event() if leave else None
        answers = _background().submit(lambda: asyncio.run(_at_once([url], hang_up)))
        wait_until(lambda: self.peer.stats().arrived["refresh_token"] > arrived)
        if hang_up is not None:
            hang_up.set()
            wait([answers])
        return answers

    def revoke(self, *, worker: int = 0) -> dict[str, Any]:
        """Revoke the connection. Return the answer."""
        answer = http.post(
            f"{self.workers.urls[worker]}{self._path('revoke')}",
            headers={"x-api-key": API_KEY},
        )
        assert answer.status_code == 200, answer.text
        members: dict[str, Any] = answer.json()
        return members

    def verify(self, *, worker: int = 0) -> Answer:
        """Ask for the state of the connection, which needs the store alone."""
        return self._ask(self._path("verify"), 1, [worker])[0]

    def verify_everywhere(self) -> list[Answer]:
        """Ask every worker at the same instant."""
        return self._ask(self._path("verify"), len(self.workers.urls), None)

    def is_accepted(self, access_token: str) -> bool:
        """Whether the provider lets the token in."""
        answer = http.get(
            self.peer.protected_endpoint, headers={"authorization": f"Bearer {access_token}"}
        )
        assert answer.status_code in {200, 401}, answer.text
        return answer.status_code == 200

    def refused(self, answers: Sequence[Answer]) -> int:
        """Count the callers whose token the provider refuses."""
        served = Counter(answer.token for answer in answers if answer.status == 200)
        return sum(served[token] for token in served if not self.is_accepted(token))

    # In the store

    def record(self) -> Record:
        """Return what is stored."""

        async def load() -> Record:
            async with opened_store(self.workers.environment) as store:
                return await store.load(self.name)

        return asyncio.run(load())

    @property
    def tokens(self) -> Tokens:
        """The tokens that are stored."""
        grant = self.record().grant
        assert not isinstance(grant, Inactive)
        return grant.tokens

    def wait_for_the_refresh(self) -> None:
        """Wait until no attempt is in flight, which callers with a valid token do not."""
        wait_until(lambda: not isinstance(self.record().grant, Refreshing))

    def let_time_pass(self, duration: timedelta) -> None:
        """Move the stored record into the past. The provider's clock stays."""
        self.rewrite(lambda grant: _moved(grant, -duration))

    def expire_access_token(self) -> None:
        """Let time pass until the access token has expired, for the application."""
        self.let_time_pass(self._life_left() + timedelta(seconds=1))

    def bring_access_token_near_its_end(self, *, left: timedelta = timedelta(minutes=2)) -> None:
        """Let time pass until so much of the access token is left, for the application."""
        self.let_time_pass(self._life_left() - left)

    def rewrite(self, change: Callable[[Grant], Grant]) -> None:
        """Swap what is stored as an instance of the application would."""

        async def swap() -> None:
            async with opened_store(self.workers.environment) as store:
                record = await store.load(self.name)
                changed = replace(record, grant=change(record.grant), etag=uuid4().hex)
                await store.swap(self.name, changed, expected_etag=record.etag)

        asyncio.run(swap())

    def _life_left(self) -> timedelta:
        expires_at = self.tokens.expires_at
        assert expires_at is not None
        return expires_at - datetime.now(UTC)

    # For both

    def describe(self) -> str:
        """Return the state of everything, for a failure. It has no secrets."""
        try:
            grant: object = self.record().grant
        except StoreUnavailableError as error:
            grant = error
        return f"--- provider: {self.peer.stats()}\n--- store: {grant}\n{self.workers.describe()}"

    def _ask(self, path: str, callers: int, workers: Sequence[int] | None) -> list[Answer]:
        chosen = range(len(self.workers.urls)) if workers is None else workers
        addresses = islice(cycle(self.workers.urls[index] for index in chosen), callers)
        return asyncio.run(_at_once([f"{address}{path}" for address in addresses]))

    def _path(self, what: str) -> str:
        return f"/api/{what}?connection={self.name}"


@contextmanager
def connected(deployment: Deployment, name: str = "default") -> Iterator[Connection]:
    """Name a connection. An exception in the block has the whole state as a note."""
    connection = Connection(deployment, name)
    try:
        yield connection
    except BaseException as error:
        error.add_note(connection.describe())
        raise


@contextmanager
def logged_in(deployment: Deployment, name: str = "default") -> Iterator[Connection]:
    """Log in to a connection. An exception in the block has the whole state as a note."""
    with connected(deployment, name) as connection:
        connection.log_in()
        yield connection


@contextmanager
def single_connection(
    start_peer: StartPeer,
    *,
    rotation: str = "always",
    count: int = 3,
    store: Mapping[str, str] | None = None,
) -> Iterator[Connection]:
    """Deploy, and log in to the only connection."""
    with (
        deployed(start_peer, rotation=rotation, count=count, store=store) as deployment,
        logged_in(deployment) as connection,
    ):
        yield connection


def refreshes(number: int, *, granted: int, refused: int = 0) -> Stats:
    """Return the provider's counts after this number of refreshes and nothing else."""
    arrived = Counter({"refresh_token": number} if number else {})
    return Stats(arrived=arrived, granted=granted, refused=refused, in_flight=0)


def counted(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    """Count the answers by status and problem."""
    return Counter((answer.status, answer.problem) for answer in answers)


def only_token(answers: Sequence[Answer]) -> str:
    """Return the one token that every caller was given."""
    assert counted(answers) == {(200, ""): len(answers)}
    tokens = {answer.token for answer in answers}
    assert len(tokens) == 1, f"{len(tokens)} different tokens"
    return tokens.pop()


def authorized(record: Record) -> Authorized:
    """Return the grant of a record in this state."""
    assert isinstance(record.grant, Authorized)
    return record.grant


def refreshing(record: Record) -> Refreshing:
    """Return the grant of a record in this state."""
    assert isinstance(record.grant, Refreshing)
    return record.grant


def authorization_required(record: Record) -> AuthorizationRequired:
    """Return the grant of a record in this state."""
    assert isinstance(record.grant, AuthorizationRequired)
    return record.grant


def is_login_needed(connection: Connection, answers: Sequence[Answer]) -> bool:
    """Whether a login is needed. All answers must be the same, and as the store has it."""
    given = {(answer.status, answer.problem) for answer in answers if answer.status}
    if given == {(401, "authorization-required")}:
        causes = {answer.members["cause"] for answer in answers if answer.status}
        assert causes == {"refresh-answer-lost"}
        authorization_required(connection.record())
        return True
    assert given == {(200, "")}
    served = {answer.token for answer in answers if answer.status}
    assert served == {authorized(connection.record()).tokens.access_token}
    return False


def _moved(value: Any, by: timedelta) -> Any:
    if isinstance(value, datetime):
        return value + by
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: _moved(getattr(value, part.name), by) for part in fields(value)}
        return replace(value, **parts)
    return value


@asynccontextmanager
async def opened_store(environment: Mapping[str, str]) -> AsyncIterator[Store]:
    """Open the store of the workers, on this event loop."""
    settings = Settings.from_environ(environment)
    if isinstance(settings.store, DynamoDbSettings):
        keys = KeyRing(
            [*settings.encryption_keys, derive_key(settings.clients.get(None).client_secret)]
        )
        table = _table(settings.store.table, environment["AWS_ENDPOINT_URL_DYNAMODB"])
        yield DynamoDbStore(table, SealedRecords(keys))
        return
    store = Wiring(settings).store
    try:
        yield store
    finally:
        await store.close()


@cache
def _table(name: str, url: str) -> DynamoDbTable:
    """Reach a table, on any event loop: to make a client takes longer than what it is asked."""
    return DynamoDbTable(name, **DynamoDbPeer.at(url).access)


@cache
def _background() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="caller")


async def _at_once(urls: Sequence[str], hang_up: Event | None = None) -> list[Answer]:
    """Connect for everybody first, so that the requests themselves go out together.

    With `hang_up`, all leave at that sign without having waited for an answer.
    """
    async with asyncio.timeout(PATIENCE.total_seconds()):
        calls = await asyncio.gather(*(_connect(url) for url in urls))
        for url, (_, writer) in zip(urls, calls, strict=True):
            writer.write(_request(url))
        ports = [writer.get_extra_info("sockname")[1] for _, writer in calls]
        if hang_up is not None:
            await asyncio.to_thread(hang_up.wait)
        messages = await asyncio.gather(
            *(_read_and_close(*call, read=hang_up is None) for call in calls)
        )
    return [_parsed(*answered) for answered in zip(ports, messages, strict=True)]


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    return await asyncio.open_connection(parts.hostname, parts.port)


def _request(url: str) -> bytes:
    parts = urlsplit(url)
    lines = (
        f"GET {parts.path}?{parts.query} HTTP/1.1",
        f"host: {parts.netloc}",
        f"x-api-key: {API_KEY}",
        "connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()


async def _read_and_close(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, read: bool
) -> bytes:
    # A killed worker cuts its callers off.
    with suppress(ConnectionError):
        message = await reader.read() if read else b""
        writer.close()
        await writer.wait_closed()
        return message
    return b""


def _parsed(port: int, message: bytes) -> Answer:
    head, _, body = message.partition(b"\r\n\r\n")
    if not body:
        return Answer(port=port, status=0, headers=Message(), members={})
    status, _, lines = head.partition(b"\r\n")
    return Answer(
        port=port,
        status=int(status.split()[1]),
        headers=parse_headers(BytesIO(lines + b"\r\n\r\n")),
        members=json.loads(body),
    )

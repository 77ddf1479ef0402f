"""The parts of a storm: connections with expired tokens, workers, a provider, and callers."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import Message
from http.client import parse_headers
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from domain.grant import Authorized, Inactive
from domain.tokens import Tokens
from ports.store import Record, Store
from tests.bench.storm_stores import StormStore, answers
from tests.records import record_of
from tests.system.deployment import opened_store
from tests.system.guarded_process import guarded_process
from tests.system.loopback import free_port, http
from tests.system.workers import Workers, doors, public_url, running

# In seconds: what a provider takes that is neither near nor busy.
PROVIDER_SECONDS = 0.2
API_KEY = {"x-api-key": "not-a-real-api-key-of-anything"}
WRONG_KEY = {"x-api-key": "not-a-real-key-of-anybody-at-all"}
# A caller without a response by then is counted as not answered.
_ANSWER_LIMIT = 240.0
_AT_ONCE = 8
# The connections that workers refresh before the storm.
_FIRST = "first-"

_Pair: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: its address, path and credentials."""

    url: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=lambda: API_KEY, repr=False)

    @classmethod
    def for_token(cls, url: str, connection: str) -> Self:
        """Ask for a connection's token."""
        return cls(url=url, path=f"/api/token?connection={connection}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The response to one caller, and its wait in seconds; status 0 means no response.

    `tries` counts its requests, retries included.
    """

    wait: float
    status: int
    problem: str = ""
    tries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StormStage:
    """All parts, running, each in a process of its own."""

    workers: Workers
    provider: str

    def urls(self) -> Iterator[str]:
        """Name the workers in turn, for ever."""
        return cycle(self.workers.urls)

    def provider_calls(self) -> Counter[str]:
        """How often each refresh token of the storm was sent to the provider."""
        counts: dict[str, int] = http.get(self.provider).raise_for_status().json()
        return Counter({sent: n for sent, n in counts.items() if not sent.startswith(_FIRST)})

    def peak_memory(self) -> int:
        """How many megabytes the largest worker has ever had."""
        return max(map(_peak_memory, self.workers.pids))


@contextmanager
def storm_stage(
    store: StormStore, folder: Path, *, workers: int, connections: Sequence[str]
) -> Iterator[StormStage]:
    """Run all parts over a store that holds these connections, with tokens that have ended.

    Each worker has refreshed another one, and imported what that takes.
    """
    port = free_port()
    provider = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "tests.bench.storm_provider", "--port", str(port)]
    command += ["--seconds", str(PROVIDER_SECONDS)]
    with (
        doors(workers) as opened,
        guarded_process(command, is_ready=lambda _pid: answers(provider)),
    ):
        settings = {
            "API_KEY": API_KEY["x-api-key"],
            "CLIENT_ID": "storm",
            "CLIENT_SECRET": "not-a-real-secret-of-any-client",
            "PROVIDER": "custom",
            "ROTATION": "always",
            "AUTHORIZATION_ENDPOINT": f"{provider}/authorize",
            "TOKEN_ENDPOINT": f"{provider}/token",
            "PUBLIC_URL": public_url(opened),
        }
        first = [f"{_FIRST}{number}" for number in range(workers)]
        asyncio.run(_plant({**settings, **store.environ}, [*first, *connections]))
        with running(opened, {**settings, **store.slow}, folder) as started:
            pairs = zip(started.urls, first, strict=True)
            asyncio.run(call_at_once([Call.for_token(url, name) for url, name in pairs]))
            store.be_slow()
            yield StormStage(workers=started, provider=provider)


def records(environment: Mapping[str, str], connections: Sequence[str]) -> list[Record]:
    """Return what is stored of each connection."""

    async def load() -> list[Record]:
        async with opened_store(environment) as store:
            return [await store.load(connection) for connection in connections]

    return asyncio.run(load())


def generation_of(record: Record) -> int:
    """Return how often the stored refresh token was replaced."""
    assert not isinstance(record.grant, Inactive)
    return record.grant.tokens.generation


async def call_at_once(calls: Sequence[Call], *, patience: float = 0) -> list[Answered]:
    """Connect all callers first, so that the requests go out together.

    A caller retries after the time in Retry-After, for `patience` seconds.
    """
    opened = await asyncio.gather(*(_connect(call) for call in calls))
    pairs = zip(calls, opened, strict=True)
    return await asyncio.gather(*(_call(call, pair, patience) for call, pair in pairs))


async def _call(call: Call, pair: _Pair, patience: float) -> Answered:
    begun, tries = time.perf_counter(), 1
    while True:
        status, headers, body = await _ask(call, *pair)
        wait = time.perf_counter() - begun
        pause = headers.get("retry-after")
        if pause is None or wait + float(pause) > patience:
            problem = str(json.loads(body or "{}").get("type", "")).rpartition(":")[2]
            return Answered(wait=wait, status=status, problem=problem, tries=tries)
        await asyncio.sleep(float(pause))
        pair = await _connect(call)
        tries += 1


async def _plant(environment: Mapping[str, str], connections: Sequence[str]) -> None:
    async with opened_store(environment) as store:
        turns = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(_put(store, connection, turns) for connection in connections))


async def _put(store: Store, connection: str, turns: asyncio.Semaphore) -> None:
    now = datetime.now(UTC)
    tokens = Tokens(
        generation=0,
        authorized_at=now - timedelta(days=1),
        issued_at=now - timedelta(days=1),
        access_token="has ended",
        token_type="Bearer",
        scope=None,
        expires_at=now - timedelta(seconds=1),
        refresh_token=f"{connection}.0",
        refresh_token_expires_at=None,
    )
    async with turns:
        record = record_of(Authorized(tokens=tokens), f"planted0.0.{connection}")
        await store.swap(connection, record, expected_etag=None)


async def _connect(call: Call) -> _Pair:
    parts = urlsplit(call.url)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def _ask(
    call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[int, Message, bytes]:
    headers = {"host": urlsplit(call.url).netloc, "connection": "close", **call.headers}
    lines = [f"{call.method} {call.path} HTTP/1.1", "content-length: 0"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    message = b""
    with suppress(TimeoutError, OSError):
        async with asyncio.timeout(_ANSWER_LIMIT):
            writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
            message = await reader.read()
    writer.close()
    head, _, body = message.partition(b"\r\n\r\n")
    if not body:
        return 0, Message(), b""
    status, _, rest = head.partition(b"\r\n")
    return int(status.split()[1]), parse_headers(BytesIO(rest + b"\r\n\r\n")), body


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024

"""The cost of a fresh token, relative to a bare GET of the same client to the same store.

They are measured by turns, so that both meet the same load. A round has equally many bare GETs,
requests to the application in this process, and requests over HTTP to a worker.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import httpx

from adapters import redis_records
from adapters.store_upstash import UpstashStore
from functions.application import Application
from functions.asgi import ROUTES
from functions.settings.settings import Settings
from tests.bench.figures import Row, count_row, time_row
from tests.bench.stage import API_KEY, CONNECTION, NO_CERTIFICATES, Stage

# Of the time in process.
AIM = 1.2
REQUESTS_A_ROUND = 20
_BARE_KEY = "bench:as-long-as-a-record"

Ask: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    """The same request in every round: its times in seconds, and its requests to the store."""

    rounds: Sequence[Sequence[float]]
    round_trips: int

    @property
    def number(self) -> int:
        return sum(map(len, self.rounds))


async def fresh_token_rows(stage: Stage, *, rounds: int) -> list[Row]:
    """Measure so many rounds, after one that warms up."""
    before = stage.provider_calls()
    async with _requests(stage) as asks:
        await _measure(stage, asks, rounds=1)
        bare, in_process, over_http = await _measure(stage, asks, rounds=rounds)
    calls = stage.provider_calls() - before
    return [
        *_counts(bare, in_process, over_http, calls),
        _time_row("fresh token in process: time", in_process, bare, aim=AIM),
        _time_row("fresh token over HTTP: time", over_http, bare),
    ]


def _counts(bare: _Series, in_process: _Series, over_http: _Series, calls: int) -> list[Row]:
    trips = "round trips of as many bare GETs"
    number = in_process.number + over_http.number
    return [
        count_row("bare GET: round trips", bare.round_trips, base="requests", number=bare.number),
        count_row(
            "fresh token in process: round trips",
            in_process.round_trips,
            base=trips,
            number=bare.round_trips,
        ),
        count_row(
            "fresh token over HTTP: round trips",
            over_http.round_trips,
            base=trips,
            number=bare.round_trips,
        ),
        count_row("fresh token: provider calls", calls, base="requests", number=number, expected=0),
    ]


def _time_row(what: str, series: _Series, bare: _Series, *, aim: float | None = None) -> Row:
    return time_row(what, series.rounds, base="bare GET", base_rounds=bare.rounds, aim=aim)


@asynccontextmanager
async def _requests(stage: Stage) -> AsyncIterator[list[Ask]]:
    """Prepare a bare GET, and a fresh token in process and over HTTP, on warm connections."""
    application = Application(ROUTES, partial(Settings.from_environ, stage.workers.environment))
    store = (await application._parts.get()).store
    assert isinstance(store, UpstashStore)
    url = f"{stage.workers.urls[0]}/api/token"
    async with httpx.AsyncClient(headers=API_KEY, verify=NO_CERTIFICATES, trust_env=False) as http:
        yield [
            await _bare_get(store),
            lambda: _token_in_process(application),
            lambda: _token_over_http(http, url),
        ]
    await store.close()


async def _bare_get(store: UpstashStore) -> Ask:
    """Prepare a GET of as much as the keeper reads."""
    sealed = await store._reader.execute("HGET", redis_records.grant_key(CONNECTION), "sealed")
    assert isinstance(sealed, str)
    await store._write("SET", _BARE_KEY, sealed)

    async def get() -> None:
        assert await store._reader.execute("GET", _BARE_KEY) == sealed

    return get


async def _token_in_process(application: Application) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [(name.encode(), value.encode()) for name, value in API_KEY.items()]
    scope = {"type": "http", "method": "GET", "path": "/api/token", "headers": headers}
    await application(scope, receive, send)
    assert sent[0]["status"] == httpx.codes.OK, sent


async def _token_over_http(http: httpx.AsyncClient, url: str) -> None:
    answer = await http.get(url)
    assert answer.status_code == httpx.codes.OK, answer.text


async def _measure(stage: Stage, asks: Sequence[Ask], *, rounds: int) -> list[_Series]:
    times: list[list[list[float]]] = [[] for _ in asks]
    trips = [0 for _ in asks]
    for _ in range(rounds):
        for place, ask in enumerate(asks):
            stage.front.reset_stats()
            times[place].append([await _timed(ask) for _ in range(REQUESTS_A_ROUND)])
            trips[place] += stage.front.stats().requests
    return [
        _Series(rounds=series, round_trips=number)
        for series, number in zip(times, trips, strict=True)
    ]


async def _timed(ask: Ask) -> float:
    begun = time.perf_counter()
    await ask()
    return time.perf_counter() - begun

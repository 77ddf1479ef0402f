"""The wait of the slowest of many callers at once, relative to one provider call.

The access token has expired, and the provider takes its time; callers are spread over all workers.
Before each stampede a provider call of the same length is made alone. `Server-Timing` shows how
often a worker looked at the store meanwhile.
"""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from urllib.parse import urlsplit
from uuid import uuid4

from domain.grant import Authorized
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.store import Store
from tests.bench.figures import Row, Spread, count_row, time_row
from tests.bench.lone_client import LoneClient
from tests.bench.stage import API_KEY, CONNECTION, Stage

# In seconds; as long as a provider may take that is neither near nor busy.
PROVIDER_DELAY = 0.3
# The most looks that a store gets from each worker in a second.
MOST_LOOKS = 12
_TRIPS_BEFORE = 2
AIM = 1.3
_ANSWER_LIMIT = 60.0
_STORE_TRIPS = re.compile(rb'\r\nserver-timing: [^\r]*store;[^,\r]*"round trips: (\d+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """The response to one caller, its wait in seconds, and the worker's looks that it waited for.

    The caller that starts a worker's looks counts all of them. Its first two round trips are none:
    it loads the grant, and tries to store the intent.
    """

    wait: float
    token: str
    looks: int


async def stampede_rows(stage: Stage, *, stampedes: int, callers: int) -> list[Row]:
    """Let so many callers ask at the same instant, so many times."""
    client = LoneClient(stage, delay=PROVIDER_DELAY)
    await client.log_in()
    stage.provider.reset_stats()
    store = Wiring(Settings.from_environ(stage.workers.environment)).store
    alone, worst, looks = [], [], []
    tokens: set[str] = set()
    for _ in range(stampedes):
        alone.append([await client.refresh()])
        await _expire_access_token(store)
        stage.provider.plan_faults(f"delay:{PROVIDER_DELAY}")
        answers = await _at_once(stage.workers.urls, callers)
        tokens.update(answer.token for answer in answers)
        worst.append([max(answer.wait for answer in answers)])
        looks.append(max(answer.looks / max(answer.wait, 1) for answer in answers))
    await store.close()
    calls = stage.provider_calls() - len(alone)
    what = f"stampede of {callers}: worst wait"
    return [
        count_row("stampede: provider calls", calls, base="stampedes", number=stampedes),
        count_row("stampede: tokens served", len(tokens), base="stampedes", number=stampedes),
        _looks_row(looks),
        time_row(what, worst, base="provider call", base_rounds=alone, aim=AIM),
    ]


def _looks_row(looks: Sequence[float]) -> Row:
    """Relate what the busiest worker of each stampede did to what it may do."""
    is_wrong = max(looks) > MOST_LOOKS
    ratio = f"{max(looks) / MOST_LOOKS:.2f} at most" + (", WRONG: has to be 1" if is_wrong else "")
    return Row(
        cells=(
            "stampede: looks at the store, per worker and second",
            Spread.of(looks).text(),
            f"allowed: {MOST_LOOKS}",
            ratio,
        ),
        wrong=is_wrong,
    )


async def _expire_access_token(store: Store) -> None:
    """Rewrite what is stored as an instance of the application would."""
    record = await store.load(CONNECTION)
    assert isinstance(record.grant, Authorized)
    tokens = replace(record.grant.tokens, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await store.swap(
        CONNECTION,
        replace(record, grant=replace(record.grant, tokens=tokens), etag=uuid4().hex),
        expected_etag=record.etag,
    )


async def _at_once(urls: Sequence[str], callers: int) -> list[_Answered]:
    """Connect for everybody first, so that the requests themselves go out together."""
    hosts = [urlsplit(url).netloc for url in islice(cycle(urls), callers)]
    async with asyncio.timeout(_ANSWER_LIMIT):
        calls = await asyncio.gather(*(asyncio.open_connection(*host.split(":")) for host in hosts))
        return await asyncio.gather(
            *(_ask(host, *call) for host, call in zip(hosts, calls, strict=True))
        )


async def _ask(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _Answered:
    headers = {"host": host, "connection": "close", **API_KEY}
    lines = ["GET /api/token HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    begun = time.perf_counter()
    writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    wait = time.perf_counter() - begun
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200 "), head + body
    trips = _STORE_TRIPS.search(head)
    assert trips is not None, head
    looks = max(int(trips[1]) - _TRIPS_BEFORE, 0)
    return _Answered(wait=wait, token=json.loads(body)["access_token"], looks=looks)

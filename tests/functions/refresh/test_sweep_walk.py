"""Sweeps at the same time: each page is taken once, and nothing that was left is skipped."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from adapters.entropy_system import SystemEntropy
from adapters.store_memory import MemoryStore
from domain.grant import Authorized, Unauthorized
from domain.ledger import DONE, INCOMPLETE, Entry, HistoryEvent
from domain.token_endpoint import Outcome
from functions.refresh.sweep import START_LIMIT
from functions.refresh.sweep_walk import PAGE_SIZE, STALE_AFTER, SWEEP, Page, SweepWalk
from ports.store import Due, Record, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import DAY, REFRESH_LIFE, RESPONSE, SECOND, TOKENS
from tests.functions.keeper_rig import EXPIRED, KeeperRig, SetClock
from tests.functions.refresh.test_sweep import MovingClock, report
from tests.records import record_of

pytestmark = pytest.mark.anyio

PAGES = 4
LAST = 7
NAMES = [f"{number:04}" for number in range(PAGES * PAGE_SIZE + LAST)]
PAGE = [NAMES[start : start + PAGE_SIZE] for start in range(0, len(NAMES), PAGE_SIZE)]
CLOCK = SetClock()
BROKEN = [
    pytest.param(StoreUnavailableError("planned"), id="away"),
    pytest.param(UnreadableRecordError("planned", etag="x"), id="unreadable"),
]


class TroubledStore(MemoryStore):
    """A store in which the record of sweeps is in trouble."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Exception | None = None
        self.loads = 0
        # The act of another sweep before the next page is read.
        self.meanwhile: Awaitable[Page] | None = None

    async def load(self, connection: str) -> Record:
        assert connection == SWEEP
        self.loads += 1
        await asyncio.sleep(0)
        if self.trouble is not None and connection == SWEEP:
            raise self.trouble
        return await super().load(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        await asyncio.sleep(0)
        if self.trouble is not None and connection == SWEEP:
            raise self.trouble
        await super().swap(connection, record, expected_etag=expected_etag)

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile
        return await super().due(after, before, limit=limit)


@pytest.fixture
async def store() -> TroubledStore:
    """Return a store in which all are due, of one date."""
    store = TroubledStore()
    tokens = replace(TOKENS, refresh_token_expires_at=CLOCK.at - SECOND)
    tokens = replace(tokens, issued_at=CLOCK.at - REFRESH_LIFE, authorized_at=CLOCK.at)
    for name in NAMES:
        record = record_of(Authorized(tokens=tokens), "one")
        await MemoryStore.swap(store, name, record, expected_etag=None)
    assert len(await store.due(None, CLOCK.at, limit=1000)) == len(NAMES)
    return store


def walk(store: TroubledStore, clock: SetClock = CLOCK, *, alone: bool = False) -> SweepWalk:
    return SweepWalk(store=store, clock=clock, entropy=None if alone else SystemEntropy())


async def pages_of(sweep: SweepWalk) -> AsyncGenerator[Page, None]:
    """Yield the pages that a sweep takes."""
    while (page := await sweep.take()) is not None:
        yield page


async def rest(pages: AsyncGenerator[Page, None]) -> list[list[str]]:
    """Take all pages that are left, as a slow sweep does."""
    found = []
    async with aclosing(pages):
        async for page in pages:
            assert page.is_due
            found.append([*page.names])
            await asyncio.sleep(0)
    return found


@pytest.mark.parametrize("alone", [True, False])
async def test_one_sweep_takes_all_pages_in_order(store: TroubledStore, *, alone: bool) -> None:
    assert await rest(pages_of(walk(store, alone=alone))) == PAGE
    # The next one, at once.
    assert await rest(pages_of(walk(store, alone=alone))) == PAGE
    assert store.loads == (0 if alone else 2)


async def test_sweeps_at_once_take_each_page_once(store: TroubledStore) -> None:
    found = await asyncio.gather(*(rest(pages_of(walk(store))) for _ in range(3)))
    assert sorted(page for pages in found for page in pages) == PAGE
    assert all(found)


@pytest.mark.parametrize(
    ("later", "first_page"),
    [
        pytest.param(STALE_AFTER - SECOND, 2, id="goes on"),
        pytest.param(STALE_AFTER, 0, id="starts again"),
        pytest.param(-STALE_AFTER - SECOND, 0, id="clock was ahead"),
    ],
)
async def test_a_sweep_that_was_killed_costs_its_page_until_the_next_walk(
    store: TroubledStore, later: timedelta, first_page: int
) -> None:
    clock = SetClock()
    killed = pages_of(walk(store, clock))
    assert [[*(await anext(killed)).names] for _ in range(2)] == PAGE[:2]
    clock.move(later)
    assert await rest(pages_of(walk(store, clock))) == PAGE[first_page:]
    # That walk is over.
    assert await rest(pages_of(walk(store, clock))) == PAGE


async def test_a_sweep_after_an_incomplete_one_starts_again_and_the_others_go_on(
    store: TroubledStore,
) -> None:
    incomplete, other = walk(store), walk(store)
    pages, others = pages_of(incomplete), pages_of(other)
    assert [*(await anext(pages)).names] == PAGE[0]
    assert [*(await anext(others)).names] == PAGE[1]
    incomplete.leave_some()
    await incomplete.close()
    later = SetClock()
    later.move(SECOND)
    retry = pages_of(walk(store, later))
    # The other one takes a page between the retry's load and its swap.
    store.meanwhile = anext(others)
    assert [*(await anext(retry)).names] == PAGE[0]
    # Then it helps the new walk.
    assert [*(await anext(others)).names] == PAGE[1]
    assert await rest(retry) == PAGE[2:]
    assert await rest(others) == []


async def test_a_sweep_that_left_some_leaves_them_to_the_next_one_at_its_end(
    store: TroubledStore,
) -> None:
    left = walk(store)
    async with aclosing(pages_of(left)) as pages:
        async for _ in pages:
            left.leave_some()
    await left.close()
    assert await rest(pages_of(walk(store))) == PAGE


@pytest.mark.parametrize("trouble", BROKEN)
@pytest.mark.parametrize("after", [0, 1, 2])
async def test_trouble_with_the_record_lets_a_sweep_walk_alone(
    store: TroubledStore, trouble: Exception, after: int
) -> None:
    one = walk(store)
    pages = pages_of(one)
    found = [[*(await anext(pages)).names] for _ in range(after)]
    store.trouble = trouble
    assert found + await rest(pages) == PAGE
    one.leave_some()
    await one.close()


@pytest.mark.parametrize(
    ("outcome", "quote"),
    [
        pytest.param(DONE, None, id="no position"),
        pytest.param(INCOMPLETE, "[1", id="no JSON"),
        pytest.param(INCOMPLETE, '[1e99, [0, "x"]]', id="no date"),
        pytest.param(INCOMPLETE, "[1, [0]]", id="no name"),
        pytest.param(INCOMPLETE, '{"a": 1}', id="another form"),
    ],
)
async def test_a_position_that_cannot_be_read_is_replaced(
    store: TroubledStore, outcome: str, quote: str | None
) -> None:
    entry = Entry(CLOCK.at, HistoryEvent.SWEPT, None, None, outcome, quote)
    await store.swap(SWEEP, record_of(Unauthorized(), "x", (entry,)), expected_etag=None)
    one = walk(store)
    assert await rest(pages_of(one)) == PAGE
    assert await rest(pages_of(walk(store))) == PAGE


# The sweeps themselves


async def due_rig(count: int) -> KeeperRig:
    rig = KeeperRig()
    for number in range(count):
        await rig.keep(EXPIRED, f"{number:04}", refresh_left=2 * DAY + number * SECOND)
    return rig


async def test_sweeps_at_once_refresh_each_connection_once_and_load_it_once() -> None:
    many = 6 * PAGE_SIZE
    rig = await due_rig(many)

    async def reply() -> Outcome:
        await asyncio.sleep(0)
        return RESPONSE

    rig.server.reply = reply
    sweeps = [rig.sweep(entropy=SystemEntropy()) for _ in range(3)]
    reports = await asyncio.gather(*(sweep.run() for sweep in sweeps))
    assert sum(each.refreshed for each in reports) == len(rig.server.requests) == many
    assert all(each.refreshed and each.is_complete for each in reports)
    # Each connection, and the position of each sweep.
    assert rig.store.loads == many + 3


async def test_what_a_sweep_leaves_for_lack_of_time_is_not_skipped_by_a_retry_at_once() -> None:
    many = 3 * PAGE_SIZE
    rig, clock = await due_rig(many), MovingClock()
    requests: list[datetime] = []

    async def reply() -> Outcome:
        requests.append(clock.now())
        if len(requests) == PAGE_SIZE // 2:
            clock.ahead = START_LIMIT
        return RESPONSE

    rig.server.reply = reply
    first = await rig.sweep(clock=clock, entropy=SystemEntropy()).run()
    assert not first.is_complete
    assert 0 < first.refreshed < PAGE_SIZE
    clock.ahead = timedelta(0)
    assert await rig.sweep(entropy=SystemEntropy()).run() == report(many - first.refreshed)

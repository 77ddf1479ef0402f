"""Waiting for attempts of others, in virtual time: what it finds, and how often it asks."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from adapters.store_memory import MemoryStore
from domain.grant import Authorized
from functions.refresh.poll_schedule import LONGEST_PAUSE, MAX_LOOKS
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from ports.store import (
    LARGEST_PAGE,
    Record,
    RecordPage,
    StoreUnavailableError,
    UnreadableRecordError,
)
from tests.domain.examples import EXPIRED, SECOND, TOKENS, begin
from tests.functions.keeper_rig import CountingStore, KeeperRig
from tests.records import record_of
from tests.simulation.loop import SimulationLoop

TRIP = 0.02
# Sums of floats.
ROUNDING = 1e-6
# An attempt that begins when the access token expires.
REFRESHING, _ = begin(Authorized(tokens=TOKENS), EXPIRED)


class TimedStore(CountingStore):
    """A store whose reads take their time. It knows when it was asked, and for what."""

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[tuple[float, Sequence[str]]] = []
        # The next reads raise these.
        self.faults: list[Exception] = []
        self.trip = TRIP
        self.unreadable: dict[str, UnreadableRecordError] = {}

    async def load(self, connection: str) -> Record:
        await self._travel([connection])
        if connection in self.unreadable:
            raise self.unreadable[connection]
        return await super().load(connection)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        assert len(connections) <= LARGEST_PAGE
        assert list(connections) == sorted(connections)
        await self._travel(connections)
        page = await super().load_records(connections)
        found = [(name, self.unreadable.get(name, record)) for name, record in page.records]
        return page._replace(records=tuple(found))

    async def _travel(self, connections: Sequence[str]) -> None:
        self.trips.append((asyncio.get_running_loop().time(), connections))
        await asyncio.sleep(self.trip)
        if self.faults:
            raise self.faults.pop()

    @property
    def instants(self) -> list[float]:
        return [at for at, _ in self.trips]


class PollerRig:
    """Records with an attempt of another instance, which a poller waits for."""

    def __init__(self) -> None:
        self.store = TimedStore()
        rig = KeeperRig()
        rig.store = self.store
        self.recorder: Recorder = rig.recorder_of(rig.instance())
        self.poller = Poller(self.store)

    async def put(self, connection: str, etag: str, over: str | None = None) -> Record:
        """Store an attempt as another instance does."""
        times = (0.3 * SECOND,) * 5
        record = replace(record_of(REFRESHING, etag), refresh_times=times)
        await MemoryStore.swap(self.store, connection, record, expected_etag=over)
        return record

    def wait(
        self, connection: str, record: Record, patience: timedelta, *, age: timedelta = 0 * SECOND
    ) -> asyncio.Task[Record]:
        """Wait for the end of an attempt that has this age."""
        now = EXPIRED + age
        return self.poller.start(connection, record, self.recorder, now=now, patience=patience)


def run(main: Coroutine[object, object, None]) -> None:
    loop = SimulationLoop(Random(1))  # type: ignore[abstract]  # noqa: S311 - the same each time
    loop.run(main)


def test_end_is_seen_where_it_is_due_and_by_few_looks() -> None:
    async def main() -> None:
        rig = PollerRig()
        before = await rig.put("c", "first")
        waiting = rig.wait("c", before, 20 * SECOND)
        assert rig.wait("c", before, 20 * SECOND) is waiting
        await asyncio.sleep(0.3)
        after = await rig.put("c", "second", over="first")
        assert await waiting == after
        assert rig.store.instants == pytest.approx([0.1425, 0.285])
        assert asyncio.get_running_loop().time() == pytest.approx(0.285 + TRIP)

    run(main())


def test_attempt_that_began_earlier_is_due_earlier() -> None:
    async def main() -> None:
        rig = PollerRig()
        before = await rig.put("c", "first")
        waiting = rig.wait("c", before, 20 * SECOND, age=0.2 * SECOND)
        await asyncio.sleep(0.09)
        after = await rig.put("c", "second", over="first")
        assert await waiting == after
        assert rig.store.instants == pytest.approx([0.085])

    run(main())


def test_slow_store_is_asked_less_and_nobody_waits_longer() -> None:
    async def main() -> None:
        rig = PollerRig()
        rig.store.trip = 1.5
        before = await rig.put("c", "first")
        assert await rig.wait("c", before, 5 * SECOND) == before
        assert len(rig.store.trips) < 5
        assert asyncio.get_running_loop().time() < 5 + 2 * rig.store.trip

    run(main())


def test_record_that_stays_is_returned_when_patience_ends() -> None:
    async def main() -> None:
        rig = PollerRig()
        before = await rig.put("c", "first")
        assert await rig.wait("c", before, 5 * SECOND) == before
        instants = rig.store.instants
        assert instants[-1] == pytest.approx(5)
        assert max(later - earlier for earlier, later in pairwise(instants)) < LONGEST_PAUSE + TRIP
        # A wait of nearly nothing looks once.
        rig.store.trips.clear()
        assert await rig.wait("c", before, 0.001 * SECOND) == before
        assert len(rig.store.trips) == 1

    run(main())


def test_many_connections_share_the_looks_of_one() -> None:
    names = [f"c{number:03}" for number in range(250)]

    async def main() -> None:
        rig = PollerRig()
        polls = [rig.wait(name, await rig.put(name, "first"), 20 * SECOND) for name in names]
        await asyncio.sleep(3)
        for name in names[1:]:
            await rig.put(name, "second", over="first")
        await asyncio.wait(polls[1:], timeout=LONGEST_PAUSE + 0.5)
        assert [poll.done() for poll in polls] == [False, *[True] * 249]
        rig.store.trips.clear()
        # The last one is alone again.
        await asyncio.sleep(3)
        assert {tuple(asked) for _, asked in rig.store.trips} == {("c000",)}
        await rig.put("c000", "second", over="first")
        await polls[0]

    run(main())


def test_looks_of_many_connections_are_no_more_than_allowed() -> None:
    names = [f"c{number:03}" for number in range(50)]

    async def main() -> None:
        rig = PollerRig()
        polls = []
        for name in names:
            polls.append(rig.wait(name, await rig.put(name, "first"), 5 * SECOND))
            await asyncio.sleep(0.003)
        await asyncio.wait(polls)
        instants = rig.store.instants
        thirteenth = zip(instants, instants[MAX_LOOKS:], strict=False)
        assert min(later - earlier for earlier, later in thirteenth) >= 1 - ROUNDING
        for name in names:
            looked = [at for at, asked in rig.store.trips if name in asked]
            pauses = [later - earlier for earlier, later in pairwise(looked)]
            assert max(pauses) <= LONGEST_PAUSE + 2 / MAX_LOOKS
        assert len(instants) < 6 * MAX_LOOKS
        # None of them has a burst, after which the others would wait.
        assert min(later - earlier for earlier, later in pairwise(instants[1:])) > 1 / MAX_LOOKS / 2

    run(main())


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with-another"])
def test_store_that_is_away_is_asked_again(others: int) -> None:
    async def main() -> None:
        rig = PollerRig()
        waits = [
            rig.wait(name, await rig.put(name, "first"), 20 * SECOND)
            for name in ["c", *["other"] * others]
        ]
        rig.store.faults = [StoreUnavailableError("planned")] * 5
        after = await rig.put("c", "second", over="first")
        assert await waits[0] == after
        assert rig.store.faults == []

    run(main())


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with-another"])
def test_record_that_cannot_be_read_is_an_error_for_its_callers_only(others: int) -> None:
    async def main() -> None:
        rig = PollerRig()
        waits = [
            rig.wait(name, await rig.put(name, "first"), 3 * SECOND)
            for name in ["c", *["other"] * others]
        ]
        error = UnreadableRecordError("planned", etag="second")
        rig.store.unreadable["c"] = error
        with pytest.raises(UnreadableRecordError, match="planned"):
            await waits[0]
        for wait in waits[1:]:
            assert (await wait).etag == "first"

    run(main())


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with-another"])
def test_record_that_is_missing_has_changed(others: int) -> None:
    async def main() -> None:
        rig = PollerRig()
        waits = [
            rig.wait(name, await rig.put(name, "first"), 3 * SECOND)
            for name in ["c", *["other"] * others]
        ]
        del rig.store._records["c"]
        assert (await waits[0]).etag is None
        for wait in waits[1:]:
            assert (await wait).etag == "first"

    run(main())

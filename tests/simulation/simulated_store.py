"""The store, behind a network that loses and delays."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.store_memory import MemoryStore
from domain.authorization import PendingLogin
from domain.grant import Grant, Refreshing
from ports.store import ConflictError, Record, StoreUnavailableError
from tests.simulation.faults import Point, StoreFault
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import Process, current_process

if TYPE_CHECKING:
    from tests.simulation.world import World

# A store that is slow takes this long; a write that fails is tried four times.
SLOWEST_STORE = 4.0
OUTAGE = 60.0


class SimulatedStore:
    """A store behind a network: every operation travels there, and its answer back."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._memory = MemoryStore()
        self.away_until = -1.0

    def go_away(self) -> None:
        """Do not answer for a while."""
        self._world.injected[StoreFault.OUTAGE.value] += 1
        self._world.note("store", "is away")
        self.away_until = self._world.loop.time() + OUTAGE

    async def load(self, connection: str) -> Record:
        """Return the latest record."""
        process = current_process()
        assert isinstance(process, Instance)
        process.loading_since = process.loading_since or self._world.now()
        try:
            record = await self._ask(partial(self._read, connection), writes=False)
        finally:
            process.loading_since = None
        assert isinstance(record, Record)
        return record

    async def swap(
        self, connection: str, *, expected_etag: str | None, new_etag: str, grant: Grant
    ) -> None:
        """Replace the record if its etag is the expected one."""
        write = partial(self._write, current_process(), connection, expected_etag, new_etag, grant)
        await self._ask(write, writes=True)

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due."""
        return await self._memory.due(before, limit=limit)

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Keep a login that has begun."""
        await self._memory.put_login(key, pending)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker."""
        return await self._memory.take_login(key, taker=taker, now=now)

    async def close(self) -> None:
        """Let go of nothing: there is no connection."""

    async def _ask(self, action: Callable[[], object], *, writes: bool) -> object:
        world, process = self._world, current_process()
        answer: asyncio.Future[object] = world.loop.create_future()
        fault = self._fault(writes=writes)
        there, back = world.latency(), world.latency()
        if fault is not None:
            world.note(process.name, f"{'swap' if writes else 'load'}: {fault.value}")
            if writes and fault is not StoreFault.SLOW:
                world.oracle.write_failed(process)
        match fault:
            case None:
                world.later(there, self._act, action, answer, back)
            case StoreFault.SLOW:
                slow = SLOWEST_STORE * world.random.random()
                world.later(slow, self._act, action, answer, SLOWEST_STORE - slow)
            case StoreFault.UNAVAILABLE | StoreFault.OUTAGE:
                world.later(there, self._fail, answer)
            case StoreFault.ANSWER_LOST:
                world.later(there, self._try, action)
                world.later(there + back, self._fail, answer)
            case StoreFault.COMMITS_LATE:
                world.later(there, self._fail, answer)
                world.later(there + world.random.choice((0.05, 1, 30)), self._try, action)
        return await answer

    def _fault(self, *, writes: bool) -> StoreFault | None:
        if self._world.loop.time() < self.away_until:
            return StoreFault.UNAVAILABLE
        fault = self._world.faults.on_store(writes=writes)
        if fault is StoreFault.OUTAGE:
            self.go_away()
        elif fault is not None:
            self._world.injected[fault.value] += 1
        return fault

    def _act(
        self, action: Callable[[], object], answer: asyncio.Future[object], back: float
    ) -> None:
        try:
            result = action()
        except ConflictError as conflict:
            self._world.later(back, answer.set_exception, conflict)
        else:
            self._world.later(back, answer.set_result, result)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except ConflictError:
            self._world.note("store", "conflict, and nobody hears of it")

    def _fail(self, answer: asyncio.Future[object]) -> None:
        answer.set_exception(StoreUnavailableError("simulated"))

    def _read(self, connection: str) -> Record:
        return self._memory._current(connection)

    def _write(
        self,
        process: Process,
        connection: str,
        expected_etag: str | None,
        new_etag: str,
        grant: Grant,
    ) -> None:
        before = self._memory._current(connection)
        swap = self._memory.swap(
            connection, expected_etag=expected_etag, new_etag=new_etag, grant=grant
        )
        try:
            _run_at_once(swap)
        except ConflictError:
            self._world.note(process.name, "swap: conflict")
            raise
        if before.etag == new_etag:
            return
        self._world.note(process.name, f"stored: {describe(grant)}")
        self._world.oracle.stored(process, grant, self._world.now())
        point = Point.INTENT_STORED if isinstance(grant, Refreshing) else Point.WRITTEN
        self._world.reach(process, point)


def _run_at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise AssertionError("the memory store waits")

"""The store, behind a network that loses and delays."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.store_memory import MemoryStore
from domain.authorization import PendingLogin
from domain.grant import Grant, Refreshing
from ports.store import ConflictError, Record, StoreUnavailableError, UnreadableRecordError
from tests.simulation.exchanges import Call, Wish, current_call
from tests.simulation.faults import Point, StoreFault
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import current_process
from tests.simulation.promises import WRITES_BEFORE_GIVING_UP, BrokenRuleError, Rule

if TYPE_CHECKING:
    from tests.simulation.world import World

# A store that is slow takes this long; a write that fails is tried four times.
SLOWEST_STORE = 4.0
OUTAGE = 60.0
# For how long a key of the ring can be missing.
KEYLESS = (1.0, 5.0, 61.0, 400.0)
FOR_GOOD = math.inf
# For how long a fault may delay answers: a write is tried for two seconds.
TROUBLE = 2 * SLOWEST_STORE

_Result = TypeVar("_Result")


class SimulatedStore:
    """A store behind a network: every operation travels there, and its answer back."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._memory = MemoryStore()
        self.away_until = -1.0
        # The etags of records that cannot be read, and until when.
        self._unreadable: dict[str, float] = {}

    def go_away(self) -> None:
        """Do not answer for a while."""
        self._world.injected[StoreFault.OUTAGE.value] += 1
        self._world.note("store", "is away")
        self.away_until = self._world.loop.time() + OUTAGE

    def heal(self) -> None:
        """Be there again, with every key that was missing."""
        self.away_until = -1
        damaged = (item for item in self._unreadable.items() if item[1] == FOR_GOOD)
        self._unreadable = dict(damaged)

    def is_readable(self, connection: str) -> bool:
        """Whether the record of a connection can be read."""
        etag = self._memory._current(connection).etag
        return self._unreadable.get(str(etag), -1.0) <= self._world.loop.time()

    def is_damaged(self, connection: str) -> bool:
        """Whether the record of a connection will never be read again."""
        etag = self._memory._current(connection).etag
        return self._unreadable.get(str(etag)) == FOR_GOOD

    async def load(self, connection: str) -> Record:
        """Return the latest record."""
        process = current_process()
        assert isinstance(process, Instance)
        began_at = self._world.now()
        process.loading[connection].append(began_at)
        try:
            read = partial(self._read, process, connection)
            record = await self._ask(read, connection, writes=False)
        finally:
            process.loading[connection].remove(began_at)
        assert isinstance(record, Record)
        return record

    async def swap(
        self, connection: str, *, expected_etag: str | None, new_etag: str, grant: Grant
    ) -> None:
        """Replace the record if its etag is the expected one."""
        process, call = current_process(), current_call.get()
        assert isinstance(process, Instance)

        def write() -> None:
            self._write(
                process,
                call,
                connection,
                expected_etag=expected_etag,
                new_etag=new_etag,
                grant=grant,
            )

        await self._ask(write, connection, writes=True)

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due."""

        def read() -> list[str]:
            return _run_at_once(self._memory.due(before, limit=limit))

        found = await self._ask(read, None, writes=False)
        assert isinstance(found, list)
        return found

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Keep a login that has begun."""
        await self._memory.put_login(key, pending)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker."""
        return await self._memory.take_login(key, taker=taker, now=now)

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Count one more."""
        return await self._memory.count(key, window_ends=window_ends)

    async def close(self) -> None:
        """Let go of nothing: there is no connection."""

    async def _ask(
        self, action: Callable[[], object], connection: str | None, *, writes: bool
    ) -> object:
        world, process = self._world, current_process()
        assert isinstance(process, Instance)
        answer: asyncio.Future[object] = world.loop.create_future()
        fault = self._fault(connection, writes=writes)
        there, back = world.latency(), world.latency()
        if fault is not None:
            process.troubled_until = world.loop.time() + TROUBLE
            world.note(process.name, f"{'swap' if writes else 'load'}: {fault.value}")
            if writes and connection and fault is not StoreFault.SLOW:
                world.connections[connection].history.write_failed(process)
        match fault:
            case None | StoreFault.UNREADABLE | StoreFault.DAMAGED:
                world.later(there, self._act, action, answer, back)
            case StoreFault.SLOW:
                slow = SLOWEST_STORE * world.fate.random()
                world.later(slow, self._act, action, answer, SLOWEST_STORE - slow)
            case StoreFault.UNAVAILABLE | StoreFault.OUTAGE:
                world.later(there, self._fail, answer)
            case StoreFault.ANSWER_LOST:
                world.later(there, self._try, action)
                world.later(there + back, self._fail, answer)
            case StoreFault.COMMITS_LATE:
                world.later(there, self._fail, answer)
                world.later(there + world.fate.choice((0.05, 1, 30)), self._try, action)
        return await answer

    def _fault(self, connection: str | None, *, writes: bool) -> StoreFault | None:
        world = self._world
        if world.loop.time() < self.away_until:
            return StoreFault.UNAVAILABLE
        match world.faults.on_store(writes=writes):
            case StoreFault.OUTAGE:
                self.go_away()
                return StoreFault.OUTAGE
            case StoreFault.UNREADABLE | StoreFault.DAMAGED as fault:
                self.spoil(connection or world.fate.choice(list(world.connections)), fault)
                return fault
            case StoreFault() as fault:
                world.injected[fault.value] += 1
                return fault
            case None:
                return None

    def spoil(self, connection: str, fault: StoreFault) -> None:
        """Let a record be unreadable, for a while or until it is replaced.

        Its key is missing, or somebody has sealed it anew with another one.
        """
        world, record = self._world, self._memory._current(connection)
        if record.etag is None:
            return
        etag = record.etag
        if world.fate.random() < 1 / 2:
            etag = f"{record.etag} anew"
            self._memory._records[connection] = replace(record, etag=etag)
        world.injected[fault.value] += 1
        world.note("store", f"{connection}: {fault.value}")
        is_damaged = fault is StoreFault.DAMAGED
        until = FOR_GOOD if is_damaged else world.loop.time() + world.fate.choice(KEYLESS)
        self._unreadable[etag] = max(until, self._unreadable.get(etag, until))
        subject = world.connections[connection]
        subject.unreadable_until = max(until, subject.unreadable_until)

    def _act(
        self, action: Callable[[], object], answer: asyncio.Future[object], back: float
    ) -> None:
        try:
            result = action()
        except (ConflictError, UnreadableRecordError) as error:
            self._world.later(back, answer.set_exception, error)
        else:
            self._world.later(back, answer.set_result, result)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (ConflictError, UnreadableRecordError):
            self._world.note("store", "conflict, and nobody hears of it")

    def _fail(self, answer: asyncio.Future[object]) -> None:
        answer.set_exception(StoreUnavailableError("simulated"))

    def _read(self, process: Instance, connection: str) -> Record:
        record = self._memory._current(connection)
        if not self.is_readable(connection):
            process.troubled_until = self._world.loop.time() + TROUBLE
            raise UnreadableRecordError("simulated", etag=str(record.etag))
        process.has_read.add(str(record.etag))
        return record

    def _write(
        self,
        process: Instance,
        call: Call,
        connection: str,
        *,
        expected_etag: str | None,
        new_etag: str,
        grant: Grant,
    ) -> None:
        world, subject = self._world, self._world.connections[connection]
        before = self._memory._current(connection)
        is_readable = self.is_readable(connection)
        swap = self._memory.swap(
            connection, expected_etag=expected_etag, new_etag=new_etag, grant=grant
        )
        try:
            _run_at_once(swap)
        except ConflictError:
            world.note(process.name, f"{connection}: swap: conflict")
            if not is_readable:
                subject.history.write_failed(process, times=WRITES_BEFORE_GIVING_UP)
            # What it conflicts with is read, and that may fail.
            self._read(process, connection)
            raise
        process.has_read.add(new_etag)
        if before.etag == new_etag:
            return
        world.note(process.name, f"{connection}: stored: {describe(grant)}")
        with world.judging():
            if not (is_readable or call.wish is Wish.LOGIN or before.etag in process.has_read):
                raise BrokenRuleError(Rule.OVERWRITTEN, f"{connection} by {process.name}")
            subject.oracle.stored(process, call, grant, world.now())
        point = Point.INTENT_STORED if isinstance(grant, Refreshing) else Point.WRITTEN
        world.reach(process, point)


def _run_at_once(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
    raise AssertionError("the memory store waits")

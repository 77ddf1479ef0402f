"""The store, behind a network that loses and delays."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.store_memory import MemoryStore
from domain.authorization import PendingLogin
from functions.refresh.sweep_walk import SWEEP
from ports.store import (
    LARGEST_PAGE,
    ConflictError,
    Due,
    Record,
    RecordPage,
    Store,
    UnreadableRecordError,
)
from tests.simulation.exchanges import Call, current_call
from tests.simulation.faults import StoreFault
from tests.simulation.instance import Instance
from tests.simulation.promises import WRITES_BEFORE_GIVING_UP
from tests.simulation.store_network import TROUBLE, NetworkedStore, current_instance

if TYPE_CHECKING:
    from tests.simulation.world import World

_Result = TypeVar("_Result")


class SimulatedStore(NetworkedStore):
    """The protocol at its shortest: each operation is one request, and none is made twice."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._memory = MemoryStore()

    @property
    def port(self) -> Store:
        """The store of the instances."""
        return self

    def _current(self, connection: str) -> Record:
        return self._memory._current(connection)

    def _rename(self, connection: str, etag: str) -> None:
        self._memory._records[connection] = replace(self._current(connection), etag=etag)

    def _remove(self, connection: str) -> None:
        del self._memory._records[connection]

    async def load(self, connection: str) -> Record:
        """Return the latest record."""
        if connection == SWEEP:
            return await self._load_position()
        process = current_instance()
        with process.loads(connection, self._world.now()):
            read = partial(self._read, process, connection)
            record = await self._ask(read, connection, writes=False)
        assert isinstance(record, Record)
        return record

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record if its etag is the expected one."""
        if connection == SWEEP:
            await self._swap_position(record, expected_etag=expected_etag)
            return
        process, call = current_instance(), current_call.get()

        def write() -> None:
            self._write(process, call, connection, record, expected_etag=expected_etag)

        await self._ask(write, connection, writes=True)

    async def _load_position(self) -> Record:
        """Return the record of the sweeps, which is about no connection."""
        record = await self._ask(partial(self._memory._current, SWEEP), None, writes=False)
        assert isinstance(record, Record)
        return record

    async def _swap_position(self, record: Record, *, expected_etag: str | None) -> None:
        def write() -> None:
            _run_at_once(self._memory.swap(SWEEP, record, expected_etag=expected_etag))

        await self._ask(write, None, writes=True)

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Name the connections that are due."""

        def read() -> list[Due]:
            return _run_at_once(self._memory.due(after, before, limit=limit))

        found = await self._ask(read, None, writes=False)
        assert isinstance(found, list)
        return found

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the records of some connections."""
        process = current_instance()

        def read() -> RecordPage:
            page = _run_at_once(self._memory.load_records(connections))
            found = [(name, self._read_or_error(process, name)) for name, _ in page.records]
            return page._replace(records=tuple(found))

        found = await self._ask(read, None, writes=False)
        assert isinstance(found, RecordPage)
        return found

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records."""

        def read() -> RecordPage:
            return _run_at_once(self._memory.list_records(after, limit=limit, prefix=prefix))

        found = await self._ask(read, None, writes=False)
        assert isinstance(found, RecordPage)
        return found

    async def complete_listing(self) -> None:
        """Do nothing: the memory is the listing."""

    def connections(self) -> AsyncIterator[str]:
        """Name each connection that has a record."""
        return self._memory.connections()

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Keep a login that has begun."""
        await self._memory.put_login(key, pending)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker."""
        return await self._memory.take_login(key, taker=taker, now=now)

    async def forget_expired(self, now: datetime) -> None:
        """Remove what is over."""
        await self._memory.forget_expired(now)

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Count one more."""
        return await self._memory.count(key, window_ends=window_ends)

    async def close(self) -> None:
        """Do nothing: there is no connection."""

    async def _ask(
        self, action: Callable[[], object], connection: str | None, *, writes: bool
    ) -> object:
        fault = self._fault("swap" if writes else "load", connection, writes=writes)
        if writes and connection and fault not in {None, StoreFault.SLOW}:
            self._world.connections[connection].write_failed(current_instance())
        return await self._carry(action, fault)

    def _read(self, process: Instance, connection: str) -> Record:
        record = self._current(connection)
        if not self.is_readable(connection):
            process.troubled_until = self._world.loop.time() + TROUBLE
            raise UnreadableRecordError(
                "simulated", etag=str(record.etag), is_damaged=self.is_damaged(connection)
            )
        process.has_read.add(str(record.etag))
        return record

    def _read_or_error(self, process: Instance, connection: str) -> Record | UnreadableRecordError:
        try:
            return self._read(process, connection)
        except UnreadableRecordError as error:
            return error

    def _write(
        self,
        process: Instance,
        call: Call,
        connection: str,
        after: Record,
        *,
        expected_etag: str | None,
    ) -> None:
        world, before = self._world, self._current(connection)
        is_readable = self.is_readable(connection)
        swap = self._memory.swap(connection, after, expected_etag=expected_etag)
        try:
            _run_at_once(swap)
        except ConflictError:
            world.note(process.name, f"{connection}: swap: conflict")
            if not is_readable:
                subject = world.connections[connection]
                subject.write_failed(process, times=WRITES_BEFORE_GIVING_UP)
            # The record of the conflict is read, and that may fail.
            self._read(process, connection)
            raise
        process.has_read.add(str(after.etag))
        if before.etag != after.etag:
            self._judge_write(process, call, connection, before=before, after=after)


def _run_at_once(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: _Result = stop.value
        return result
    raise AssertionError("the memory store waits")

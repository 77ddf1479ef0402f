"""A store as it is, whose calls travel through the simulated network to a real server.

The server acts on a call at once, in no simulated time. A write is judged by what is there after
it.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from adapters.sealed_records import SealedRecords
from domain.grant import Unauthorized
from functions.refresh.sweep_walk import SWEEP
from ports.store import Record, Store, StoreUnavailableError
from tests.records import record_of
from tests.simulation.exchanges import Call, current_call
from tests.simulation.instance import Instance
from tests.simulation.store_network import NetworkedStore, current_instance
from tests.simulation.watching import RING

if TYPE_CHECKING:
    from tests.simulation.world import World

_Answer = TypeVar("_Answer")


class ServedStore(NetworkedStore):
    """A server, and the network before it. A subclass speaks to the server."""

    # Of a call, as the adapter's client has it.
    limit: timedelta
    # How often a call is sent whose connection ends without an answer.
    tries: int

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._records = SealedRecords(RING)
        self._clear()

    @property
    @abstractmethod
    def port(self) -> Store:
        """The store of the instances."""

    @abstractmethod
    def _clear(self) -> None:
        """Remove everything that other worlds have left."""

    @abstractmethod
    def _find(self, connection: str) -> tuple[str, str] | None:
        """Return the etag and the text that are stored."""

    @abstractmethod
    def _put(self, connection: str, etag: str, sealed: str) -> None:
        """Replace the etag and the text, and nothing else."""

    async def send(self, connection: str | None, work: Callable[[], _Answer]) -> _Answer:
        """Let the server do what reads. Raises StoreUnavailableError."""
        about = None if connection == SWEEP else connection
        return await self._travel("load", about, work, writes=False)

    async def send_write(self, connection: str, work: Callable[[], _Answer]) -> _Answer:
        """Let the server replace a record, and judge that. Raises StoreUnavailableError."""
        if connection == SWEEP:
            # It is about no connection, and a fault may concern any.
            return await self._travel("swap", None, work, writes=True)
        write = partial(self._write, current_instance(), current_call.get(), connection, work)
        return await self._travel("swap", connection, write, writes=True)

    async def _travel(
        self, what: str, connection: str | None, work: Callable[[], _Answer], *, writes: bool
    ) -> _Answer:
        # The last one, as a refusal has no answer.
        answers: list[_Answer] = []

        def act() -> None:
            answers.append(work())

        try:
            async with asyncio.timeout(self.limit.total_seconds()):
                for tries_left in reversed(range(self.tries)):
                    try:
                        await self._carry(act, self._fault(what, connection, writes=writes))
                        break
                    except StoreUnavailableError:
                        if not tries_left:
                            raise
        except TimeoutError as error:
            raise StoreUnavailableError("simulated") from error
        return answers[-1]

    def _write(
        self, process: Instance, call: Call, connection: str, work: Callable[[], _Answer]
    ) -> _Answer:
        before = self._current(connection)
        answer = work()
        after = self._current(connection)
        process.has_read.add(str(after.etag))
        if before.etag != after.etag:
            self._judge_write(process, call, connection, before=before, after=after)
        return answer

    def _current(self, connection: str) -> Record:
        found = self._find(connection)
        if found is None:
            return record_of(Unauthorized(), None)
        return self._records.open_record(connection, *found)

    def _rename(self, connection: str, etag: str) -> None:
        record = replace(self._current(connection), etag=etag)
        self._put(connection, etag, self._records.seal_record(connection, record))

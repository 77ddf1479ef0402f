"""Notes on an adapter's calls, and the keys of its records, of which some are missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from functions.refresh.sweep_walk import SWEEP
from ports.store import ConflictError, Record, StoreUnavailableError, UnreadableRecordError
from tests.simulation.promises import WRITES_BEFORE_GIVING_UP, BrokenRuleError, Rule
from tests.simulation.store_network import TROUBLE, current_instance

if TYPE_CHECKING:
    from tests.simulation.world import World

RING = KeyRing([bytes(32)])
"""The keys of all records."""


class Keys(SealedRecords):
    """The keys of the instances: now and then the key of a record is missing."""

    def __init__(self, world: "World", opens: Callable[[str], bool]) -> None:
        super().__init__(RING)
        self._world = world
        self._opens = opens

    def open_record(self, connection: str, etag: str, sealed: str) -> Record:
        """Open a grant. Raises UnreadableRecordError."""
        process = current_instance()
        if not self._opens(etag):
            process.troubled_until = self._world.loop.time() + TROUBLE
            is_damaged = self._world.store.is_damaged(connection)
            raise UnreadableRecordError("simulated", etag=etag, is_damaged=is_damaged)
        process.has_read.add(etag)
        return super().open_record(connection, etag, sealed)


@contextmanager
def watched_load(world: "World", connection: str) -> Iterator[None]:
    """Note for how long a record is waited for."""
    if connection == SWEEP:
        yield
        return
    with current_instance().loads(connection, world.now()):
        yield


@contextmanager
def watched_swap(world: "World", connection: str, record: Record) -> Iterator[None]:
    """Note that a record cannot be replaced. Judge a conflict."""
    if connection == SWEEP:
        yield
        return
    subject = world.connections[connection]
    try:
        yield
    except ConflictError as conflict:
        with world.judging():
            if conflict.current.etag == record.etag:
                raise BrokenRuleError(Rule.OWN_WRITE, connection) from conflict
        raise
    except StoreUnavailableError:
        subject.write_failed(current_instance())
        raise
    except UnreadableRecordError:
        subject.write_failed(current_instance(), times=WRITES_BEFORE_GIVING_UP)
        raise

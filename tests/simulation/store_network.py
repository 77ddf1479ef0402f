"""The network between an instance and a simulated store: it loses and delays."""

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from adapters.dynamodb_table import ConditionFailedError
from domain.grant import Adopting, Authorized, Grant, Refreshing
from domain.ledger import Ledger, append_entry
from ports.store import ConflictError, Record, StoreUnavailableError, UnreadableRecordError
from tests.simulation.exchanges import Call, RequestKind
from tests.simulation.faults import Point, StoreFault
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import current_process
from tests.simulation.promises import BrokenRuleError, Rule

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
# The refusals of a store that works.
_REFUSALS = (ConditionFailedError, ConflictError, UnreadableRecordError)


def current_instance() -> Instance:
    """Return the instance that is running."""
    process = current_process()
    assert isinstance(process, Instance)
    return process


class NetworkedStore(ABC):
    """A store behind a network: every request travels there, and its answer back."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.away_until = -1.0
        # The etags of records that cannot be read, and until when.
        self._unreadable: dict[str, float] = {}
        # All that has been in the store.
        self._had: set[tuple[str, Grant, Ledger]] = set()

    @abstractmethod
    def _current(self, connection: str) -> Record:
        """Return the record that is there, though nobody could read it."""

    @abstractmethod
    def _rename(self, connection: str, etag: str) -> None:
        """Give the record that is there another etag."""

    @abstractmethod
    def _remove(self, connection: str) -> None:
        """Take away the record that is there."""

    # Answers to an instance.

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
        return self._opens(self._current(connection).etag)

    def is_damaged(self, connection: str) -> bool:
        """Whether the record of a connection will never be read again."""
        etag = self._current(connection).etag
        return self._unreadable.get(str(etag)) == FOR_GOOD

    def _opens(self, etag: str | None) -> bool:
        return self._unreadable.get(str(etag), -1.0) <= self._world.loop.time()

    # The way there and back.

    def _fault(self, what: str, connection: str | None, *, writes: bool) -> StoreFault | None:
        """Decide what becomes of the next request."""
        world, process = self._world, current_instance()
        fault = self._drawn_fault(connection, writes=writes)
        if fault is not None:
            process.troubled_until = world.loop.time() + TROUBLE
            world.note(process.name, f"{what}: {fault.value}")
        return fault

    async def _carry(self, action: Callable[[], object], fault: StoreFault | None) -> object:
        """Have something done in the store. Raises its refusals, StoreUnavailableError."""
        world = self._world
        answer: asyncio.Future[object] = world.loop.create_future()
        there, back = world.latency(), world.latency()
        match fault:
            case None | StoreFault.UNREADABLE | StoreFault.DAMAGED | StoreFault.GONE:
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

    def _drawn_fault(self, connection: str | None, *, writes: bool) -> StoreFault | None:
        world = self._world
        if world.loop.time() < self.away_until:
            return StoreFault.UNAVAILABLE
        match world.faults.on_store(writes=writes):
            case StoreFault.OUTAGE:
                self.go_away()
                return StoreFault.OUTAGE
            case StoreFault.UNREADABLE | StoreFault.DAMAGED | StoreFault.GONE as fault:
                self.spoil(connection or world.fate.choice(list(world.connections)), fault)
                return fault
            case StoreFault() as fault:
                world.injected[fault.value] += 1
                return fault
            case None:
                return None

    def spoil(self, connection: str, fault: StoreFault) -> None:
        """Let a record be unreadable, for a while or until it is replaced.

        Its key is missing, or another one has encrypted it.
        """
        world, etag = self._world, self._current(connection).etag
        if etag is None:
            return
        if fault is not StoreFault.UNREADABLE:
            world.is_spoilt = True
        if fault is StoreFault.GONE:
            self._remove(connection)
            world.injected[fault.value] += 1
            world.note("store", f"{connection}: {fault.value}")
            return
        if world.fate.random() < 1 / 2:
            etag = f"{etag}-again"
            self._rename(connection, etag)
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
        except _REFUSALS as error:
            self._world.later(back, _settle, answer.set_exception, answer, error)
        else:
            self._world.later(back, _settle, answer.set_result, answer, result)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except _REFUSALS:
            self._world.note("store", "conflict, and nobody hears of it")

    def _fail(self, answer: asyncio.Future[object]) -> None:
        _settle(answer.set_exception, answer, StoreUnavailableError("simulated"))

    # Judgements.

    def _judge_write(
        self, process: Instance, call: Call, connection: str, *, before: Record, after: Record
    ) -> None:
        """Judge a record that has just come to the place of another one."""
        world, subject = self._world, self._world.connections[connection]
        world.note(process.name, f"{connection}: stored: {describe(after.grant)}")
        with world.judging():
            content = (connection, _without_failure_state(after.grant), after.ledger)
            if world.is_spoilt and content in self._had:
                # A remembered record is put back as it was, or in doubt.
                subject.put_back(after.grant)
                return
            self._had.add(content)
            was_read = self._opens(before.etag) or before.etag in process.has_read
            if not (was_read or call.kind is RequestKind.LOGIN or world.is_spoilt):
                raise BrokenRuleError(Rule.OVERWRITTEN, f"{connection} by {process.name}")
            # A login over what could not be read begins a ledger, as there is none to go on with.
            begins_anew = call.kind is RequestKind.LOGIN and len(after.ledger) == 1
            if not (begins_anew or world.is_spoilt or _is_noted(before, after)):
                raise BrokenRuleError(Rule.LEDGER, f"{connection} by {process.name}")
            subject.stored(process, call, after.grant)
        point = Point.INTENT_STORED if _is_in_flight(after.grant) else Point.WRITTEN
        world.reach(process, point)


def _without_failure_state(grant: Grant) -> Grant:
    """Leave out the state that a ledger has as well."""
    if isinstance(grant, Adopting):
        earlier = grant.earlier
        if isinstance(earlier, Authorized):
            return replace(grant, earlier=replace(earlier, failure_state=None))
    return replace(grant, failure_state=None) if isinstance(grant, Authorized) else grant


def _is_in_flight(grant: Grant) -> bool:
    """Whether the record has an attempt."""
    return isinstance(grant.grant if isinstance(grant, Adopting) else grant, Refreshing)


def _is_noted(before: Record, after: Record) -> bool:
    """Whether a ledger has one entry more; the same entries if an attempt starts."""
    if _is_in_flight(after.grant) and not _is_in_flight(before.grant):
        return after.ledger == before.ledger
    return bool(after.ledger) and after.ledger == append_entry(before.ledger, after.ledger[-1])


def _settle(settle: Callable[..., None], answer: asyncio.Future[object], what: object) -> None:
    """Hand over what came of a request, unless its sender has given it up."""
    if not answer.done():
        settle(what)

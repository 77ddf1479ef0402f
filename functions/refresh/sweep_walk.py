"""The walk of sweeps through the connections, in pages by date and name.

First come those that are due. Then come those far from due: their dates may be from a clock that
was ahead. Sweeps that run at the same time share one walk: each takes the next page, by a swap of
the walk's position. It is in a record of the store, under a name that no connection can have. A
sweep that cannot read or write that record walks alone.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from domain.connection import is_connection
from domain.grant import Unauthorized
from domain.ledger import DONE, FAILED, INCOMPLETE, Entry, HistoryEvent
from functions.observability.tracing import waiting_for
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import (
    ConflictError,
    Due,
    Record,
    Store,
    StoreUnavailableError,
    UnreadableRecordError,
)

SWEEP = "~sweep"
"""The record's name. `domain.connection.is_connection` refuses it."""
# Refreshes of a page take seconds. A sweep that is killed leaves a page at most.
PAGE_SIZE = 50
# Then all sweeps of a walk were killed, and the next one starts a new walk.
STALE_AFTER = timedelta(minutes=1)
# A later due date is rare, or from a clock that was ahead.
IMPLAUSIBLE_DUE_AFTER = timedelta(days=90)
# A conflict needs another sweep in the same milliseconds.
_MAX_TRIES = 5

_log = logging.getLogger(__name__)


class Page(NamedTuple):
    """Connections, and whether they are due."""

    names: Sequence[str]
    is_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a walk is. All connections up to `after` were taken by its sweeps.

    `began_at` identifies the walk, and decides which connections are due. `is_open`: no connection
    was left by its sweeps. Otherwise the next sweep starts a new walk. `is_over`: no page is left.
    `stored_at` is when the last page was taken.
    """

    began_at: datetime
    after: Due | None = None
    is_open: bool = True
    is_over: bool = False
    stored_at: datetime | None = None

    def can_be_joined(self, now: datetime) -> bool:
        """Whether sweeps are in this walk, as far as is known."""
        is_recent = self.stored_at is not None and abs(now - self.stored_at) < STALE_AFTER
        return self.is_open and not self.is_over and is_recent


class SweepWalk:
    """One sweep's part of a walk."""

    def __init__(self, *, store: Store, clock: Clock, entropy: Entropy | None) -> None:
        """Without `entropy`, the sweep walks alone."""
        self._store = store
        self._clock = clock
        self._entropy = entropy
        # The record as far as it is known; None to walk alone.
        self._record: Record | None = None
        # Whether the record is about this walk.
        self._is_stored = False
        self._is_open = True
        self._position: Position | None = None

    async def take(self) -> Page | None:
        """Return the next page, for this sweep only; None if no page is left.

        Raises StoreUnavailableError.
        """
        position = self._position or await self._join()
        while not position.is_over:
            found, is_due = await self._read(position)
            taken = replace(position, is_open=position.is_open and self._is_open)
            if found:
                taken = replace(taken, after=found[-1])
            elif self._is_stored:
                taken = replace(taken, is_over=True)
            else:
                return None
            if (other := await self._swap(taken)) is not None:
                # A walk of which connections were left is for its own sweeps only.
                if other.is_open or other.began_at == position.began_at:
                    position = other
                continue
            self._position = position = taken
            # A foreign writer may store any name, and names go into logs.
            names = [due.connection for due in found if is_connection(due.connection)]
            if names:
                return Page(names, is_due)
        return None

    def leave_some(self) -> None:
        """Let the next sweep start a new walk: this one leaves connections of its pages."""
        self._is_open = False

    async def close(self) -> None:
        """Store that connections were left, if any were. Raises nothing."""
        for _ in range(_MAX_TRIES):
            position = self._stored_position()
            if self._is_open or position is None or position.is_over or not position.is_open:
                return
            if await self._swap(replace(position, is_open=False)) is None:
                return

    def _stored_position(self) -> Position | None:
        """Return the last known position of this walk."""
        return _position_of(self._record) if self._record and self._is_stored else None

    async def _join(self) -> Position:
        """Return the position of a walk that goes on, or of a new one."""
        now = self._clock.now()
        if self._entropy is not None:
            self._record = await self._load()
        found = None if self._record is None else _position_of(self._record)
        self._is_stored = found is not None and found.can_be_joined(now)
        return found if found is not None and self._is_stored else Position(began_at=now)

    async def _read(self, position: Position) -> tuple[list[Due], bool]:
        """Return the next page, and whether its connections are due."""
        after, before = position.after, position.began_at
        far = Due((before + IMPLAUSIBLE_DUE_AFTER).timestamp(), "")
        with waiting_for("store"):
            if after is None or after < far:
                found = await self._store.due(after, before, limit=PAGE_SIZE)
                if found:
                    return found, True
                after = far
            return await self._store.due(after, None, limit=PAGE_SIZE), False

    async def _load(self) -> Record | None:
        try:
            with waiting_for("store"):
                return await self._store.load(SWEEP)
        except UnreadableRecordError as error:
            # It holds nothing that cannot be found out again.
            return Record(grant=Unauthorized(), etag=error.etag, ledger=())
        except StoreUnavailableError as error:
            self._walk_alone(error)
            return None

    async def _swap(self, position: Position) -> Position | None:
        """Store a position; return the one of another sweep that was faster."""
        if self._record is None or self._entropy is None:
            return None
        entry = _entry_of(position, self._clock.now())
        written = replace(self._record, etag=self._entropy.token(), ledger=(entry,))
        try:
            with waiting_for("store"):
                await self._store.swap(SWEEP, written, expected_etag=self._record.etag)
        except ConflictError as conflict:
            self._record, self._is_stored = conflict.current, True
            other = _position_of(conflict.current)
            if other is None:
                self._walk_alone(conflict)
            return other
        except (StoreUnavailableError, UnreadableRecordError) as error:
            self._walk_alone(error)
        else:
            self._record, self._is_stored = written, True
        return None

    def _walk_alone(self, error: Exception) -> None:
        self._record = None
        _log.warning("sweep: it shares no work with other sweeps: %s", error)


def _entry_of(position: Position, now: datetime) -> Entry:
    """Return a position as an entry of a ledger, which every store can hold."""
    outcome = FAILED if not position.is_open else DONE if position.is_over else INCOMPLETE
    quote = json.dumps([position.began_at.timestamp(), position.after])
    at = now.replace(microsecond=0)
    return Entry(at, HistoryEvent.SWEPT, None, None, outcome, quote)


def _position_of(record: Record) -> Position | None:
    """Return the position in a record; None if it cannot be read."""
    try:
        entry = record.ledger[-1]
        began_at, after = json.loads(entry.quote or "")
        return Position(
            began_at=datetime.fromtimestamp(began_at, UTC),
            after=None if after is None else Due(float(after[0]), str(after[1])),
            is_open=entry.outcome != FAILED,
            is_over=entry.outcome == DONE,
            stored_at=entry.at,
        )
    except (LookupError, OSError, OverflowError, TypeError, ValueError):
        return None

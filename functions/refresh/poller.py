"""Looks at the store for callers that wait for the attempt of another instance.

All connections of an instance share the looks that `poll_schedule` allows. A look at several
connections is one round trip.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from domain.grant import Adopting, Grant, Refreshing, Requesting
from functions.observability.tracing import waiting_for
from functions.refresh.poll_schedule import MAX_LOOKS, earliest_look, looks
from functions.refresh.recorder import Recorder
from functions.refresh.shared_tasks import SharedTasks
from ports.store import (
    LARGEST_PAGE,
    Record,
    Store,
    StoreUnavailableError,
    UnreadableRecordError,
)


class Poller:
    """The looks of one instance, for the keepers of all clients."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._polls: SharedTasks[Record] = SharedTasks()
        self._recent: deque[float] = deque(maxlen=MAX_LOOKS)
        # The connections of the next turn. A set that is empty or full belongs to no turn.
        self._gathered: set[str] = set()
        self._turn: asyncio.Task[Mapping[str, Record | UnreadableRecordError]] | None = None

    def start(
        self,
        connection: str,
        record: Record,
        recorder: Recorder,
        *,
        now: datetime,
        patience: timedelta,
    ) -> asyncio.Task[Record]:
        """Return the task that polls a connection until its record is not `record`, or start one.

        It returns the new record, or `record` after `patience`. It raises UnreadableRecordError.
        """
        age = _age_of_attempt(record.grant, now)
        return self._polls.start(
            connection,
            lambda: self._poll(connection, record, recorder, age=age, patience=patience),
        )

    async def _poll(
        self,
        connection: str,
        record: Record,
        recorder: Recorder,
        *,
        age: timedelta,
        patience: timedelta,
    ) -> Record:
        loop, limit = asyncio.get_running_loop(), patience.total_seconds()
        began_at = loop.time()
        for at in looks(record.refresh_times, age=age):
            pause = began_at + min(at, limit) - loop.time()
            if pause < 0 and at < limit:
                # The look before took longer.
                continue
            await asyncio.sleep(pause)
            with suppress(StoreUnavailableError):
                current = await self._look(connection, recorder)
                if current.etag != record.etag:
                    return current
            if at >= limit:
                break
        return record

    async def _look(self, connection: str, recorder: Recorder) -> Record:
        """Return the record after a turn. Raises StoreUnavailableError, UnreadableRecordError."""
        found = (await self._join_turn(connection)).get(connection)
        if isinstance(found, Record):
            return await recorder.newest(connection, found)
        # It is looked at alone, or the recorder has to answer that it is missing or unreadable.
        with waiting_for("store"):
            return await recorder.load(connection)

    async def _join_turn(self, connection: str) -> Mapping[str, Record | UnreadableRecordError]:
        if self._turn is None or len(self._gathered) in {0, LARGEST_PAGE}:
            self._gathered = set()
            self._turn = asyncio.create_task(self._take_turn(self._gathered))
        self._gathered.add(connection)
        return await asyncio.shield(self._turn)

    async def _take_turn(self, gathered: set[str]) -> Mapping[str, Record | UnreadableRecordError]:
        """Load the connections that gather until the look is allowed; none if it is only one."""
        await asyncio.sleep(self._reserve_look())
        if gathered is self._gathered:
            self._gathered = set()
        if len(gathered) == 1:
            return {}
        with waiting_for("store"):
            page = await self._store.load_records(sorted(gathered))
        return dict(page.records)

    def _reserve_look(self) -> float:
        """Return the seconds until the next look is allowed, and count it."""
        now = asyncio.get_running_loop().time()
        is_shared = len(self._polls) > 1
        at = max(now, earliest_look(self._recent, is_shared=is_shared))
        self._recent.append(at)
        return at - now


def _age_of_attempt(grant: Grant, now: datetime) -> timedelta:
    match grant:
        case (
            Refreshing(attempt=attempt)
            | Requesting(attempt=attempt)
            | Adopting(grant=Refreshing(attempt=attempt))
        ):
            return now - attempt.started_at
        case _:
            # Callers wait for a revocation, too.
            return timedelta(0)

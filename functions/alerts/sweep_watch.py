"""Finds out whether the sweep is overdue, and delivers what the deployment itself owes."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.alert_book import AlertBook
from domain.ledger import Note
from domain.sweep_alerts import sweep_book_after
from functions.alerts.delivery import Delivery
from functions.alerts.deployment import (
    DEPLOYMENT,
    ledger_with,
    load_deployment,
    note_entry,
    status_of,
    swap_deployment,
)
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import ConflictError, Record, Store, StoreUnavailableError

# An instance looks that often, however many refreshes it makes.
CHECK_INTERVAL = timedelta(minutes=30)

_log = logging.getLogger(__name__)


class SweepWatch:
    """Watches the sweep, with the deployment's own record."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        entropy: Entropy,
        delivery: Callable[[], Delivery],
        overdue_after: timedelta,
    ) -> None:
        """`delivery` is called where something is owed."""
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._delivery = delivery
        self._overdue_after = overdue_after
        self._checked_at: datetime | None = None

    async def check_now_and_then(self) -> None:
        """Check, unless this instance did so in the last half hour. Raises nothing."""
        now, last = self._clock.now(), self._checked_at
        if last is not None and last <= now < last + CHECK_INTERVAL:
            return
        self._checked_at = now
        try:
            await self.check()
        except StoreUnavailableError as error:
            _log.warning("the sweep is not watched: %s", error)

    async def check(self) -> None:
        """Store the state of the sweep if it changed, and deliver what is owed.

        Raises StoreUnavailableError.
        """
        record = await load_deployment(self._store)
        claim_id = self._entropy.token()
        while (book := self._book_after(record, claim_id)) != record.alerts:
            try:
                written = await self._write(replace(record, alerts=book), over=record)
            except ConflictError as conflict:
                record = conflict.current
                continue
            if book.claim is not None and book.claim.id == claim_id:
                await self._delivery().deliver(DEPLOYMENT, written, self)
            return

    def _book_after(self, record: Record, new_id: str) -> AlertBook:
        ended_at = status_of(record).sweep_ended_at
        now, threshold = self._clock.now(), self._overdue_after
        return sweep_book_after(record.alerts, ended_at, threshold, now, new_id=new_id)

    async def write_alerts(
        self, connection: str, record: Record, alerts: AlertBook | None, notes: Sequence[Note]
    ) -> Record:
        """Store the alerts after a delivery, with notes; see `BookWriter`."""
        del connection
        entries = [note_entry(note, self._clock.now()) for note in notes]
        after = replace(record, alerts=alerts, ledger=ledger_with(record.ledger, *entries))
        return await self._write(after, over=record)

    async def _write(self, record: Record, *, over: Record) -> Record:
        return await swap_deployment(self._store, self._entropy, record, over=over)

"""Delivers what is owed: rules 6 to 9 of `domain/alerts.py`, after the answer and by the sweep.

A round sends to all channels at once, then stores what they took. Each channel gets its alerts in
order. Another round follows while there is something to send now.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol, TypeAlias

from domain.alert_book import EMPTY, AlertBook
from domain.alert_delivery import (
    AfterRound,
    Needs,
    Result,
    after_round,
    claimed,
    given_up_note,
    next_send_at,
    queue,
)
from domain.alerts import Alert
from domain.grant import Grant
from domain.ledger import Note
from functions.alerts.channel import Channel
from functions.alerts.deployment import LastDeliveries
from functions.alerts.message import AlertMessage
from functions.alerts.outlets import Outlet
from ports.clock import Clock
from ports.store import ConflictError, Record, StoreUnavailableError, UnreadableRecordError

# Of one delivery: no round begins after that. The request that started it waits, within its limit.
LONGEST_DELIVERY = timedelta(minutes=2)
# The longest wait for another try in the same delivery: the first one after a failure.
LONGEST_STAY = timedelta(seconds=10)
# No send starts in the rest of a lease: it may take that long.
LEASE_MARGIN = timedelta(seconds=25)

Compose: TypeAlias = Callable[[str, Grant, Alert], Awaitable[AlertMessage]]
"""Makes the message of an alert: connection, its grant now, the alert."""

_log = logging.getLogger(__name__)


class BookWriter(Protocol):
    """Writes the alerts of a record, by compare-and-swap."""

    async def write_alerts(
        self, connection: str, record: Record, alerts: AlertBook | None, notes: Sequence[Note]
    ) -> Record:
        """Return the new record.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        ...


class _Stored(NamedTuple):
    """The record after a round, and when this delivery sends again; None if it is over."""

    record: Record
    again_at: datetime | None


class Delivery:
    """Delivers the alerts of any number of connections."""

    def __init__(
        self,
        *,
        channels: Sequence[Channel],
        compose: Compose,
        clock: Clock,
        give_up_after: timedelta,
    ) -> None:
        """An alert that a channel did not take is given up after `give_up_after`."""
        self._outlets = [Outlet(channel, clock) for channel in channels]
        self._compose = compose
        self._clock = clock
        self._give_up_after = give_up_after

    async def deliver(self, connection: str, record: Record, writer: BookWriter) -> None:
        """Deliver what a record owes, whose claim is the caller's. Raises nothing."""
        claim = None if record.alerts is None else record.alerts.claim
        if claim is None:
            return
        end = self._clock.now() + LONGEST_DELIVERY
        try:
            while (book := record.alerts) is not None and _has_claim(book, claim.id):
                results = await self._send_round(connection, record, book)
                stored = await self._store(
                    connection, record, results, writer, claim_id=claim.id, end=end
                )
                if stored.again_at is None:
                    return
                record = stored.record
                await asyncio.sleep((stored.again_at - self._clock.now()).total_seconds())
        except (StoreUnavailableError, UnreadableRecordError) as error:
            _log.warning(
                "connection %s: the store has no note of delivered alerts: %s; the next delivery "
                "repeats them",
                connection,
                error,
            )

    def last_deliveries(self) -> LastDeliveries:
        """Return the last delivery of each channel by this instance."""
        return {outlet.name: outlet.last for outlet in self._outlets if outlet.last is not None}

    async def _send_round(
        self, connection: str, record: Record, book: AlertBook
    ) -> Sequence[Result]:
        """Send to all channels at once, each in order."""
        now = self._clock.now()
        # A claim is there: `deliver` has checked it.
        until = now if book.claim is None else book.claim.until - LEASE_MARGIN

        async def compose(alert: Alert) -> AlertMessage:
            return await self._compose(connection, record.grant, alert)

        return await asyncio.gather(
            *(
                outlet.send(connection, alerts, compose, until=until)
                for outlet in self._outlets
                if (alerts := self._queue(outlet, connection, book, now))
            )
        )

    def _queue(
        self, outlet: Outlet, connection: str, book: AlertBook, now: datetime
    ) -> Sequence[Alert]:
        lacking = queue(book, outlet.name, now)
        return [alert for alert in lacking if outlet.takes(alert, connection)]

    async def _store(
        self,
        connection: str,
        record: Record,
        results: Sequence[Result],
        writer: BookWriter,
        *,
        claim_id: str,
        end: datetime,
    ) -> _Stored:
        """Store the results of a round, despite other writes of the record."""
        needs = self._needs(connection)
        while True:
            book, now = record.alerts or EMPTY, self._clock.now()
            after = after_round(book, results, needs, now, give_up_after=self._give_up_after)
            again_at = None
            if not _has_claim(book, claim_id):
                # The lease ran out, and another instance delivers.
                after = after._replace(book=replace(after.book, claim=book.claim))
            elif now < end and (at := _soon(next_send_at(after.book, needs, now), now)):
                again_at, after = at, after._replace(book=claimed(after.book, claim_id, now))
            if after.book == book:
                return _Stored(record, again_at)
            notes = [given_up_note(each, record.grant) for each in after.given_up]
            alerts = None if after.book == EMPTY else after.book
            try:
                written = await writer.write_alerts(connection, record, alerts, notes)
            except ConflictError as conflict:
                record = conflict.current
                continue
            _log_round(connection, results, after)
            return _Stored(written, again_at)

    def _needs(self, connection: str) -> Needs:
        return lambda alert: {
            outlet.name for outlet in self._outlets if outlet.takes(alert, connection)
        }


def _soon(at: datetime | None, now: datetime) -> datetime | None:
    """Return an instant that this delivery waits for; None for a later one."""
    return at if at is not None and at <= now + LONGEST_STAY else None


def _has_claim(book: AlertBook, claim_id: str) -> bool:
    return book.claim is not None and book.claim.id == claim_id


def _log_round(connection: str, results: Sequence[Result], after: AfterRound) -> None:
    failed = {result.channel for result in results if result.has_failed}
    for wait in after.book.waits:
        if wait.channel in failed:
            at = wait.next_try_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            _log.warning(
                "connection %s: next alert to %s: not before %s", connection, wait.channel, at
            )
    for alert, channels in after.given_up:
        _log.error(
            "connection %s: alert %s is given up for %s",
            connection,
            alert.kind.value,
            ", ".join(channels),
        )

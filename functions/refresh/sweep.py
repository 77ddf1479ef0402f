"""The sweep: refreshes connections before they expire.

It also continues interrupted revocations, delivers alerts, removes expired entries, such as
unfinished logins, and completes the listing of a store that an earlier version has written to.
Its progress is in the store, so that the next sweep continues one that ran out of time.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.commands import NothingDue
from domain.grant import Grant, Revoking, due_at
from domain.ledger import DONE, FAILED, INCOMPLETE
from functions.observability.tracing import waiting_for
from functions.refresh.alert_turns import AlertTurns
from functions.refresh.away_clients import AwayClients
from functions.refresh.keeper import Keeper
from functions.refresh.revocations import Revocations
from functions.refresh.sweep_outcomes import SweepOutcome, failure_reason, outcome_of
from functions.refresh.sweep_walk import SweepWalk
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Record, Store, StoreUnavailableError, UnreadableRecordError

# Providers limit token requests. A sweep may take minutes.
MAX_CONCURRENCY = 4
# No refresh starts after that, so that all finish before the function's limit (300 s).
START_LIMIT = timedelta(minutes=2)
# Then no alert is delivered any more. One takes a minute at most.
DELIVERY_LIMIT = timedelta(minutes=3)
# Of entering the records of an earlier version into the listing, once per store.
LISTING_LIMIT = timedelta(minutes=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """Counts of connections by result; `is_complete` if none was left for the next sweep.

    `left` counts those whose client or provider is away. Those left for lack of time, and those of
    other sweeps that run at the same time, are not counted.
    """

    refreshed: int
    skipped: int
    failed: int
    left: int = 0
    is_complete: bool

    @property
    def outcome(self) -> str:
        """The result in one word of `domain.ledger`: INCOMPLETE, FAILED or DONE."""
        if not self.is_complete:
            return INCOMPLETE
        return FAILED if self.failed else DONE


class _Run(NamedTuple):
    """The parts and counts of one sweep. No refresh starts after `end`."""

    end: datetime
    alerts: AlertTurns
    away: AwayClients
    turns: asyncio.Semaphore
    counts: Counter[SweepOutcome]

    @property
    def is_complete(self) -> bool:
        """Whether no connection was left so far."""
        return not (self.counts[SweepOutcome.LEFT] or self.counts[SweepOutcome.OUT_OF_TIME])

    def report(self) -> SweepReport:
        """Return the counts."""
        return SweepReport(
            refreshed=self.counts[SweepOutcome.REFRESHED],
            skipped=self.counts[SweepOutcome.SKIPPED],
            failed=self.counts[SweepOutcome.FAILED],
            left=self.counts[SweepOutcome.LEFT],
            is_complete=self.is_complete,
        )


class Sweep:
    """Refreshes due connections."""

    def __init__(
        self,
        *,
        keeper_of: Callable[[str], Keeper],
        revocations_of: Callable[[str], Revocations],
        store: Store,
        clock: Clock,
        entropy: Entropy | None = None,
        client_of: Callable[[str], str | None] = lambda _: None,
        alerts_are_on: bool = False,
        unchecked: Callable[[], AsyncGenerator[Sequence[str], None]] | None = None,
        on_end: Callable[[SweepReport], Awaitable[None]] | None = None,
    ) -> None:
        """`keeper_of` and `revocations_of` return the parts of a connection's client.

        They raise UnknownClientError, SettingsError. `client_of` names that client, and raises
        UnknownClientError. Without `entropy`, the sweep shares no work with others that run at the
        same time. `alerts_are_on`: whether there are channels. `unchecked` yields connections whose
        alerts must be checked once, in pages. The next page is requested when all of one are done.
        `on_end` stores the report of each sweep. It raises StoreUnavailableError.
        """
        self._keeper_of = keeper_of
        self._revocations_of = revocations_of
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._client_of = client_of
        self._alerts_are_on = alerts_are_on
        self._unchecked = unchecked
        self._on_end = on_end

    async def run(self) -> SweepReport:
        """Refresh all due connections, the longest overdue first, until time is up.

        Sweeps that run at the same time take a page of connections each. A failure of one
        connection is counted and logged. Raises StoreUnavailableError if the store cannot list due
        connections.
        """
        start = self._clock.now()
        run = _Run(
            end=start + START_LIMIT,
            alerts=AlertTurns(self._settle, self._clock, end=start + DELIVERY_LIMIT),
            away=AwayClients(self._client_of),
            turns=asyncio.Semaphore(MAX_CONCURRENCY),
            counts=Counter(),
        )
        await self._walk(run)
        await run.alerts.finish()
        await self._tidy()
        if await self._complete_listing():
            await self._check_once(end=start + DELIVERY_LIMIT)
        report = run.report()
        await self._store_report(report)
        return report

    async def _walk(self, run: _Run) -> None:
        """Take pages until none is left, or time is up. Raises StoreUnavailableError."""
        walk = SweepWalk(store=self._store, clock=self._clock, entropy=self._entropy)
        try:
            await self._take_pages(run, walk)
        except (Exception, asyncio.CancelledError):
            walk.leave_some()
            await walk.close()
            raise
        await walk.close()
        if left := run.counts[SweepOutcome.LEFT]:
            _log.warning("sweep: %d connections are left: their client or provider fails", left)

    async def _take_pages(self, run: _Run, walk: SweepWalk) -> None:
        while not run.counts[SweepOutcome.OUT_OF_TIME] and (page := await walk.take()):
            names = page.names if page.is_due else await self._with_work(page.names)
            turns = (self._take_turn(run, name, is_due=page.is_due) for name in names)
            run.counts.update(await asyncio.gather(*turns))
            if not run.is_complete:
                walk.leave_some()

    async def _take_turn(self, run: _Run, connection: str, *, is_due: bool) -> SweepOutcome:
        async with run.turns:
            if self._clock.now() >= run.end:
                return SweepOutcome.OUT_OF_TIME
            if run.away.has(connection):
                owes, outcome = self._alerts_are_on, SweepOutcome.LEFT
            else:
                owes, outcome = await self._refresh(run.away, connection, is_due=is_due)
        if owes:
            run.alerts.add(connection)
        return outcome

    async def _with_work(self, names: Sequence[str]) -> list[str]:
        """Return the connections of a page far from due that have something to do.

        It is one call of the store, instead of one for each.
        """
        found: list[str] = []
        left = sorted(names)
        while left:
            with waiting_for("store"):
                page = await self._store.load_records(left)
            found += [name for name, record in page.records if self._has_work(name, record)]
            left = [name for name in left if page.next is not None and name > page.next]
        return found

    def _has_work(self, connection: str, record: Record | UnreadableRecordError) -> bool:
        if isinstance(record, UnreadableRecordError):
            return True
        try:
            keeper = self._keeper_of(connection)
        except (SettingsError, UnknownClientError):
            return True
        owes = self._alerts_are_on and _owes_alerts(keeper, record)
        return owes or keeper.is_due(record.grant)

    async def _check_once(self, *, end: datetime) -> None:
        """Check the alerts of connections that no sweep has checked yet, until time is up."""
        if self._unchecked is None:
            return
        try:
            async with aclosing(self._unchecked()) as pages:
                async for page in pages:
                    turns = AlertTurns(self._settle, self._clock, end=end)
                    for connection in page:
                        turns.add(connection)
                    await turns.finish()
                    if self._clock.now() >= end:
                        break
        except StoreUnavailableError as error:
            _log.warning("sweep: the alerts of some connections are not checked: %s", error)

    async def _store_report(self, report: SweepReport) -> None:
        if self._on_end is None:
            return
        try:
            with waiting_for("store"):
                await self._on_end(report)
        except StoreUnavailableError as error:
            _log.warning("sweep: its end is not stored: %s", error)

    async def _tidy(self) -> None:
        try:
            with waiting_for("store"):
                await self._store.forget_expired(self._clock.now())
        except StoreUnavailableError as error:
            _log.warning("sweep: expired entries are not removed: %s", error)

    async def _complete_listing(self) -> bool:
        """List the records of earlier versions, too; return whether all are listed.

        The next sweep continues if time is up.
        """
        try:
            with waiting_for("store"):
                async with asyncio.timeout(LISTING_LIMIT.total_seconds()):
                    await self._store.complete_listing()
        except (StoreUnavailableError, TimeoutError) as error:
            _log.warning(
                "sweep: GET /api/connections does not list all records of an earlier version yet: "
                "%s; the next sweep continues",
                str(error) or "out of time",
            )
            return False
        return True

    async def _settle(self, connection: str) -> None:
        await self._keeper_of(connection).settle_alerts(connection)

    def _is_counted(self, grant: Grant) -> bool:
        """Whether a due record is due for its grant, and not only for its alerts."""
        if not self._alerts_are_on:
            return True
        at = due_at(grant)
        return at is not None and at <= self._clock.now()

    async def _refresh(
        self, away: AwayClients, connection: str, *, is_due: bool
    ) -> tuple[bool, SweepOutcome]:
        """Refresh a connection. Return whether its alerts need a turn, and the outcome."""
        try:
            keeper = self._keeper_of(connection)
            result = await keeper.refresh_if_due(connection)
            if isinstance(result.after, Revoking):
                await self._revocations_of(connection).revoke(connection)
            away.add(connection, result)
        except (
            SettingsError,
            StoreUnavailableError,
            UnknownClientError,
            UnreadableRecordError,
        ) as error:
            _log.error(
                "connection %s: not refreshed: %s; the next sweep tries again", connection, error
            )
            if isinstance(error, SettingsError):
                away.add_fault(connection)
            return self._alerts_are_on, SweepOutcome.FAILED
        except Exception:  # noqa: BLE001 - the other connections must go on
            _log.exception("connection %s: not refreshed; the next sweep tries again", connection)
            return self._alerts_are_on, SweepOutcome.FAILED
        owes = _owes_alerts(keeper, result.record)
        is_unchanged = isinstance(result.answer, NothingDue) and result.after == result.before
        if is_unchanged and not (is_due and self._is_counted(result.after)):
            return owes, SweepOutcome.NOT_DUE
        swept = outcome_of(result)
        if swept is SweepOutcome.FAILED:
            _log.warning("connection %s: not refreshed: %s", connection, failure_reason(result))
        return owes, swept


def _owes_alerts(keeper: Keeper, record: Record | None) -> bool:
    """Whether the alerts of a connection need a turn, as far as is known."""
    try:
        return record is None or not keeper.is_settled(record)
    except Exception:  # noqa: BLE001 - the turn reports it
        return True

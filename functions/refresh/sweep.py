"""The sweep: refreshes connections before they expire.

It also continues interrupted revocations, delivers alerts, removes expired entries, such as
unfinished logins, and completes the listing of a store that an earlier version has written to.
Its progress is in the store, so that the next sweep continues one that ran out of time.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import assert_never

from domain.commands import (
    AskForAuthorization,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    Serve,
    TryLater,
    Wait,
)
from domain.connection import is_connection
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Refreshing,
    Revoking,
    due_at,
)
from domain.ledger import DONE, FAILED, INCOMPLETE
from functions.observability.tracing import waiting_for
from functions.refresh.alert_turns import AlertTurns
from functions.refresh.keeper import Keeper, QuestionResult
from functions.refresh.revocations import Revocations
from functions.refresh.status import rfc3339
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from ports.clock import Clock
from ports.store import Store, StoreUnavailableError, UnreadableRecordError

# Providers limit token requests. A sweep may take minutes.
MAX_CONCURRENCY = 4
PAGE_SIZE = 100
# No refresh starts after that, so that all finish before the function's limit (300 s).
START_LIMIT = timedelta(minutes=2)
# Then no alert is delivered any more. One takes a minute at most.
DELIVERY_LIMIT = timedelta(minutes=3)
# Of entering the records of an earlier version into the listing, once per store.
LISTING_LIMIT = timedelta(minutes=1)
# A later due date is rare, or from a clock that was ahead.
IMPLAUSIBLE_DUE_AFTER = timedelta(days=90)

_log = logging.getLogger(__name__)


class SweepOutcome(Enum):
    """The result of a connection in a sweep."""

    REFRESHED = "refreshed"
    SKIPPED = "skipped"
    FAILED = "failed"
    # Checked for its date or its alerts only, and not counted.
    NOT_DUE = "not-due"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """Counts of connections by result; `is_complete` if no connection was left for lack of time."""

    refreshed: int
    skipped: int
    failed: int
    is_complete: bool

    @property
    def outcome(self) -> str:
        """The result in one word of `domain.ledger`: INCOMPLETE, FAILED or DONE."""
        if not self.is_complete:
            return INCOMPLETE
        return FAILED if self.failed else DONE


class Sweep:
    """Refreshes due connections."""

    def __init__(
        self,
        *,
        keeper_of: Callable[[str], Keeper],
        revocations_of: Callable[[str], Revocations],
        store: Store,
        clock: Clock,
        alerts_are_on: bool = False,
        unchecked: Callable[[], AsyncGenerator[Sequence[str], None]] | None = None,
        on_end: Callable[[SweepReport], Awaitable[None]] | None = None,
    ) -> None:
        """`keeper_of` and `revocations_of` return the parts of a connection's client.

        They raise UnknownClientError, SettingsError. `alerts_are_on`: whether there are channels.
        `unchecked` yields connections whose alerts must be checked once, in pages. The next page
        is requested when all of one are done. `on_end` stores the report of each sweep. It raises
        StoreUnavailableError.
        """
        self._keeper_of = keeper_of
        self._revocations_of = revocations_of
        self._store = store
        self._clock = clock
        self._alerts_are_on = alerts_are_on
        self._unchecked = unchecked
        self._on_end = on_end

    async def run(self) -> SweepReport:
        """Refresh all due connections, the longest overdue first, until time is up.

        A failure of one connection is counted and logged. Raises StoreUnavailableError if the store
        cannot list due connections.
        """
        start = self._clock.now()
        end, turns = start + START_LIMIT, asyncio.Semaphore(MAX_CONCURRENCY)
        alerts = AlertTurns(self._settle, self._clock, end=start + DELIVERY_LIMIT)

        async def take_turn(connection: str, *, is_due: bool) -> SweepOutcome | None:
            async with turns:
                if self._clock.now() >= end:
                    return None
                outcome = await self._refresh(connection, is_due=is_due)
            # Without channels, it may be due for what was owed before.
            if self._alerts_are_on or (is_due and outcome is SweepOutcome.SKIPPED):
                alerts.add(connection)
            return outcome

        swept: list[SweepOutcome | None] = []
        async for page, is_due in self._due():
            swept += await asyncio.gather(*(take_turn(name, is_due=is_due) for name in page))
            if None in swept:
                break
        await alerts.finish()
        await self._tidy()
        if await self._complete_listing():
            await self._check_once(end=start + DELIVERY_LIMIT)
        report = SweepReport(
            refreshed=swept.count(SweepOutcome.REFRESHED),
            skipped=swept.count(SweepOutcome.SKIPPED),
            failed=swept.count(SweepOutcome.FAILED),
            is_complete=None not in swept,
        )
        await self._store_report(report)
        return report

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

    async def _due(self) -> AsyncIterator[tuple[list[str], bool]]:
        """Yield pages of due connections, each once, although failed ones stay due.

        Then yield those far from due: their dates may be from a clock that was ahead.
        """
        now, seen = self._clock.now(), set[str]()
        far = now + IMPLAUSIBLE_DUE_AFTER
        for is_due in (True, False):
            while True:
                # Seen ones may still be due; doubling limits read each about twice.
                limit = 2 * len(seen) + PAGE_SIZE
                with waiting_for("store"):
                    found = await (
                        self._store.due(now, limit=limit)
                        if is_due
                        else self._store.due_later(far, limit=limit)
                    )
                new = [connection for connection in found if connection not in seen]
                if not new:
                    break
                seen.update(new)
                # A foreign writer may store any name, and names go into logs.
                names = list(filter(is_connection, new))
                for start in range(0, len(names), PAGE_SIZE):
                    yield names[start : start + PAGE_SIZE], is_due

    async def _settle(self, connection: str) -> None:
        await self._keeper_of(connection).settle_alerts(connection)

    def _is_counted(self, grant: Grant) -> bool:
        """Whether a due record is due for its grant, and not only for its alerts."""
        if not self._alerts_are_on:
            return True
        at = due_at(grant)
        return at is not None and at <= self._clock.now()

    async def _refresh(self, connection: str, *, is_due: bool) -> SweepOutcome:
        try:
            result = await self._keeper_of(connection).refresh_if_due(connection)
            if isinstance(result.after, Revoking):
                await self._revocations_of(connection).revoke(connection)
        except (
            SettingsError,
            StoreUnavailableError,
            UnknownClientError,
            UnreadableRecordError,
        ) as error:
            _log.error(
                "connection %s: not refreshed: %s; the next sweep tries again", connection, error
            )
            return SweepOutcome.FAILED
        except Exception:  # noqa: BLE001 - the other connections must go on
            _log.exception("connection %s: not refreshed; the next sweep tries again", connection)
            return SweepOutcome.FAILED
        is_unchanged = isinstance(result.answer, NothingDue) and result.after == result.before
        if is_unchanged and not (is_due and self._is_counted(result.after)):
            return SweepOutcome.NOT_DUE
        swept = _outcome_of(result)
        if swept is SweepOutcome.FAILED:
            _log.warning("connection %s: not refreshed: %s", connection, _failure_reason(result))
        return swept


def _failure_reason(result: QuestionResult) -> str:
    """Return the reason of a failure, and the time of the next try."""
    match result.answer, result.after:
        case (AskForAuthorization(cause=cause), _) | (_, AuthorizationRequired(cause=cause)):
            return f"login required ({cause.value})"
        case (TryLater(at=at, failure=Failure() as failure), _) | (
            _,
            Authorized(failure_state=FailureState(failure=failure, retry_at=at)),
        ):
            return f"the refresh failed ({failure.value}); next try at {rfc3339(at)}"
        case _:
            return "the grant changed meanwhile"


def _outcome_of(result: QuestionResult) -> SweepOutcome:
    match result.answer:
        case AskForAuthorization(cause=cause):
            # The owner may have revoked it after it was found due.
            is_expected = cause in {Cause.NEVER_AUTHORIZED, Cause.REVOKED}
            return SweepOutcome.SKIPPED if is_expected else SweepOutcome.FAILED
        case _ if result.is_refreshed:
            return SweepOutcome.REFRESHED
        case TryLater() | RejectedAgain():
            return SweepOutcome.FAILED
        case Wait() | ReportMoved():
            # A refresh is in flight, or it was handed over meanwhile.
            return SweepOutcome.SKIPPED
        case Serve() | NothingDue():
            # A changed grant without new tokens had a failed refresh, or has one in flight.
            is_over = not isinstance(result.after, Refreshing)
            has_failed = is_over and result.after != result.before
            return SweepOutcome.FAILED if has_failed else SweepOutcome.SKIPPED
        case _:
            assert_never(result.answer)

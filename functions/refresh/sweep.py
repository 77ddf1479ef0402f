"""The sweep: whatever would die of disuse is refreshed, one connection after the other.

A revocation that was begun and has not ended is gone on with. What the sweep has done is in the
store, so that one which ran out of time is gone on with by the next. At its end it has removed what
has expired, logins that nobody finished among them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import assert_never

from domain.commands import (
    AskForAuthorization,
    LeaveAlone,
    PointElsewhere,
    Serve,
    TryLater,
    Wait,
)
from domain.connection import is_connection
from domain.grant import Cause, Refreshing, Revoking
from functions.observability.tracing import waiting_for
from functions.refresh.keeper import Answered, Keeper
from functions.refresh.revocations import Revocations
from functions.refresh.standing import connection_status
from ports.clock import Clock
from ports.store import Store, StoreUnavailableError, UnreadableRecordError

# Providers count token requests; more at once would not make a sweep of a few minutes better.
MAX_CONCURRENCY = 4
PAGE = 100
# No refresh is begun after that; what has begun by then ends well before a function must (300 s).
TIME_TO_BEGIN = timedelta(minutes=2)
# What need not be looked at for longer than this is rare, or was dated by a clock that was ahead.
LONGEST_REST = timedelta(days=90)

_log = logging.getLogger(__name__)


class Swept(Enum):
    """What a sweep did to a connection that was due."""

    REFRESHED = "refreshed"
    SKIPPED = "skipped"
    FAILED = "failed"
    # It was looked at for its date only, and is not reported.
    NOT_DUE = "not-due"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """How many connections came to what; `is_complete` where time sufficed for all of them."""

    refreshed: int
    skipped: int
    failed: int
    is_complete: bool


class Sweep:
    """Refresh what is due."""

    def __init__(
        self, *, keeper: Keeper, revocations: Revocations, store: Store, clock: Clock
    ) -> None:
        self._keeper = keeper
        self._revocations = revocations
        self._store = store
        self._clock = clock

    async def run(self) -> SweepReport:
        """Refresh all that is due, longest overdue first, until time is up.

        Raises StoreUnavailableError where the store cannot tell what is due; what goes wrong with
        one connection is counted and logged.
        """
        end = self._clock.now() + TIME_TO_BEGIN
        turns = asyncio.Semaphore(MAX_CONCURRENCY)

        async def take_turn(connection: str, *, is_due: bool) -> Swept | None:
            async with turns:
                if self._clock.now() >= end:
                    return None
                return await self._refresh(connection, is_due=is_due)

        swept: list[Swept | None] = []
        async for page, is_due in self._due():
            swept += await asyncio.gather(*(take_turn(name, is_due=is_due) for name in page))
            if None in swept:
                break
        await self._tidy()
        return SweepReport(
            refreshed=swept.count(Swept.REFRESHED),
            skipped=swept.count(Swept.SKIPPED),
            failed=swept.count(Swept.FAILED),
            is_complete=None not in swept,
        )

    async def _tidy(self) -> None:
        try:
            with waiting_for("store"):
                await self._store.forget_expired(self._clock.now())
        except StoreUnavailableError as error:
            _log.warning("sweep: expired entries are not removed: %s", error)

    async def _due(self) -> AsyncIterator[tuple[list[str], bool]]:
        """Name what is due, each connection once, although those that fail stay due.

        And then what is not, by its date, which may be of a clock that was ahead.
        """
        now, seen = self._clock.now(), set[str]()
        far = now + LONGEST_REST
        for is_due in (True, False):
            while True:
                # Those that were seen may still be due. In steps that double, all of them are read
                # again about once.
                limit = 2 * len(seen) + PAGE
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
                # Whoever writes to the store names what he likes, and names go into logs.
                names = list(filter(is_connection, new))
                for start in range(0, len(names), PAGE):
                    yield names[start : start + PAGE], is_due

    async def _refresh(self, connection: str, *, is_due: bool) -> Swept:
        try:
            answered = await self._keeper.refresh_if_due(connection)
            if isinstance(answered.after, Revoking):
                await self._revocations.revoke(connection)
        except (StoreUnavailableError, UnreadableRecordError) as error:
            _log.error("connection %s: not refreshed: %s", connection, error)
            return Swept.FAILED
        except Exception:  # noqa: BLE001 - whatever it is, the others must not suffer from it
            _log.exception("connection %s: not refreshed", connection)
            return Swept.FAILED
        is_left_alone = isinstance(answered.answer, LeaveAlone)
        if is_left_alone and not is_due and answered.after == answered.before:
            return Swept.NOT_DUE
        swept = _judge(answered)
        if swept is Swept.FAILED:
            stands = connection_status(answered.after, self._clock.now())
            _log.warning("connection %s: not refreshed: %s", connection, stands)
        return swept


def _judge(answered: Answered) -> Swept:
    match answered.answer:
        case AskForAuthorization(cause=cause):
            # Unless it was forgotten or revoked after it had been found to be due.
            is_wanted = cause in {Cause.NEVER_AUTHORIZED, Cause.REVOKED}
            return Swept.SKIPPED if is_wanted else Swept.FAILED
        case _ if answered.is_refreshed:
            return Swept.REFRESHED
        case TryLater():
            return Swept.FAILED
        case Wait() | PointElsewhere():
            # An attempt goes on; or it was handed over after it had been found to be due.
            return Swept.SKIPPED
        case Serve() | LeaveAlone():
            # What has changed and is not refreshed has had an attempt that failed, or has one now.
            is_over = not isinstance(answered.after, Refreshing)
            has_failed = is_over and answered.after != answered.before
            return Swept.FAILED if has_failed else Swept.SKIPPED
        case _:
            assert_never(answered.answer)

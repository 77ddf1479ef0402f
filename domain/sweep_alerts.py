"""The alert of a sweep that is overdue, in the book of the deployment's own record.

(10) The sweep is overdue when the last one ended longer ago than the threshold; before the first
     one, when that time has passed since somebody looked first. It owes its alert once. The end of
     a sweep ends the condition, and owes nothing.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.alert_book import EMPTY, AlertBook, Condition
from domain.alert_delivery import claimed, is_claimed, is_deliverable, owe
from domain.alerts import Alert, AlertKind
from domain.tokens import MAX_CLOCK_SKEW


def sweep_book_after(
    book: AlertBook | None,
    ended_at: datetime | None,
    threshold: timedelta,
    now: datetime,
    *,
    new_id: str,
) -> AlertBook:
    """Return the book of the deployment at this time (rule 10).

    `ended_at`: when the last sweep ended. `new_id` is fresh random text. If the book has a claim
    with this id, the writer delivers.
    """
    book = book or EMPTY
    known = _unless_ahead(ended_at, now)
    overdue_at = _overdue_at(book, known, threshold, now)
    found = _with_condition(book, known, now, is_overdue=now >= overdue_at, new_id=new_id)
    found = replace(found, check_at=overdue_at)
    # A channel that waits delays no other.
    is_new = found.owed != book.owed and not is_claimed(found, now)
    return claimed(found, new_id, now) if is_new or is_deliverable(found, now) else found


def _unless_ahead(instant: datetime | None, now: datetime) -> datetime | None:
    """Return the instant, unless a clock that was ahead gave it."""
    return instant if instant is not None and instant <= now + MAX_CLOCK_SKEW else None


def _overdue_at(
    book: AlertBook, ended_at: datetime | None, threshold: timedelta, now: datetime
) -> datetime:
    if ended_at is not None:
        return ended_at + threshold
    latest = now + threshold
    return latest if book.check_at is None else min(book.check_at, latest)


def _with_condition(
    book: AlertBook, ended_at: datetime | None, now: datetime, *, is_overdue: bool, new_id: str
) -> AlertBook:
    there = book.condition(AlertKind.SWEEP_OVERDUE)
    if there is not None:
        if not _has_ended_since(there, ended_at, is_overdue=is_overdue):
            return book
        book = replace(book, open=tuple(each for each in book.open if each is not there))
    if not is_overdue:
        return book
    found = Condition(kind=AlertKind.SWEEP_OVERDUE, since=now, issued_at=ended_at)
    alert = Alert(id=new_id, kind=AlertKind.SWEEP_OVERDUE, at=now, since=ended_at)
    return owe(replace(book, open=(*book.open, found)), [alert], now)


def _has_ended_since(there: Condition, ended_at: datetime | None, *, is_overdue: bool) -> bool:
    """Whether a sweep has ended since the last one was overdue.

    Otherwise another clock is ahead, and would owe the alert again and again.
    """
    if not is_overdue:
        return there.issued_at != ended_at
    return ended_at is not None and (there.issued_at is None or there.issued_at < ended_at)

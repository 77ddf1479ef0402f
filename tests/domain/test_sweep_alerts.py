"""Rule 10 of alerts: when the sweep is overdue, and that it is owed once."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.alert_book import AlertBook, ChannelWait, Claim, Condition
from domain.alert_delivery import LEASE
from domain.alerts import AlertKind
from domain.sweep_alerts import sweep_book_after
from domain.tokens import MAX_CLOCK_SKEW
from tests.domain.examples import DAY, SECOND, T0

THRESHOLD = timedelta(hours=26)
YEAR = 365 * DAY


def after(book: AlertBook | None, ended_at: datetime | None, now: datetime) -> AlertBook:
    return sweep_book_after(book, ended_at, THRESHOLD, now, new_id="new")


def is_open(book: AlertBook) -> bool:
    return book.condition(AlertKind.SWEEP_OVERDUE) is not None


@pytest.mark.parametrize(
    ("since_end", "is_overdue"),
    [
        pytest.param(-MAX_CLOCK_SKEW, False, id="a-clock-slightly-ahead"),
        pytest.param(THRESHOLD - SECOND, False, id="in-time"),
        pytest.param(THRESHOLD, True, id="overdue"),
        pytest.param(YEAR, True, id="long-overdue"),
        pytest.param(-YEAR, False, id="a-clock-that-was-ahead"),
    ],
)
def test_the_sweep_is_overdue_a_threshold_after_the_last_one(
    since_end: timedelta, *, is_overdue: bool
) -> None:
    ended_at = T0 - since_end
    book = after(None, ended_at, T0)
    assert is_open(book) is is_overdue
    owed = [(each.alert.kind, each.alert.since, each.alert.id) for each in book.owed]
    assert owed == ([(AlertKind.SWEEP_OVERDUE, ended_at, "new")] if is_overdue else [])
    assert (book.claim is not None) is is_overdue


def test_what_is_overdue_has_the_time_of_the_look() -> None:
    book = after(None, T0 - YEAR, T0)
    assert [(each.since, each.alert.at) for each in book.owed] == [(T0, T0)]
    assert book.open == (Condition(kind=AlertKind.SWEEP_OVERDUE, since=T0, issued_at=T0 - YEAR),)


def test_before_the_first_sweep_the_first_look_counts() -> None:
    first = after(None, None, T0)
    assert (is_open(first), first.check_at) == (False, T0 + THRESHOLD)
    assert after(first, None, T0 + THRESHOLD - SECOND) == first
    overdue = after(first, None, T0 + THRESHOLD)
    assert [each.alert.since for each in overdue.owed] == [None]


def test_a_first_look_by_a_clock_ahead_is_judged_again() -> None:
    ahead = after(None, None, T0 + YEAR)
    assert after(ahead, None, T0).check_at == T0 + THRESHOLD


def test_an_end_by_a_clock_ahead_does_not_silence_the_alert() -> None:
    book, ended_at = after(None, T0 + YEAR, T0), T0 + YEAR
    assert not is_open(book)
    assert is_open(after(book, ended_at, T0 + THRESHOLD))


def test_clocks_that_are_far_apart_owe_it_once_for_each_sweep() -> None:
    book: AlertBook | None = None
    for day in range(2):
        ended_at = T0 + day * DAY
        for hours in range(1, 5):
            now = ended_at + hours * timedelta(hours=1)
            book = after(book, ended_at, now)
            book = after(book, ended_at, now + THRESHOLD)
    assert book is not None
    assert [each.alert.since for each in book.owed] == [T0, T0 + DAY]


def test_it_is_owed_once_and_the_next_sweep_ends_it() -> None:
    overdue = after(None, T0 - YEAR, T0)
    again = after(overdue, T0 - YEAR, T0 + LEASE / 2)
    assert again == overdue
    delivered = replace(overdue, owed=(), claim=None)
    assert after(delivered, T0 - YEAR, T0 + DAY) == delivered
    # The sweep's clock is slightly ahead.
    swept = after(delivered, T0 + DAY, T0 + DAY - MAX_CLOCK_SKEW)
    assert (swept.open, swept.owed, swept.check_at) == ((), (), T0 + DAY + THRESHOLD)
    assert len(after(swept, T0 + DAY, T0 + 3 * DAY).owed) == 1


def test_an_alert_of_an_instance_that_stopped_is_delivered_by_another() -> None:
    overdue = after(None, T0 - YEAR, T0)
    later = T0 + LEASE + SECOND
    taken = sweep_book_after(overdue, T0 - YEAR, THRESHOLD, later, new_id="another")
    assert taken.claim is not None
    assert (taken.claim.id, [each.alert.id for each in taken.owed]) == ("another", ["new"])


def test_what_is_owed_stays_when_a_sweep_ends_and_other_conditions_stay() -> None:
    other = Condition(kind=AlertKind.TEST, since=T0)
    overdue = after(AlertBook(open=(other,)), T0 - YEAR, T0)
    assert (overdue.open[0], is_open(overdue)) == (other, True)
    swept = after(overdue, T0, T0)
    assert (swept.open, swept.owed) == ((other,), overdue.owed)


def test_a_channel_that_waits_delays_the_alert_for_no_other() -> None:
    wait = ChannelWait(channel="away", tries=3, next_try_at=T0 + THRESHOLD + SECOND)
    before = after(None, T0 - DAY, T0)
    book = after(replace(before, waits=(wait,)), T0, T0 + THRESHOLD)
    assert (len(book.owed), book.claim is not None) == (1, True)
    busy = Claim(id="other", until=T0 + THRESHOLD + SECOND)
    claimed_by_other = after(replace(before, waits=(wait,), claim=busy), T0, T0 + THRESHOLD)
    assert (len(claimed_by_other.owed), claimed_by_other.claim) == (1, busy)


def test_sweeps_that_are_missing_again_are_owed_again_though_nobody_looked_between() -> None:
    first = after(None, T0, T0 + THRESHOLD)
    ended_at = T0 + YEAR
    again = after(first, ended_at, ended_at + THRESHOLD)
    assert [each.alert.since for each in again.owed] == [T0, ended_at]
    assert [each.issued_at for each in again.open] == [ended_at]
    # An earlier end is of a clock that is behind, and none at all of one that was ahead.
    for other in (T0, None):
        assert after(again, other, ended_at + THRESHOLD).owed == again.owed


def test_after_the_first_sweep_of_all_missing_ones_are_owed_again() -> None:
    never = after(after(None, None, T0), None, T0 + THRESHOLD)
    again = after(never, T0 + YEAR, T0 + YEAR + THRESHOLD)
    assert [each.alert.since for each in again.owed] == [None, T0 + YEAR]

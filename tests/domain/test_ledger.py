"""The ledger: short, in order, and refreshes do not displace logins."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings

from domain.ledger import (
    MAX_ENTRIES,
    MAX_GIVEN_UP,
    MAX_OTHERS,
    MAX_REFRESHES,
    Entry,
    HistoryEvent,
    Ledger,
    Note,
    append_entry,
    append_refresh_time,
    count_refresh,
    merge_ledgers,
)
from tests.domain.examples import SECOND, T0
from tests.strategies import entries, ledgers
from tests.thorough import times

REFRESHES = [HistoryEvent.REFRESH, HistoryEvent.REFRESH_FAILED]
ALERTS = [HistoryEvent.ALERT_GIVEN_UP]
OTHERS = [event for event in HistoryEvent if event not in (*REFRESHES, *ALERTS)]


def entry(seconds: int, event: HistoryEvent = HistoryEvent.REFRESH) -> Entry:
    at = T0 + seconds * SECOND
    return Entry(at=at, event=event, generation=seconds, key_name=None, outcome="tokens")


def run_of(event: HistoryEvent, count: int, *, first: int = 0) -> Ledger:
    return tuple(entry(number, event) for number in range(first, first + count))


def written(new: Ledger, ledger: Ledger = ()) -> Ledger:
    for each in new:
        ledger = append_entry(ledger, each)
    return ledger


def test_the_ledger_holds_half_a_day_of_refreshes_and_some_logins() -> None:
    assert MAX_REFRESHES * timedelta(minutes=30) == timedelta(hours=12)
    assert (MAX_REFRESHES, MAX_OTHERS, MAX_GIVEN_UP, MAX_ENTRIES) == (24, 8, 4, 36)


def test_the_newest_entry_is_the_last_one() -> None:
    assert append_entry((), entry(1)) == (entry(1),)
    assert append_entry((entry(1), entry(2)), entry(3)) == (entry(1), entry(2), entry(3))
    assert append_entry((entry(1),), entry(1)) == (entry(1), entry(1))


@pytest.mark.parametrize(
    ("event", "room"),
    [(each, MAX_REFRESHES) for each in REFRESHES]
    + [(each, MAX_OTHERS) for each in OTHERS]
    + [(each, MAX_GIVEN_UP) for each in ALERTS],
)
def test_a_full_ledger_drops_the_oldest_entry_of_the_same_kind(
    event: HistoryEvent, room: int
) -> None:
    full = run_of(event, room)
    assert written(full) == full
    assert written(run_of(event, room + 3)) == run_of(event, room, first=3)


def test_alerts_that_were_given_up_do_not_displace_logins() -> None:
    logins = run_of(HistoryEvent.LOGIN, MAX_OTHERS)
    alerts = run_of(HistoryEvent.ALERT_GIVEN_UP, 50, first=100)
    assert written(alerts, logins) == (*logins, *alerts[-MAX_GIVEN_UP:])
    assert written(logins, alerts) == (*alerts[-MAX_GIVEN_UP:], *logins)


@pytest.mark.parametrize("refresh", REFRESHES)
@pytest.mark.parametrize("other", OTHERS)
def test_neither_kind_crowds_out_the_other(refresh: HistoryEvent, other: HistoryEvent) -> None:
    logins = run_of(other, MAX_OTHERS)
    refreshes = run_of(refresh, MAX_REFRESHES, first=100)
    more = run_of(refresh, 50, first=200)
    assert written(refreshes, logins) == (*logins, *refreshes)
    assert written(more, (*logins, *refreshes)) == (*logins, *more[-MAX_REFRESHES:])
    later = run_of(other, 50, first=300)
    assert written(later, (*logins, *refreshes)) == (*refreshes, *later[-MAX_OTHERS:])


def test_both_kinds_of_refresh_share_their_room() -> None:
    both = tuple(entry(number, REFRESHES[number % 2]) for number in range(MAX_REFRESHES + 1))
    assert written(both) == both[1:]


def test_two_ledgers_are_one_in_the_order_of_time() -> None:
    assert merge_ledgers((entry(1), entry(3)), (entry(2), entry(4))) == tuple(
        map(entry, (1, 2, 3, 4))
    )
    assert merge_ledgers((), (entry(1),)) == merge_ledgers((entry(1),), ()) == (entry(1),)


def test_entries_of_the_same_second_keep_their_order() -> None:
    one, two, three = (entry(1)._replace(generation=number) for number in (3, 1, 2))
    assert merge_ledgers((one, two), (three,)) == (one, two, three)
    assert merge_ledgers((three,), (one, two)) == (three, one, two)


def test_a_merge_keeps_common_entries_once_and_repeated_entries_of_one_ledger() -> None:
    assert merge_ledgers((entry(1), entry(2)), (entry(1), entry(2), entry(3))) == tuple(
        map(entry, (1, 2, 3))
    )
    assert merge_ledgers((entry(1), entry(1)), (entry(1), entry(2))) == (
        entry(1),
        entry(1),
        entry(2),
    )
    assert merge_ledgers((entry(2),), (entry(1), entry(1))) == (entry(1), entry(1), entry(2))


def test_a_full_merge_drops_the_oldest_entries_of_both_ledgers() -> None:
    there = run_of(HistoryEvent.LOGIN, MAX_OTHERS, first=10)
    arrived = run_of(HistoryEvent.MOVED, MAX_OTHERS, first=14)
    assert len(merge_ledgers(there, arrived)) == MAX_OTHERS
    assert merge_ledgers(there, arrived)[0].at == T0 + 16 * SECOND
    assert merge_ledgers(there, arrived)[-1] == arrived[-1]


@settings(max_examples=times(100))
@given(ledger=ledgers, new=entries)
def test_no_ledger_is_longer_than_it_may_be(ledger: Ledger, new: Entry) -> None:
    after = append_entry(ledger, new)
    assert after[-1] == new
    assert len(after) <= MAX_ENTRIES
    events = [each.event for each in after]
    assert sum(map(events.count, REFRESHES)) <= MAX_REFRESHES
    assert sum(map(events.count, ALERTS)) <= MAX_GIVEN_UP
    assert sum(map(events.count, OTHERS)) <= MAX_OTHERS


def test_an_entry_of_a_wrong_clock_keeps_its_position() -> None:
    wrong = (entry(1), entry(900), entry(2), entry(-900), entry(3))
    assert (
        merge_ledgers(wrong, ()) == merge_ledgers((), wrong) == merge_ledgers(wrong, wrong) == wrong
    )
    assert [
        each for each in merge_ledgers(wrong, (entry(2)._replace(generation=7),)) if each in wrong
    ] == [*wrong]


@settings(max_examples=times(100))
@given(there=ledgers, arrived=ledgers)
def test_a_merged_ledger_keeps_the_order_of_both_and_is_short_and_to_merge_it_again_changes_nothing(
    there: Ledger, arrived: Ledger
) -> None:
    once = merge_ledgers(there, arrived)
    for ledger in (there, tuple(each for each in arrived if each not in there)):
        told = [each for each in ledger if each in once]
        assert is_part_of(told, once) or len(there) + len(arrived) > len(once)
    assert len(once) <= MAX_ENTRIES
    assert merge_ledgers(once, once) == once


def is_part_of(part: Sequence[Entry], whole: Iterable[Entry]) -> bool:
    """Whether a sequence is left if others are taken out of the whole."""
    rest = iter(whole)
    return all(any(each == other for other in rest) for each in part)


@pytest.mark.parametrize("event", HistoryEvent)
def test_the_ends_of_refreshes_are_counted_by_outcome(event: HistoryEvent) -> None:
    counted = {*REFRESHES, HistoryEvent.REFRESH_REFUSED}
    before = {"tokens": 7, "not-sent": 1}
    note = Note(event=event, generation=1, outcome="tokens")
    assert count_refresh(before, note) == {"tokens": 7 + (event in counted), "not-sent": 1}
    assert before == {"tokens": 7, "not-sent": 1}
    assert count_refresh({}, note) == ({"tokens": 1} if event in counted else {})


@pytest.mark.parametrize(
    ("before", "took", "after"),
    [
        pytest.param([], 3, [3], id="first"),
        pytest.param([1, 2], 3, [1, 2, 3], id="newest-is-last"),
        pytest.param([1, 2, 3, 4, 5], 6, [2, 3, 4, 5, 6], id="five-stay"),
        pytest.param([1], 0, [1, 0], id="at-once"),
        pytest.param([1], 30, [1, 30], id="longest"),
        pytest.param([1], -1, [1], id="clock-set-back"),
        pytest.param([1], 31, [1], id="clock-set-forward"),
    ],
)
def test_times_of_the_last_refreshes_are_kept(
    before: list[int], took: int, after: list[int]
) -> None:
    times = tuple(each * SECOND for each in before)
    found = append_refresh_time(times, took * SECOND, longest=30 * SECOND)
    assert found == tuple(each * SECOND for each in after)

"""The outbox: one instance delivers, each channel in order, at least once (rules 5 to 9)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.alert_book import EMPTY, AlertBook, ChannelWait, Claim, Owed, record_due_at
from domain.alert_delivery import (
    BACKOFF,
    LEASE,
    LONGEST_WAIT,
    MAX_OWED,
    POSTPONED,
    GivenUp,
    Needs,
    Result,
    after_round,
    claimed,
    dropped,
    given_up_note,
    is_claimed,
    is_deliverable,
    next_send_at,
    owe,
    queue,
)
from domain.alerts import Alert, AlertKind, AlertThresholds
from domain.grant import AuthorizationRequired, Authorized, Cause, Grant, Unauthorized, due_at
from domain.ledger import NOT_DELIVERED, HistoryEvent, Note
from domain.tokens import CLOCK_LOST_AFTER
from tests.domain.examples import DAY, MINUTE, SECOND, T0, TOKENS

NOW = T0
THREE_DAYS = 3 * DAY


def alert(name: str, kind: AlertKind = AlertKind.LOGIN_NEEDED) -> Alert:
    return Alert(id=name, kind=kind, at=NOW)


A, B, C = alert("a"), alert("b", AlertKind.RECOVERED), alert("c")
BOOK = owe(EMPTY, [A, B, C], NOW)


def to(*channels: str, **of_kind: str) -> Needs:
    """All alerts are for these channels, and some of them are for more."""
    return lambda each: {*channels, *(c for c, k in of_kind.items() if k == each.kind.value)}


def after(
    book: AlertBook, *results: Result, now: datetime = NOW, needs: Needs | None = None
) -> AlertBook:
    needs = to("one", "two") if needs is None else needs
    return after_round(book, results, needs, now, give_up_after=THREE_DAYS).book


def left(book: AlertBook) -> Mapping[str, frozenset[str]]:
    return {owed.alert.id: owed.done for owed in book.owed}


def took(channel: str, *alerts: Alert) -> Result:
    return Result(channel, took=frozenset(each.id for each in alerts))


def failed(channel: str, *alerts: Alert, retry_after: timedelta = timedelta(0)) -> Result:
    return took(channel, *alerts)._replace(has_failed=True, retry_after=retry_after)


def postponed(channel: str) -> Result:
    return Result(channel, is_postponed=True)


def wait(channel: str, tries: int, pause: timedelta) -> ChannelWait:
    return ChannelWait(channel=channel, tries=tries, next_try_at=NOW + pause)


def test_the_durations_are_the_documented_ones() -> None:
    assert [pause / SECOND for pause in BACKOFF] == [5, 60, 300, 1800, 7200, 21600]
    assert (LEASE, POSTPONED, LONGEST_WAIT, MAX_OWED) == (MINUTE, MINUTE, DAY / 4, 50)


def test_the_thresholds_are_the_documented_ones() -> None:
    thresholds, hour = AlertThresholds(), timedelta(hours=1)
    assert list(thresholds.expires_soon) == [14 * DAY, 7 * DAY, DAY]
    assert (thresholds.refresh_failing, thresholds.sweep_overdue) == (hour, 26 * hour)
    assert thresholds.give_up_after == THREE_DAYS


def test_an_alert_without_facts_has_none() -> None:
    assert [A.cause, A.since, A.expires_at, A.account, A.quote] == [None] * 5


def test_alerts_are_owed_in_order_and_the_oldest_have_no_room() -> None:
    assert [owed.alert for owed in BOOK.owed] == [A, B, C]
    assert {owed.since for owed in BOOK.owed} == {NOW}
    many = owe(EMPTY, [alert(str(number)) for number in range(MAX_OWED)], NOW)
    more = owe(many, [A], NOW)
    assert len(more.owed) == MAX_OWED
    assert more.owed[-1].alert == A
    assert list(dropped(many, more)) == [GivenUp(alert("0"), ())]
    assert list(dropped(None, more)) == list(dropped(many, many)) == []
    assert len(list(dropped(many, None))) == MAX_OWED


@pytest.mark.parametrize(
    ("seconds", "is_held"),
    [
        pytest.param(0, True, id="begun"),
        pytest.param(59, True, id="last-second"),
        pytest.param(60, False, id="ran-out"),
        pytest.param(-60, True, id="clocks-differ"),
        pytest.param(-61, False, id="clock-was-ahead"),
    ],
)
def test_a_claim_holds_for_its_lease(seconds: int, *, is_held: bool) -> None:
    book, now = claimed(BOOK, "mine", NOW), NOW + seconds * SECOND
    assert book.claim == Claim(id="mine", until=NOW + LEASE)
    assert is_claimed(book, now) is is_held
    assert is_deliverable(book, now) is not is_held


WAITING = replace(BOOK, waits=(wait("one", 1, MINUTE), wait("two", 4, 30 * MINUTE)))


AWAY = replace(BOOK, waits=(wait("one", 9, LONGEST_WAIT),))


@pytest.mark.parametrize(
    ("book", "now", "is_due"),
    [
        pytest.param(EMPTY, NOW, False, id="nothing"),
        pytest.param(claimed(EMPTY, "x", NOW), NOW + DAY, False, id="nothing-claimed"),
        pytest.param(BOOK, NOW, True, id="nobody-has-tried"),
        pytest.param(WAITING, NOW + MINUTE - SECOND, False, id="all-wait"),
        pytest.param(WAITING, NOW + MINUTE, True, id="one-is-due"),
        pytest.param(AWAY, NOW - MINUTE, False, id="the-longest-wait-of-another-clock"),
        pytest.param(AWAY, NOW - MINUTE - SECOND, True, id="a-clock-was-ahead"),
        pytest.param(claimed(WAITING, "x", NOW - MINUTE), NOW, True, id="its-instance-stopped"),
    ],
)
def test_what_is_owed_is_delivered_when_a_channel_is_due(
    book: AlertBook, now: datetime, *, is_due: bool
) -> None:
    assert is_deliverable(book, now) is is_due


def test_a_record_is_due_for_its_next_delivery() -> None:
    grant = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
    )
    good = Authorized(tokens=TOKENS)
    assert record_due_at(grant, None) is record_due_at(grant, EMPTY) is None
    assert record_due_at(grant, BOOK) == NOW
    assert record_due_at(grant, owe(owe(EMPTY, [A], NOW), [B], NOW + DAY)) == NOW
    assert record_due_at(grant, WAITING) == NOW + MINUTE
    assert record_due_at(grant, claimed(WAITING, "x", NOW)) == NOW + LEASE
    assert record_due_at(grant, replace(EMPTY, check_at=NOW + DAY)) == NOW + DAY
    assert record_due_at(good, replace(EMPTY, check_at=NOW + 900 * DAY)) == due_at(good)
    assert record_due_at(good, replace(WAITING, check_at=NOW + SECOND)) == NOW + SECOND


def test_each_channel_gets_the_alerts_in_order_that_it_lacks() -> None:
    assert queue(BOOK, "one", NOW) == (A, B, C)
    some = after(BOOK, took("one", A, B))
    assert queue(some, "one", NOW) == (C,)
    assert queue(some, "two", NOW) == (A, B, C)
    assert queue(WAITING, "one", NOW) == ()
    assert queue(WAITING, "one", NOW + MINUTE) == (A, B, C)
    assert queue(WAITING, "three", NOW) == (A, B, C)


def test_an_alert_is_over_when_every_channel_that_needs_it_took_it() -> None:
    book = after(BOOK, took("one", A, B, C), took("two", A))
    assert left(book) == {"b": {"one"}, "c": {"one"}}
    assert after(book, took("two", B, C)) == EMPTY
    assert after(BOOK, took("one", A, B, C), needs=to("one")) == EMPTY
    assert after(BOOK, needs=to()) == EMPTY
    only = after(BOOK, took("one", A, B, C), needs=to("one", two="connection.recovered"))
    assert left(only) == {"b": {"one"}}


def test_a_round_gives_the_claim_back_and_keeps_the_rest_of_the_book() -> None:
    book = replace(claimed(BOOK, "mine", NOW), check_at=NOW, failing_since=NOW, unprolonged=NOW)
    end = after(book, took("one", A), took("two", A))
    assert end == replace(book, claim=None, owed=book.owed[1:])


def test_alerts_that_were_owed_during_a_round_stay() -> None:
    newer = owe(BOOK, [alert("d")], NOW + SECOND)
    end = after(newer, took("one", A, B, C), took("two", A, B, C))
    assert left(end) == {"d": set()}
    assert next_send_at(end, to("one"), NOW) == NOW


def test_a_channel_that_fails_waits_longer_each_time_and_another_does_not() -> None:
    book, failing = BOOK, failed("one")
    for tries, pause in enumerate((*BACKOFF, BACKOFF[-1], BACKOFF[-1]), start=1):
        book = after(book, failing, took("two", A))
        assert book.waits == (wait("one", tries, pause),)
    assert tuple(sorted(BACKOFF)) == BACKOFF
    assert queue(book, "two", NOW) == (B, C)
    # It takes one and fails at the next: that is a first failure.
    again = after(book, failed("one", A), took("two"))
    assert again.waits == (wait("one", 1, BACKOFF[0]),)
    works = after(again, took("one", B), took("two"))
    assert works.waits == ()


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        pytest.param(timedelta(0), BACKOFF[0], id="none"),
        pytest.param(SECOND, BACKOFF[0], id="shorter"),
        pytest.param(20 * MINUTE, 20 * MINUTE, id="longer"),
        pytest.param(900 * DAY, LONGEST_WAIT, id="too-long"),
    ],
)
def test_a_channel_may_ask_for_a_longer_wait(retry_after: timedelta, pause: timedelta) -> None:
    book = after(BOOK, failed("one", retry_after=retry_after))
    assert book.waits == (wait("one", 1, pause),)


def test_a_result_is_no_failure_unless_it_says_so() -> None:
    result = Result("one")
    assert [result.has_failed, result.is_gone, result.is_postponed] == [False] * 3
    assert (result.took, result.retry_after) == (frozenset(), timedelta(0))


def test_a_channel_that_was_not_asked_has_not_failed() -> None:
    book = after(BOOK, postponed("one"), now=NOW + 9 * DAY)
    assert left(book) == {"a": set(), "b": set(), "c": set()}
    assert book.waits == (replace(wait("one", 0, 9 * DAY + POSTPONED)),)
    waiting = after(WAITING, postponed("two"))
    assert waiting.waits == (wait("one", 1, MINUTE), wait("two", 4, POSTPONED))


def test_the_wait_of_a_channel_that_lacks_nothing_is_forgotten() -> None:
    book = after(WAITING, took("one", A, B, C))
    assert book.waits == (wait("two", 4, 30 * MINUTE),)
    assert after(WAITING, needs=to("one")).waits == (wait("one", 1, MINUTE),)


@pytest.mark.parametrize(
    ("book", "needs", "at"),
    [
        pytest.param(EMPTY, to("one"), None, id="nothing"),
        pytest.param(BOOK, to(), None, id="for-nobody"),
        pytest.param(BOOK, to("one"), NOW, id="now"),
        pytest.param(WAITING, to("one", "two"), NOW + MINUTE, id="the-first"),
        pytest.param(WAITING, to("two"), NOW + 30 * MINUTE, id="the-only-one"),
        pytest.param(
            WAITING, to(two="connection.recovered"), NOW + 30 * MINUTE, id="for-one-alert-only"
        ),
        pytest.param(WAITING, to("two", "three"), NOW, id="a-new-channel"),
        pytest.param(
            replace(BOOK, owed=(Owed(alert=A, since=NOW, done=frozenset({"one"})),)),
            to("one"),
            None,
            id="it-has-it",
        ),
        pytest.param(
            replace(BOOK, waits=(wait("one", 1, 2 * LONGEST_WAIT),)), to("one"), NOW, id="clock"
        ),
    ],
)
def test_the_next_send_is_when_a_channel_can_get_what_it_lacks(
    book: AlertBook, needs: Needs, at: datetime | None
) -> None:
    assert next_send_at(book, needs, NOW) == at


@pytest.mark.parametrize(
    ("age", "result", "given_up", "stays"),
    [
        pytest.param(THREE_DAYS - SECOND, failed("one"), [], {"a", "b"}, id="too-young"),
        pytest.param(THREE_DAYS, failed("one"), [GivenUp(A, ("one",))], {"b"}, id="old"),
        pytest.param(THREE_DAYS, failed("one", A), [], {"b"}, id="took-it"),
        pytest.param(9 * DAY, took("one", A), [], {"b"}, id="late"),
        pytest.param(9 * DAY, postponed("one"), [], {"a", "b"}, id="not-asked"),
        pytest.param(9 * DAY, failed("two"), [], {"a", "b"}, id="another"),
        pytest.param(
            MINUTE,
            Result("one", is_gone=True),
            [GivenUp(A, ("one",)), GivenUp(B, ("one",))],
            set(),
            id="gone",
        ),
    ],
)
def test_an_alert_is_given_up_after_three_days_of_failures(
    age: timedelta, result: Result, given_up: list[GivenUp], stays: set[str]
) -> None:
    book = owe(owe(EMPTY, [A], NOW), [B], NOW + age)
    end = after_round(book, [result], to("one"), NOW + age, give_up_after=THREE_DAYS)
    assert list(end.given_up) == given_up
    assert set(left(end.book)) == stays


def test_an_alert_is_given_up_for_the_channels_that_failed_only() -> None:
    results = [failed("two"), failed("one"), took("three", A)]
    needs = to("one", "two", "three", "four")
    book = owe(EMPTY, [A], NOW)
    end = after_round(book, results, needs, NOW + THREE_DAYS, give_up_after=THREE_DAYS)
    assert end.given_up == (GivenUp(A, ("one", "two")),)
    assert left(end.book) == {"a": {"one", "two", "three"}}


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(NOW + MINUTE, NOW + MINUTE, id="clocks-differ"),
        pytest.param(NOW + MINUTE + SECOND, NOW, id="clock-was-ahead"),
        pytest.param(NOW - CLOCK_LOST_AFTER, None, id="a-year-old"),
        pytest.param(NOW - CLOCK_LOST_AFTER - SECOND, NOW, id="clock-was-behind"),
    ],
)
def test_a_wrong_clock_neither_keeps_an_alert_for_years_nor_gives_it_up(
    since: datetime, expected: datetime | None
) -> None:
    book = owe(EMPTY, [A], since)
    end = after(book, failed("one"), needs=to("one"))
    assert [owed.since for owed in end.owed] == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("grant", "channels", "generation", "quote"),
    [
        pytest.param(
            Authorized(tokens=TOKENS),
            ("one", "two"),
            7,
            "connection.login-needed: one, two",
            id="channels",
        ),
        pytest.param(
            Unauthorized(), (), None, "connection.login-needed: too many alerts", id="room"
        ),
    ],
)
def test_the_history_names_what_was_given_up(
    grant: Grant, channels: tuple[str, ...], generation: int | None, quote: str
) -> None:
    assert given_up_note(GivenUp(A, channels), grant) == Note(
        event=HistoryEvent.ALERT_GIVEN_UP,
        generation=generation,
        outcome=NOT_DELIVERED,
        quote=quote,
        is_requested=False,
    )

"""One write: the facts of the alerts that it owes, its claim, and when to look again."""

from dataclasses import replace
from datetime import datetime

import pytest

from domain.alert_book import AlertBook, ChannelWait, Claim, EndingLogin
from domain.alert_changes import News
from domain.alerts import AlertKind
from domain.grant import Adopting, Authorized, Failure, Grant, Requesting, Unauthorized
from tests.domain.alert_stories import Connection
from tests.domain.examples import DAY, EXPIRED, MINUTE, POLICY, REFRESH_LIFE, T0, TOKENS, begin
from tests.domain.test_alert_conditions import BY_CLIENT, GOOD, HOUR, REQUIRED, failed
from tests.domain.test_alert_expiries import FIXED, OWN

LONG = "x" * 300
END = T0 + REFRESH_LIFE
ROLLED_BACK = News(kind=AlertKind.ROLLED_BACK)


def test_a_long_label_and_a_long_answer_are_cut() -> None:
    grant = replace(REQUIRED, tokens=replace(GOOD.tokens, account=LONG), quote=LONG)
    [alert] = Connection().store(grant, EXPIRED)
    assert (alert.account, alert.quote) == (LONG[:200], LONG[:200])


def test_an_alert_of_the_change_itself_has_a_cause_only_if_it_is_given() -> None:
    [alert] = Connection(grant=GOOD).store(GOOD, EXPIRED, [ROLLED_BACK])
    assert (alert.kind, alert.cause, alert.since) == (AlertKind.ROLLED_BACK, None, None)


def test_failures_do_not_date_a_login_that_has_expired() -> None:
    at = END + DAY
    [alert] = Connection(grant=failed(Failure.UNAVAILABLE)).store(failed(Failure.UNAVAILABLE), at)
    assert (alert.kind, alert.since, alert.quote) == (AlertKind.LOGIN_NEEDED, END, "so")


def test_an_alert_is_owed_since_the_write() -> None:
    connection = Connection(grant=GOOD)
    connection.change(REQUIRED, EXPIRED)
    assert connection.book is not None
    assert [owed.since for owed in connection.book.owed] == [EXPIRED]


def test_a_refused_client_does_not_silence_the_end_of_the_login() -> None:
    grant = failed(Failure.MISCONFIGURED, tokens=FIXED)
    owed = Connection(grant=grant).settle(END - 7 * DAY)
    assert owed == [AlertKind.CLIENT_REFUSED, AlertKind.EXPIRES_SOON]


def test_an_attempt_in_flight_judges_no_threshold_by_a_clock_that_was_ahead() -> None:
    ahead = EndingLogin(since=END, authorized_at=T0, expires_at=END, threshold=DAY)
    connection = Connection(grant=Authorized(tokens=FIXED), book=AlertBook(ending=ahead))
    refreshing, _ = begin(connection.grant, EXPIRED)
    assert connection.change(refreshing, EXPIRED) == []


WAITING = AlertBook(waits=(ChannelWait(channel="one", tries=1, next_try_at=EXPIRED + HOUR),))
CLAIM = Claim(id="write-1", until=EXPIRED + MINUTE)


@pytest.mark.parametrize(
    "after",
    [
        # Another channel may not wait.
        pytest.param(GOOD, id="while-a-channel-waits"),
        pytest.param(begin(GOOD, EXPIRED)[0], id="while-a-request-is-in-flight"),
    ],
)
def test_a_write_that_owes_is_the_one_that_delivers(after: Grant) -> None:
    connection = Connection(grant=GOOD, book=WAITING)
    connection.store(after, EXPIRED, [ROLLED_BACK])
    assert connection.book is not None
    assert connection.book.claim == CLAIM


# When to look again.

FLIGHT = begin(GOOD, EXPIRED)[0].attempt
FAILED_FIRST = Requesting(attempt=FLIGHT, failure_state=failed(Failure.UNAVAILABLE).failure_state)
UNPROVEN = Authorized(tokens=replace(TOKENS, generation=8, access_token="", expires_at=T0))


@pytest.mark.parametrize(
    ("before", "after", "now", "check_at"),
    [
        pytest.param(
            FAILED_FIRST, FAILED_FIRST, EXPIRED, EXPIRED + POLICY.lease, id="a-lease-in-force"
        ),
        pytest.param(
            failed(Failure.UNAVAILABLE),
            Adopting(grant=UNPROVEN, earlier=GOOD),
            EXPIRED,
            None,
            id="adopting",
        ),
        # That the client is refused is known already.
        pytest.param(GOOD, failed(Failure.MISCONFIGURED), EXPIRED, None, id="refused-client"),
        # The grant itself is due then.
        pytest.param(Authorized(tokens=FIXED), Authorized(tokens=FIXED), END - DAY, None, id="due"),
    ],
)
def test_the_next_look_is_when_time_alone_changes_a_condition(
    before: Grant, after: Grant, now: datetime, check_at: datetime | None
) -> None:
    connection = Connection(grant=before, book=AlertBook(failing_since=EXPIRED))
    connection.change(after, now)
    assert connection.book is not None
    assert connection.book.check_at == check_at


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param(Requesting(attempt=FLIGHT), id="a-first-request"),
        pytest.param(Authorized(tokens=replace(TOKENS, expires_at=None)), id="for-ever"),
        pytest.param(Authorized(tokens=OWN), id="client-credentials"),
        pytest.param(Unauthorized(), id="nobody-logged-in"),
    ],
)
def test_what_time_does_not_change_has_no_book(grant: Grant) -> None:
    connection = Connection(grant=grant, by=BY_CLIENT)
    assert connection.settle(EXPIRED) == []
    assert connection.book is None

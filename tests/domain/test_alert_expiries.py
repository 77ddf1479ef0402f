"""Alerts of a login that ends although its tokens are refreshed (rule 2)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.alert_book import EMPTY, AlertBook, EndingLogin, record_due_at
from domain.alert_expiries import refresh_wanted_at
from domain.alerts import AlertKind, AlertThresholds
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Unauthorized,
    due_at,
)
from domain.policy import Policy
from domain.provider import GrantType, LifetimeStart, RotationKind
from domain.token_endpoint import TokenErrorResponse, TokenResponse
from domain.tokens import Tokens
from tests.domain.alert_stories import Connection, watch
from tests.domain.examples import (
    DAY,
    EXPIRED,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    SECOND,
    T0,
    TOKENS,
    policy,
)

SOON, LOGIN, RECOVERED = AlertKind.EXPIRES_SOON, AlertKind.LOGIN_NEEDED, AlertKind.RECOVERED
END = T0 + REFRESH_LIFE
# No refresh prolongs it.
FIXED = replace(TOKENS, refresh_token_counted=LifetimeStart.LOGIN)
ACCESS_ONLY = replace(TOKENS, refresh_token=None, refresh_token_expires_at=None, expires_at=END)
OWN = replace(ACCESS_ONLY, grant_type=GrantType.CLIENT_CREDENTIALS)


def ending(life: timedelta) -> Tokens:
    return replace(FIXED, refresh_token_expires_at=T0 + life)


def refreshed(tokens: Tokens, at: datetime, *, end: datetime | None = END) -> Authorized:
    """The tokens after a refresh, with this expiry of the refresh token."""
    return Authorized(
        tokens=replace(
            tokens,
            issued_at=at,
            expires_at=at + 30 * MINUTE,
            access_token=f"access at {at}",
            refresh_token_expires_at=end,
        )
    )


REACHED = [
    pytest.param(FIXED, END - 14 * DAY - SECOND, [], id="early"),
    pytest.param(FIXED, END - 14 * DAY, [SOON], id="two-weeks"),
    pytest.param(FIXED, END - SECOND, [SOON], id="the-last-second"),
    pytest.param(FIXED, END, [LOGIN], id="the-end"),
    pytest.param(TOKENS, END - DAY, [], id="a-refresh-prolongs-it"),
    pytest.param(ACCESS_ONLY, END - DAY, [SOON], id="access-token-only"),
    pytest.param(replace(ACCESS_ONLY, expires_at=None), END - DAY, [], id="for-ever"),
    pytest.param(replace(FIXED, expires_at=None), END - DAY, [], id="for-ever-with-an-end"),
    pytest.param(OWN, END - DAY, [], id="client-credentials"),
    pytest.param(
        replace(TOKENS, login_expires_at=END - 10 * DAY), END - 24 * DAY, [SOON], id="login-end"
    ),
    pytest.param(ending(28 * DAY), T0 + 14 * DAY, [SOON], id="half-of-the-login"),
    pytest.param(ending(28 * DAY - SECOND), T0 + 14 * DAY, [], id="more-than-half"),
    pytest.param(ending(2 * DAY), T0 + DAY, [SOON], id="two-days"),
    pytest.param(ending(2 * DAY - SECOND), T0 + 2 * DAY - MINUTE, [], id="short"),
]


@pytest.mark.parametrize(("tokens", "now", "owed"), REACHED)
def test_a_login_that_no_refresh_prolongs_owes_an_alert(
    tokens: Tokens, now: datetime, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=Authorized(tokens=tokens))
    alerts = connection.store(connection.grant, now)
    assert [alert.kind for alert in alerts] == owed
    expected = tokens.login_end or tokens.expires_at if owed == [SOON] else None
    assert [alert.expires_at for alert in alerts] == [expected] * len(owed)
    assert connection.settle(now) == []


def test_each_threshold_owes_one_alert_when_it_is_reached_and_then_the_login_is_needed() -> None:
    connection, at, owed = Connection(grant=Authorized(tokens=FIXED)), T0, []
    assert connection.settle(at) == []
    while connection.book is not None and connection.book.check_at is not None:
        assert at < connection.book.check_at
        assert record_due_at(connection.grant, replace(connection.book, owed=())) == min(
            connection.book.check_at, due_at(connection.grant) or END
        )
        at = connection.book.check_at
        owed += [(kind, END - at) for kind in connection.settle(at)]
    # The grant itself is due at its end.
    owed += [(kind, END - END) for kind in connection.settle(END)]
    assert owed == [(SOON, 14 * DAY), (SOON, 7 * DAY), (SOON, DAY), (LOGIN, 0 * DAY)]
    assert due_at(connection.grant) == END


def test_of_several_thresholds_at_once_only_the_shortest_is_owed() -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    assert connection.settle(END - 2 * DAY) == [SOON]
    assert connection.settle(END - 2 * DAY) == []
    assert connection.settle(END - DAY) == [SOON]


def test_thresholds_are_settings() -> None:
    for thresholds, owed in (((), []), ((3 * DAY,), [SOON])):
        connection = Connection(
            grant=Authorized(tokens=FIXED), thresholds=AlertThresholds(expires_soon=thresholds)
        )
        assert connection.settle(END - 14 * DAY) == []
        assert connection.settle(END - 3 * DAY) == owed


def test_a_new_login_ends_the_condition_in_silence_and_counts_anew() -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    assert connection.settle(END - 7 * DAY) == [SOON]
    login = replace(FIXED, authorized_at=END - DAY, issued_at=END - DAY)
    later = replace(login, refresh_token_expires_at=END + 80 * DAY)
    assert connection.change(Authorized(tokens=later), END - DAY) == []
    assert connection.book is not None
    assert connection.book.ending is None
    assert connection.settle(END + 73 * DAY) == [SOON]
    # Another login that ends as soon is another one.
    other = replace(later, authorized_at=END + 60 * DAY)
    assert connection.settle(END + 73 * DAY) == []
    assert connection.change(Authorized(tokens=other), END + 73 * DAY) == [SOON]


@pytest.mark.parametrize(
    ("by", "owed"),
    [
        pytest.param(timedelta(0), [], id="same"),
        pytest.param(MINUTE, [], id="the-answer-was-slow"),
        pytest.param(-MINUTE, [], id="earlier"),
        pytest.param(DAY / 2, [], id="prolonged-a-little"),
    ],
)
def test_an_end_that_a_refresh_moves_is_not_owed_again(
    by: timedelta, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    at = END - 6 * DAY
    assert connection.settle(at) == [SOON]
    assert connection.change(refreshed(FIXED, at, end=END + by), at) == owed
    # The next threshold is the one of the new end.
    assert connection.settle(END + by - DAY - SECOND) == []
    assert connection.settle(END + by - DAY) == [SOON]


def test_an_end_that_a_slow_answer_moves_by_a_minute_owes_no_threshold_again() -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    at = END - 7 * DAY
    assert connection.settle(at) == [SOON]
    assert connection.change(refreshed(FIXED, at, end=END + MINUTE), at) == []
    assert connection.settle(at + MINUTE) == []


def test_a_login_that_is_prolonged_after_all_owes_each_threshold_again() -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    assert connection.settle(END - DAY) == [SOON]
    longer = refreshed(FIXED, END - DAY, end=END + 30 * DAY)
    assert connection.change(longer, END - DAY) == []
    for left in (14 * DAY, 7 * DAY, DAY):
        assert connection.settle(END + 30 * DAY - left) == [SOON]
    # Prolonged from the last day to the last week.
    assert connection.change(refreshed(FIXED, END, end=END + 35 * DAY), END + 29 * DAY) == []
    assert connection.settle(END + 34 * DAY) == [SOON]


NONE, ALWAYS = policy(RotationKind.NONE), policy(RotationKind.ALWAYS)


@pytest.mark.parametrize(
    ("by", "left_at_refresh", "end", "owed"),
    [
        pytest.param(NONE, 80 * DAY, END, [SOON], id="never-rotates"),
        pytest.param(ALWAYS, 14 * DAY, END, [SOON], id="left-as-it-was-near-the-end"),
        pytest.param(ALWAYS, 14 * DAY + SECOND, END, [], id="left-as-it-was-long-before"),
        pytest.param(NONE, 80 * DAY, END + MINUTE, [SOON], id="as-good-as-it-was"),
        pytest.param(ALWAYS, 14 * DAY, END - SECOND, [SOON], id="rounded"),
        pytest.param(NONE, 80 * DAY, END + MINUTE + SECOND, [], id="prolonged"),
        pytest.param(NONE, 80 * DAY, None, [], id="unknown"),
    ],
)
def test_an_expiry_that_a_refresh_leaves_as_it_was_is_the_end_of_the_login(
    by: Policy, left_at_refresh: timedelta, end: datetime | None, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=Authorized(tokens=TOKENS), by=by)
    at = END - left_at_refresh
    assert connection.settle(at) == []
    connection.change(refreshed(TOKENS, at, end=end), at)
    connection.book = None if connection.book is None else replace(connection.book, owed=())
    connection.book = None if connection.book == EMPTY else connection.book
    assert connection.settle(END - DAY) == owed
    # The next refresh prolongs it: there is nothing to hear of any more.
    prolonged = refreshed(TOKENS, END, end=END + 90 * DAY)
    assert connection.change(prolonged, END) == []
    connection.deliver_all() if connection.book else None
    assert connection.settle(END + DAY) == []
    assert connection.book is None


def test_without_thresholds_and_without_an_expiry_nothing_is_stored_of_a_refresh() -> None:
    late = END - timedelta(hours=1)
    none = Connection(grant=Authorized(tokens=TOKENS), thresholds=AlertThresholds(expires_soon=()))
    assert none.change(refreshed(TOKENS, late), late) == []
    assert none.book is None
    # Its end was known before an instance without channels refreshed it.
    endless = replace(TOKENS, refresh_token_expires_at=None)
    for before in (endless, TOKENS):
        connection = Connection(
            grant=Authorized(tokens=before), by=NONE, book=AlertBook(unprolonged=END)
        )
        assert connection.change(refreshed(before, late, end=None), late) == []
        assert connection.book is None


def test_of_a_grant_that_moved_no_end_is_stored() -> None:
    connection = Connection(grant=Authorized(tokens=TOKENS), by=NONE)
    after = refreshed(TOKENS, EXPIRED)
    assert connection.change(after, EXPIRED) == []
    assert connection.book is not None
    assert connection.change(Moved(grant=after, since=EXPIRED), EXPIRED) == []
    assert connection.book is None


def test_of_two_ends_the_earlier_one_counts() -> None:
    tokens = replace(TOKENS, login_expires_at=END + 30 * DAY)
    connection = Connection(grant=Authorized(tokens=tokens), by=NONE)
    assert connection.change(refreshed(tokens, END - 20 * DAY), END - 20 * DAY) == []
    assert connection.settle(END - 14 * DAY) == [SOON]


def test_a_failed_refresh_and_a_new_login_prove_nothing_of_an_expiry() -> None:
    connection = Connection(grant=Authorized(tokens=TOKENS), by=NONE)
    connection.settle(END - 10 * DAY)
    login = replace(TOKENS, authorized_at=END - 10 * DAY, issued_at=END - 10 * DAY)
    assert connection.change(Authorized(tokens=login), END - 10 * DAY) == []
    assert connection.book is None


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(Moved(grant=Authorized(tokens=FIXED), since=T0), id="moved"),
        pytest.param(
            AuthorizationRequired(
                tokens=FIXED, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
            ),
            id="refused",
        ),
    ],
)
def test_a_login_that_is_over_expires_no_more(after: Grant) -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    connection.settle(END - 7 * DAY)
    assert SOON not in connection.change(after, END - DAY)
    assert connection.book is not None
    assert connection.book.ending is None
    assert connection.book.check_at is None


@pytest.mark.parametrize("days", [14, 7])
def test_clocks_that_differ_a_little_owe_one_alert(days: int) -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    at = END - days * DAY
    assert connection.settle(at) == [SOON]
    for seconds in (-60, 60, -1, -59):
        assert connection.settle(at + seconds * SECOND) == []


def test_a_threshold_by_a_clock_that_was_ahead_is_judged_again() -> None:
    connection = Connection(grant=Authorized(tokens=FIXED))
    assert connection.settle(END - DAY) == [SOON]
    assert connection.settle(T0 + DAY) == []
    assert connection.settle(END - 14 * DAY) == [SOON]
    ahead = EndingLogin(since=END, authorized_at=T0, expires_at=END, threshold=DAY)
    again = Connection(grant=Authorized(tokens=FIXED), book=AlertBook(ending=ahead))
    assert again.settle(END - 7 * DAY) == [SOON]


def test_an_end_at_the_last_instant_of_all_silences_no_threshold() -> None:
    never = datetime.max.replace(tzinfo=UTC)
    heard = EndingLogin(since=T0, authorized_at=T0, expires_at=never, threshold=14 * DAY)
    connection = Connection(grant=Authorized(tokens=FIXED), book=AlertBook(ending=heard))
    assert connection.settle(END - 7 * DAY) == [SOON]


def test_an_access_token_by_a_clock_that_was_ahead_owes_nothing_all_the_time() -> None:
    ahead = replace(
        ACCESS_ONLY,
        authorized_at=T0 + 900 * DAY,
        issued_at=T0 + 900 * DAY,
        expires_at=T0 + 902 * DAY,
    )
    connection = Connection(grant=Authorized(tokens=ahead))
    for hours in range(48):
        assert connection.settle(EXPIRED + hours * timedelta(hours=1)) in ([], [SOON])
    assert len((connection.book or EMPTY).owed) <= 1


def test_a_short_token_without_a_refresh_token_is_looked_at_when_it_ends() -> None:
    connection = Connection(
        grant=Authorized(tokens=replace(ACCESS_ONLY, expires_at=T0 + DAY)), by=POLICY
    )
    assert connection.settle(T0) == []
    assert connection.book is not None
    assert connection.book.check_at == T0 + DAY
    assert connection.settle(T0 + DAY) == [LOGIN]
    login = replace(ACCESS_ONLY, authorized_at=T0 + 2 * DAY, issued_at=T0 + 2 * DAY)
    assert connection.change(Authorized(tokens=login), T0 + 2 * DAY) == [RECOVERED]


def test_the_answer_of_a_refresh_is_what_shows_an_unprolonged_expiry() -> None:
    connection = Connection(grant=Authorized(tokens=TOKENS), by=NONE)
    response = TokenResponse(
        access_token="a", token_type="Bearer", expires_in=30 * MINUTE, refresh_token=None,
        refresh_token_expires_in=None, scope=None,
    )  # fmt: skip
    assert connection.refresh(response, EXPIRED) == []
    assert connection.book is not None
    assert connection.book.unprolonged == END
    assert connection.refresh(response, END - 10 * DAY) == [SOON]


# A week is a threshold, and the sweep leaves a grant alone until five days before its end.
SHORT = replace(TOKENS, refresh_token_expires_at=T0 + 16 * DAY)
WEEK_LEFT = T0 + 9 * DAY
ONE_MORE = refreshed(SHORT, T0 + 2 * DAY, end=T0 + 18 * DAY)


@pytest.mark.parametrize(
    ("grant", "wanted_at", "due"),
    [
        pytest.param(Authorized(tokens=SHORT), WEEK_LEFT, WEEK_LEFT, id="of-a-login"),
        pytest.param(ONE_MORE, None, due_at(ONE_MORE), id="a-refresh-prolonged-it"),
        pytest.param(
            refreshed(SHORT, T0 + DAY, end=T0 + 16 * DAY), WEEK_LEFT, WEEK_LEFT, id="left-as-it-was"
        ),
        pytest.param(Authorized(tokens=ending(16 * DAY)), None, WEEK_LEFT, id="known-to-be-fixed"),
        pytest.param(
            Authorized(tokens=replace(SHORT, expires_at=None)), None, None, id="never-refreshed"
        ),
        pytest.param(
            Authorized(tokens=TOKENS),
            END - 14 * DAY,
            due_at(Authorized(tokens=TOKENS)),
            id="refreshed-before-that",
        ),
    ],
)
def test_a_refresh_is_wanted_at_a_threshold_if_nobody_knows_what_it_prolongs(
    grant: Authorized, wanted_at: datetime | None, due: datetime | None
) -> None:
    connection = Connection(grant=Authorized(tokens=SHORT), by=ALWAYS)
    connection.change(grant, grant.tokens.issued_at)
    book = connection.book or EMPTY
    assert refresh_wanted_at(book, grant, watch(T0, ALWAYS)) == wanted_at
    assert record_due_at(grant, book) == due
    # Nothing else is written, and the record keeps what it knows.
    connection.settle(grant.tokens.issued_at + MINUTE)
    assert (connection.book or EMPTY) == book


FAILED = FailureState(
    failures=1,
    failure=Failure.UNAVAILABLE,
    at=WEEK_LEFT,
    retry_at=WEEK_LEFT + DAY,
    in_doubt_since=None,
)


@pytest.mark.parametrize(
    ("grant", "book", "wanted_at"),
    [
        pytest.param(
            refreshed(SHORT, WEEK_LEFT, end=T0 + 16 * DAY),
            EMPTY,
            T0 + 15 * DAY,
            id="just-refreshed",
        ),
        pytest.param(
            Authorized(tokens=SHORT, failure_state=FAILED), EMPTY, WEEK_LEFT + DAY, id="failed"
        ),
        pytest.param(
            Authorized(
                tokens=replace(SHORT, refresh_token_expires_at=T0 + DAY), failure_state=FAILED
            ),
            EMPTY,
            None,
            id="failed-without-a-threshold",
        ),
        pytest.param(
            Authorized(tokens=replace(SHORT, refresh_token_expires_at=None, login_expires_at=END)),
            AlertBook(unprolonged=END, prolonged=END),
            None,
            id="no-expiry-any-more",
        ),
    ],
)
def test_a_refresh_is_wanted_at_the_next_threshold_and_not_before_the_next_try(
    grant: Grant, book: AlertBook, wanted_at: datetime | None
) -> None:
    assert refresh_wanted_at(book, grant, watch(WEEK_LEFT, ALWAYS)) == wanted_at


# The sweep refreshes it a week before its end.
THREE_WEEKS = replace(TOKENS, refresh_token_expires_at=T0 + 21 * DAY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(Unauthorized(), Authorized(tokens=SHORT), id="login"),
        pytest.param(
            Authorized(tokens=THREE_WEEKS),
            refreshed(THREE_WEEKS, T0 + 2 * DAY, end=T0 + 23 * DAY),
            id="refreshed-at-each-threshold",
        ),
        pytest.param(ONE_MORE, Moved(grant=ONE_MORE, since=T0 + 3 * DAY), id="moved"),
        pytest.param(ONE_MORE, Unauthorized(), id="no-grant"),
        pytest.param(
            ONE_MORE, refreshed(SHORT, T0 + 4 * DAY, end=T0 + 18 * DAY), id="left-as-it-is-now"
        ),
    ],
)
def test_of_an_expiry_that_moved_nothing_is_stored_if_it_does_not_matter(
    before: Grant, after: Grant
) -> None:
    connection = Connection(by=ALWAYS, grant=Authorized(tokens=SHORT))
    connection.change(ONE_MORE, T0 + 2 * DAY)
    assert (connection.book or EMPTY).prolonged == T0 + 18 * DAY
    connection.grant = before
    connection.change(after, T0 + 4 * DAY)
    assert (connection.book or EMPTY).prolonged is None


@pytest.mark.parametrize(
    ("moved_by", "is_prolonged"),
    [
        pytest.param(20 * SECOND, False, id="half-of-the-time"),
        pytest.param(21 * SECOND, True, id="more"),
        pytest.param(-DAY, False, id="shortened"),
    ],
)
def test_an_expiry_that_moves_with_the_time_is_a_new_one_however_soon(
    moved_by: timedelta, *, is_prolonged: bool
) -> None:
    connection = Connection(grant=Authorized(tokens=SHORT), by=NONE)
    end = T0 + 16 * DAY + moved_by
    connection.change(refreshed(SHORT, T0 + 40 * SECOND, end=end), T0 + 40 * SECOND)
    book = connection.book or EMPTY
    assert (book.prolonged == end) is is_prolonged
    assert (book.unprolonged == end) is (abs(moved_by) <= 20 * SECOND)


@pytest.mark.parametrize(
    ("end", "owed"),
    [
        pytest.param(T0 + 16 * DAY, [SOON], id="a-fixed-end"),
        pytest.param(T0 + 25 * DAY, [], id="a-new-one"),
    ],
)
def test_the_refresh_at_a_threshold_decides_whether_it_is_owed(
    end: datetime, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=Authorized(tokens=SHORT), by=ALWAYS)
    assert connection.settle(T0) == []
    assert connection.settle(WEEK_LEFT) == []
    # Other writes come first: the record stays due.
    assert record_due_at(connection.grant, connection.book) == WEEK_LEFT
    assert connection.change(refreshed(SHORT, WEEK_LEFT, end=end), WEEK_LEFT) == owed
    wanted = refresh_wanted_at(connection.book or EMPTY, connection.grant, watch(WEEK_LEFT))
    assert wanted is None


def test_a_refresh_at_a_threshold_that_fails_is_tried_again() -> None:
    connection = Connection(grant=Authorized(tokens=SHORT), by=ALWAYS)
    connection.settle(T0)
    unavailable = TokenErrorResponse(status=503, error=None)
    assert connection.refresh(unavailable, WEEK_LEFT) == []
    assert isinstance(connection.grant, Authorized)
    failures = connection.grant.failure_state
    assert failures is not None
    assert record_due_at(connection.grant, connection.book) == failures.retry_at > WEEK_LEFT

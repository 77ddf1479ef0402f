"""Alerts of trouble: what begins it, what ends it, and what does neither (rules 1, 3 and 4)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.alert_book import EMPTY, AlertBook, Condition, record_due_at
from domain.alert_changes import News
from domain.alerts import AlertKind
from domain.failures import mark_in_doubt
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from domain.tokens import Tokens
from tests.domain.alert_stories import Connection
from tests.domain.examples import (
    DAY,
    EXPIRED,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    begin,
    policy,
)

HOUR = timedelta(hours=1)
LOGIN, REFUSED = AlertKind.LOGIN_NEEDED, AlertKind.CLIENT_REFUSED
FAILING, RECOVERED = AlertKind.REFRESH_FAILING, AlertKind.RECOVERED
GOOD = Authorized(tokens=replace(TOKENS, account="a@example.org"))
INVALID_GRANT = TokenErrorResponse(error="invalid_grant", status=400)
INVALID_CLIENT = TokenErrorResponse(error="invalid_client", status=401)
DOWN = TokenErrorResponse(error=None, status=503)
LOST = NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout")
RENEWED = Authorized(
    tokens=replace(TOKENS, generation=8, issued_at=EXPIRED, expires_at=EXPIRED + DAY)
)
REQUIRED = AuthorizationRequired(
    tokens=GOOD.tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0, quote="no"
)
REVOKING = Revoking(
    request=RevocationRequest(token="r", token_type_hint=TokenTypeHint.REFRESH_TOKEN), at=T0
)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED)
BY_CLIENT = replace(
    POLICY, provider=replace(POLICY.provider, grant_type=GrantType.CLIENT_CREDENTIALS)
)


def failed(
    failure: Failure,
    *,
    failures: int = 3,
    since: timedelta = timedelta(0),
    tokens: Tokens = GOOD.tokens,
) -> Authorized:
    """A grant whose refreshes have failed since so long before EXPIRED."""
    at = EXPIRED - since
    state = FailureState(
        failures=failures,
        failure=failure,
        at=EXPIRED,
        retry_at=EXPIRED,
        in_doubt_since=None,
        quote="so",
        since=at,
    )
    return Authorized(tokens=tokens, failure_state=state)


def first_request_failed(failure: Failure, since: timedelta) -> Unauthorized:
    return Unauthorized(failure_state=failed(failure, since=since).failure_state)


NO_REFRESH = replace(TOKENS, refresh_token=None, refresh_token_expires_at=None)

BEGINNINGS = [
    pytest.param(GOOD, EXPIRED, [], id="healthy"),
    pytest.param(REQUIRED, EXPIRED, [LOGIN], id="refused"),
    pytest.param(failed(Failure.REFUSED), EXPIRED, [LOGIN], id="refused-for-now"),
    pytest.param(failed(Failure.MISCONFIGURED), EXPIRED, [REFUSED], id="client-refused"),
    pytest.param(failed(Failure.UNAVAILABLE), EXPIRED, [], id="one-failure"),
    pytest.param(
        failed(Failure.UNAVAILABLE, since=HOUR - SECOND), EXPIRED, [], id="almost-an-hour"
    ),
    pytest.param(failed(Failure.UNAVAILABLE, since=HOUR), EXPIRED, [FAILING], id="an-hour"),
    pytest.param(failed(Failure.NOT_SENT, since=HOUR), EXPIRED, [FAILING], id="not-sent"),
    pytest.param(
        failed(Failure.UNKNOWN, failures=0, since=HOUR), EXPIRED, [], id="restored-from-memory"
    ),
    pytest.param(GOOD, T0 + REFRESH_LIFE - SECOND, [], id="before-the-expiry"),
    pytest.param(GOOD, T0 + REFRESH_LIFE, [LOGIN], id="expired"),
    pytest.param(Authorized(tokens=NO_REFRESH), EXPIRED - SECOND, [], id="still-good"),
    pytest.param(Authorized(tokens=NO_REFRESH), EXPIRED, [LOGIN], id="no-refresh-token"),
    pytest.param(
        Authorized(tokens=replace(NO_REFRESH, expires_at=None)), T0 + 900 * DAY, [], id="for-ever"
    ),
    pytest.param(Unauthorized(), EXPIRED, [], id="nobody-logged-in"),
    pytest.param(first_request_failed(Failure.UNAVAILABLE, HOUR), EXPIRED, [], id="settings"),
    pytest.param(REVOKING, EXPIRED, [], id="revoking"),
    pytest.param(REVOKED, EXPIRED, [], id="revoked"),
    pytest.param(Moved(grant=REQUIRED, since=T0), EXPIRED, [], id="moved"),
    pytest.param(
        Adopting(grant=failed(Failure.UNAVAILABLE, since=HOUR), earlier=REQUIRED),
        EXPIRED,
        [],
        id="adopting",
    ),
]


@pytest.mark.parametrize(("grant", "now", "owed"), BEGINNINGS)
def test_a_state_owes_its_alert_once(grant: Grant, now: datetime, owed: list[AlertKind]) -> None:
    connection = Connection(grant=grant)
    assert connection.settle(now) == owed
    assert connection.settle(now) == []


FIRST_REQUESTS = [
    pytest.param(first_request_failed(Failure.MISCONFIGURED, 0 * HOUR), [REFUSED], id="refused"),
    pytest.param(first_request_failed(Failure.UNAVAILABLE, HOUR), [FAILING], id="failing"),
    pytest.param(first_request_failed(Failure.REFUSED, HOUR), [FAILING], id="no-login"),
    pytest.param(Unauthorized(), [], id="unused"),
]


@pytest.mark.parametrize(("grant", "owed"), FIRST_REQUESTS)
def test_a_client_without_logins_owes_what_refuses_it(grant: Grant, owed: list[AlertKind]) -> None:
    connection = Connection(grant=grant, by=BY_CLIENT)
    assert connection.settle(EXPIRED) == owed
    own = replace(NO_REFRESH, grant_type=GrantType.CLIENT_CREDENTIALS)
    assert connection.change(Authorized(tokens=own), EXPIRED) == ([RECOVERED] if owed else [])
    assert connection.book is None or connection.book.check_at is None


@pytest.mark.parametrize(
    ("grant", "by", "now"),
    [
        pytest.param(GOOD, BY_CLIENT, T0 + REFRESH_LIFE, id="now-of-client-credentials"),
        pytest.param(
            failed(
                Failure.REFUSED,
                tokens=replace(NO_REFRESH, grant_type=GrantType.CLIENT_CREDENTIALS),
            ),
            POLICY,
            EXPIRED,
            id="of-client-credentials-before",
        ),
    ],
)
def test_settings_decide_whether_a_person_has_to_log_in(
    grant: Grant, by: Policy, now: datetime
) -> None:
    assert Connection(grant=grant, by=by).settle(now) == []


def test_trouble_without_tokens_ends_with_the_first_ones() -> None:
    connection = Connection(grant=first_request_failed(Failure.MISCONFIGURED, HOUR), by=BY_CLIENT)
    assert connection.settle(EXPIRED) == [REFUSED]
    assert connection.change(Unauthorized(), EXPIRED) == []
    assert connection.change(GOOD, EXPIRED) == [RECOVERED]


def test_an_alert_has_its_facts() -> None:
    connection = Connection(grant=GOOD)
    [alert] = connection.store(REQUIRED, EXPIRED)
    assert alert.id == "write-1"
    assert (alert.kind, alert.at, alert.since) == (LOGIN, EXPIRED, T0)
    assert (alert.cause, alert.account, alert.quote) == (
        "refresh-token-rejected",
        "a@example.org",
        "no",
    )
    assert "a@example.org" not in repr(alert)
    [end] = connection.store(RENEWED, EXPIRED + MINUTE)
    assert (end.kind, end.cause, end.since) == (RECOVERED, "connection.login-needed", EXPIRED)


FACTS = [
    pytest.param(
        failed(Failure.REFUSED, since=HOUR), EXPIRED, ("refresh-token-rejected", EXPIRED, "so"),
        id="refused-for-now",
    ),
    pytest.param(
        failed(Failure.MISCONFIGURED, since=MINUTE),
        EXPIRED,
        ("client-refused", EXPIRED - MINUTE, "so"),
        id="client-refused",
    ),
    pytest.param(
        failed(Failure.UNAVAILABLE, since=HOUR),
        EXPIRED,
        ("provider-unavailable", EXPIRED - HOUR, "so"),
        id="failing",
    ),
    pytest.param(
        GOOD, T0 + 91 * DAY, ("refresh-token-expired", T0 + REFRESH_LIFE, None), id="expired"
    ),
    pytest.param(
        failed(Failure.REFUSED), T0 + 91 * DAY, ("refresh-token-expired", EXPIRED, "so"),
        id="refused-for-now-and-expired",
    ),
    pytest.param(
        Authorized(tokens=NO_REFRESH),
        T0 + DAY,
        ("refresh-token-missing", EXPIRED, None),
        id="missing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("grant", "now", "facts"), FACTS)
def test_an_alert_says_why_and_since_when(
    grant: Grant, now: datetime, facts: tuple[str, datetime, str | None]
) -> None:
    [alert] = Connection(grant=grant).store(grant, now)
    assert (alert.cause, alert.since, alert.quote) == facts


@pytest.mark.parametrize(
    ("trouble", "ends", "owed"),
    [
        pytest.param(REQUIRED, RENEWED, [RECOVERED], id="login"),
        pytest.param(failed(Failure.REFUSED), RENEWED, [RECOVERED], id="last-try"),
        pytest.param(failed(Failure.MISCONFIGURED), RENEWED, [RECOVERED], id="secret-mended"),
        pytest.param(failed(Failure.UNAVAILABLE, since=HOUR), RENEWED, [RECOVERED], id="outage"),
        pytest.param(
            # The clock of the issue stood still.
            REQUIRED,
            Authorized(tokens=replace(TOKENS, generation=8)),
            [RECOVERED],
            id="login-at-the-same-instant",
        ),
        pytest.param(REQUIRED, REVOKED, [], id="revoked"),
        pytest.param(REQUIRED, REVOKING, [], id="revoking"),
        pytest.param(REQUIRED, Moved(grant=REQUIRED, since=T0), [], id="moved"),
        pytest.param(failed(Failure.REFUSED), REQUIRED, [], id="final"),
        pytest.param(failed(Failure.REFUSED), failed(Failure.UNAVAILABLE), [], id="no-end-seen"),
        pytest.param(
            failed(Failure.MISCONFIGURED), failed(Failure.UNKNOWN, since=HOUR), [], id="nor-here"
        ),
        pytest.param(failed(Failure.MISCONFIGURED), REQUIRED, [LOGIN], id="other-trouble"),
        pytest.param(
            failed(Failure.UNAVAILABLE, since=HOUR), REQUIRED, [LOGIN], id="outage-cost-the-login"
        ),
        pytest.param(
            failed(Failure.UNAVAILABLE, since=HOUR),
            failed(Failure.MISCONFIGURED, since=HOUR),
            [REFUSED],
            id="refused-after-an-outage",
        ),
        pytest.param(
            REQUIRED, Adopting(grant=GOOD, earlier=REQUIRED), [], id="adoption-without-proof"
        ),
        pytest.param(REQUIRED, GOOD, [], id="same-tokens"),
    ],
)
def test_trouble_ends_with_other_tokens_only(
    trouble: Grant, ends: Grant, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=trouble)
    assert len(connection.settle(EXPIRED)) == 1
    assert connection.change(ends, EXPIRED + MINUTE) == owed
    assert connection.settle(EXPIRED + MINUTE) == []


def test_trouble_that_comes_again_owes_its_alert_again() -> None:
    connection = Connection(grant=GOOD)
    assert connection.change(REQUIRED, EXPIRED) == [LOGIN]
    assert connection.change(RENEWED, EXPIRED) == [RECOVERED]
    required = replace(REQUIRED, tokens=RENEWED.tokens)
    assert connection.change(required, EXPIRED) == [LOGIN]


def test_a_grant_that_returns_in_trouble_owes_its_alert_again() -> None:
    connection = Connection(grant=REQUIRED)
    assert connection.settle(EXPIRED) == [LOGIN]
    assert connection.change(Moved(grant=REQUIRED, since=EXPIRED), EXPIRED) == []
    assert connection.change(REQUIRED, EXPIRED + MINUTE) == [LOGIN]


def test_the_end_of_tokens_that_this_book_never_saw_ends_trouble_too() -> None:
    # An instance without channels has stored the new tokens.
    connection = Connection(grant=REQUIRED)
    connection.settle(EXPIRED)
    connection.grant = RENEWED
    assert connection.settle(EXPIRED + MINUTE) == [RECOVERED]


def test_a_refresh_decides_when_it_ends_and_not_before() -> None:
    connection = Connection(grant=GOOD)
    assert connection.refresh(INVALID_GRANT, EXPIRED) == [LOGIN]
    # The other client credentials of a deployment may still work (rule 6).
    connection.by = replace(POLICY, client="client-2")
    later = EXPIRED + HOUR
    assert connection.refresh(INVALID_GRANT, later) == []
    connection.by = POLICY
    assert connection.refresh(RESPONSE, later + HOUR) == [RECOVERED]
    assert connection.book is not None
    connection.deliver_all()
    assert connection.settle(later + HOUR) == []
    assert connection.book is None


def test_the_hour_of_failures_counts_from_the_first_one() -> None:
    connection = Connection(grant=GOOD, by=policy())
    assert connection.refresh(DOWN, EXPIRED) == []
    assert connection.refresh(DOWN, EXPIRED + 30 * MINUTE) == []
    book = connection.book
    assert book is not None
    assert book.check_at == EXPIRED + HOUR
    assert record_due_at(connection.grant, book) == EXPIRED + HOUR
    assert connection.settle(EXPIRED + HOUR - SECOND) == []
    assert connection.settle(EXPIRED + HOUR) == [FAILING]
    assert connection.refresh(INVALID_CLIENT, EXPIRED + HOUR) == [REFUSED]
    assert connection.refresh(DOWN, EXPIRED + 2 * HOUR) == []
    assert connection.refresh(RESPONSE, EXPIRED + 3 * HOUR) == [RECOVERED]
    assert connection.book is not None
    assert connection.book.failing_since is None


def test_a_lease_that_ran_out_is_a_failure_and_one_in_force_is_not() -> None:
    connection = Connection(grant=failed(Failure.UNAVAILABLE, since=HOUR - MINUTE))
    connection.settle(EXPIRED)
    refreshing, _ = begin(connection.grant, EXPIRED, connection.by)
    assert connection.change(refreshing, EXPIRED) == []
    assert connection.settle(EXPIRED + POLICY.lease - SECOND) == []
    assert connection.settle(EXPIRED + POLICY.lease) == [FAILING]


def test_a_first_request_that_crashed_is_looked_at_when_its_lease_ends() -> None:
    connection = Connection(
        grant=first_request_failed(Failure.UNAVAILABLE, HOUR - MINUTE), by=BY_CLIENT
    )
    connection.settle(EXPIRED)
    attempt = begin(GOOD, EXPIRED)[0].attempt
    assert isinstance(connection.grant, Unauthorized)
    state = connection.grant.failure_state
    assert connection.change(Requesting(attempt=attempt, failure_state=state), EXPIRED) == []
    assert connection.book is not None
    assert connection.book.check_at == EXPIRED + POLICY.lease
    assert connection.settle(EXPIRED + POLICY.lease) == [FAILING]


ACCOUNTS = [
    pytest.param("one", "two", True, id="other"),
    pytest.param("one", "one", False, id="same"),
    pytest.param(None, "two", False, id="unknown-before"),
    pytest.param("one", None, False, id="unknown-now"),
]


@pytest.mark.parametrize(("before", "after", "is_owed"), ACCOUNTS)
def test_another_account_owes_an_alert_where_both_are_known(
    before: str | None, after: str | None, *, is_owed: bool
) -> None:
    connection = Connection(grant=Authorized(tokens=replace(TOKENS, subject=before)))
    login = replace(TOKENS, subject=after, authorized_at=EXPIRED, account="b@example.org")
    alerts = connection.store(Authorized(tokens=login), EXPIRED)
    assert [alert.kind for alert in alerts] == [AlertKind.ACCOUNT_CHANGED] * is_owed
    assert [alert.account for alert in alerts] == ["b@example.org"] * is_owed


def of_account(subject: str) -> Authorized:
    return Authorized(tokens=replace(TOKENS, subject=subject, authorized_at=EXPIRED))


def waiting(subject: str, earlier: Unauthorized | Authorized) -> Adopting:
    """Tokens of an account that wait for their proof."""
    return Adopting(grant=of_account(subject), earlier=earlier)


ADOPTIONS = [
    pytest.param(waiting("one", Unauthorized()), waiting("two", Unauthorized()), [], id="waiting"),
    pytest.param(waiting("one", Unauthorized()), of_account("two"), [], id="a-login-before"),
    pytest.param(
        waiting("two", of_account("one")),
        of_account("two"),
        [AlertKind.ACCOUNT_CHANGED],
        id="proof",
    ),
    pytest.param(of_account("one"), waiting("two", of_account("one")), [], id="began"),
]


@pytest.mark.parametrize(("before", "after", "owed"), ADOPTIONS)
def test_only_the_proof_of_an_adoption_changes_the_account(
    before: Grant, after: Grant, owed: list[AlertKind]
) -> None:
    connection = Connection(grant=before)
    assert connection.change(after, EXPIRED) == owed


def test_the_alerts_of_one_write_have_ids_of_their_own_in_order() -> None:
    connection = Connection(grant=replace(REQUIRED, tokens=replace(TOKENS, subject="one")))
    connection.settle(EXPIRED)
    login = replace(TOKENS, subject="two", authorized_at=EXPIRED, issued_at=EXPIRED)
    news = [News(kind=AlertKind.TOKENS_RESCUED, cause="late-write")]
    alerts = connection.store(Authorized(tokens=login), EXPIRED, news)
    assert [(alert.id, alert.kind, alert.cause) for alert in alerts] == [
        ("write-2", AlertKind.TOKENS_RESCUED, "late-write"),
        ("write-2-1", AlertKind.ACCOUNT_CHANGED, None),
        ("write-2-2", RECOVERED, "connection.login-needed"),
    ]


@pytest.mark.parametrize("years", [1, 30])
def test_failures_by_a_clock_that_was_ahead_are_counted_from_now(years: int) -> None:
    grant = failed(Failure.UNAVAILABLE, since=-years * 365 * DAY)
    connection = Connection(grant=grant)
    assert connection.settle(EXPIRED) == []
    assert connection.settle(EXPIRED + HOUR) == [FAILING]
    # The book itself may be by such a clock.
    assert connection.book is not None
    ahead = AlertBook(failing_since=EXPIRED + years * 365 * DAY)
    silent = Connection(grant=grant, book=ahead)
    assert silent.settle(EXPIRED) == []
    assert silent.settle(EXPIRED + HOUR) == [FAILING]


def test_an_expiry_by_a_clock_that_was_ahead_is_judged_again() -> None:
    connection = Connection(grant=GOOD)
    far = T0 + 400 * DAY
    assert connection.settle(far) == [LOGIN]
    # A clock that differs a little does not end it.
    assert connection.settle(far - MINUTE) == []
    assert connection.settle(EXPIRED) == [RECOVERED]
    assert connection.settle(T0 + REFRESH_LIFE) == [LOGIN]


def test_a_refused_client_by_a_clock_that_was_ahead_stays_while_refreshes_fail() -> None:
    connection = Connection(grant=failed(Failure.MISCONFIGURED))
    assert connection.settle(EXPIRED + HOUR) == [REFUSED]
    assert connection.change(failed(Failure.UNAVAILABLE), EXPIRED) == []


def test_clocks_that_differ_a_little_do_not_alternate() -> None:
    connection = Connection(grant=GOOD)
    at = T0 + REFRESH_LIFE
    assert connection.settle(at) == [LOGIN]
    for seconds in (-60, 1, -59, 60, -1):
        assert connection.settle(at + seconds * SECOND) == []


def test_other_conditions_of_a_book_stay() -> None:
    overdue = Condition(kind=AlertKind.SWEEP_OVERDUE, since=T0)
    connection = Connection(grant=GOOD, book=AlertBook(open=(overdue,)))
    assert connection.change(REQUIRED, EXPIRED) == [LOGIN]
    assert connection.change(RENEWED, EXPIRED) == [RECOVERED]
    assert connection.book is not None
    assert connection.book.open == (overdue,)


def test_a_restore_from_memory_is_no_trouble() -> None:
    by = policy(grace=HOUR)
    restored = mark_in_doubt(GOOD, by, EXPIRED)
    connection = Connection(grant=GOOD, by=by)
    assert connection.change(restored, EXPIRED) == []
    assert connection.settle(EXPIRED + 2 * HOUR) == []


def test_a_healthy_record_has_no_book_and_is_due_as_before() -> None:
    connection = Connection(grant=GOOD)
    assert connection.settle(EXPIRED) == []
    assert connection.book is None
    assert record_due_at(GOOD, None) == record_due_at(GOOD, EMPTY) == due_at(GOOD)


def test_a_change_that_owes_takes_the_claim_unless_another_has_it() -> None:
    connection = Connection(grant=GOOD)
    connection.change(REQUIRED, EXPIRED)
    assert connection.book is not None
    claim = connection.book.claim
    assert claim is not None
    assert (claim.id, claim.until) == ("write-1", EXPIRED + MINUTE)
    connection.change(RENEWED, EXPIRED + MINUTE - SECOND)
    assert connection.book.claim == claim
    assert len(connection.book.owed) == 2


@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [
        pytest.param(59, False, id="in-force"),
        pytest.param(60, True, id="ran-out"),
        pytest.param(-60, False, id="clocks-differ"),
        pytest.param(-61, True, id="clock-was-ahead"),
    ],
)
def test_a_write_continues_a_delivery_whose_lease_ran_out(seconds: int, *, is_taken: bool) -> None:
    connection = Connection(grant=GOOD)
    connection.change(REQUIRED, EXPIRED)
    connection.settle(EXPIRED + seconds * SECOND)
    assert connection.book is not None
    assert connection.book.claim is not None
    assert (connection.book.claim.id == "write-2") is is_taken


def test_an_attempt_in_flight_takes_no_claim() -> None:
    connection = Connection(grant=GOOD)
    connection.store(GOOD, EXPIRED, [News(kind=AlertKind.ROLLED_BACK)])
    refreshing, _ = begin(GOOD, EXPIRED + HOUR)
    connection.change(refreshing, EXPIRED + HOUR)
    assert connection.book is not None
    assert connection.book.claim is not None
    assert connection.book.claim.id == "write-1"

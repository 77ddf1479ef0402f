"""A clock that was ahead or behind, and was corrected: its dates do not last."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import AskForAuthorization, NothingDue, SendTokenRequest, Serve, TryLater
from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    TokensRescued,
)
from domain.grant import (
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Revoked,
    Unauthorized,
)
from domain.provider import RotationKind
from domain.question import Question, RefreshDue, RefreshRequested
from domain.token_endpoint import RevocationResult
from domain.tokens import MAX_CLOCK_SKEW, Freshness, Tokens
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    ask,
    asked,
    authorized,
    begin,
    end,
    policy,
)

TICK = timedelta(microseconds=1)
NOW = T0 + 30 * DAY
YEARS = 1500 * DAY
LASTING = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=None))
AHEAD = [MAX_CLOCK_SKEW + TICK, timedelta(hours=3), DAY, YEARS]


def dated(by: timedelta) -> Tokens:
    """Tokens that came a moment ago, by a clock that was wrong by so much."""
    at = NOW + by
    return replace(
        TOKENS,
        authorized_at=at,
        issued_at=at,
        expires_at=at + ACCESS_LIFE,
        refresh_token_expires_at=at + REFRESH_LIFE,
    )


over_clocks_ahead = pytest.mark.parametrize("by", AHEAD, ids=str)


@over_clocks_ahead
def test_an_access_token_from_ahead_is_replaced_before_it_is_served(by: timedelta) -> None:
    grant = Authorized(tokens=dated(by))
    assert grant.tokens.freshness(NOW) is Freshness.ACCESS_EXPIRED
    refreshing, command = begin(grant, NOW)
    after = end(refreshing, command, RESPONSE, NOW)
    assert isinstance(ask(after, NOW + SECOND).command, Serve)


@over_clocks_ahead
def test_an_explicit_refresh_replaces_tokens_that_are_dated_after_it(by: timedelta) -> None:
    question = RefreshRequested(attempt_id="1", asked_at=NOW)
    decision = decide(Authorized(tokens=dated(by)), question, POLICY, NOW)
    assert isinstance(decision.command, SendTokenRequest)


@over_clocks_ahead
def test_the_sweep_refreshes_tokens_from_a_clock_ahead(by: timedelta) -> None:
    decision = decide(Authorized(tokens=dated(by)), RefreshDue(attempt_id="1"), POLICY, NOW)
    assert isinstance(decision.command, SendTokenRequest)


@over_clocks_ahead
def test_an_access_token_that_cannot_be_replaced_is_served_for_its_lifetime_at_most(
    by: timedelta,
) -> None:
    tokens = replace(dated(by), refresh_token=None, refresh_token_expires_at=None)
    assert ask(Authorized(tokens=tokens), NOW).command == Serve(tokens=tokens)
    assert tokens.access_token_expiry(NOW) == NOW + ACCESS_LIFE
    assert tokens.freshness(NOW) is Freshness.REFRESH_EXPIRED
    requested = RefreshRequested(attempt_id="1", asked_at=NOW)
    assert decide(Authorized(tokens=tokens), requested, POLICY, NOW).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_MISSING
    )


def test_a_small_difference_of_clocks_costs_no_refresh() -> None:
    for by in (timedelta(0), TICK, MAX_CLOCK_SKEW):
        grant = Authorized(tokens=dated(by))
        assert ask(grant, NOW).command == Serve(tokens=grant.tokens)
        assert grant.tokens.access_token_expiry(NOW) == NOW + ACCESS_LIFE
        due = decide(grant, RefreshDue(attempt_id="1"), POLICY, NOW)
        assert isinstance(due.command, NothingDue)


@over_clocks_ahead
def test_an_answer_is_never_dated_after_now(
    by: timedelta,
) -> None:
    after = authorized(end(*begin(LASTING, NOW + by), RESPONSE, NOW))
    assert (after.tokens.issued_at, after.tokens.expires_at) == (NOW, NOW + ACCESS_LIFE)
    login = LoginCompleted(response=RESPONSE, requested_at=NOW + by, read=after)
    new = authorized(apply(after, login, POLICY, NOW).grant)
    assert new.tokens.issued_at == NOW


@over_clocks_ahead
def test_an_answer_that_comes_late_replaces_an_access_token_from_ahead(by: timedelta) -> None:
    always = policy(RotationKind.NONE)
    refreshing, command = begin(Authorized(tokens=TOKENS), NOW, always)
    other = replace(refreshing, tokens=replace(TOKENS, issued_at=NOW + by))
    other = replace(other, attempt=replace(refreshing.attempt, id="another"))
    after = end(other, command, replace(RESPONSE, refresh_token=None), NOW, always)
    assert isinstance(after, Refreshing)
    assert after.tokens.access_token == "access-8"


@pytest.mark.parametrize("by", [-20 * 365 * DAY, -YEARS], ids=str)
def test_a_refresh_token_from_a_clock_behind_is_sent_after_its_stated_expiry(
    by: timedelta,
) -> None:
    grant = Authorized(tokens=dated(by))
    assert isinstance(ask(grant, NOW).command, SendTokenRequest)
    assert grant.tokens.freshness(NOW) is Freshness.ACCESS_EXPIRED


def test_a_refresh_by_a_clock_that_was_behind_its_login_costs_no_login() -> None:
    refreshed = TOKENS.refreshed(RESPONSE, issued_at=T0 - YEARS, provider=POLICY.provider)
    assert isinstance(
        ask(Authorized(tokens=refreshed), T0 + 10 * REFRESH_LIFE).command, SendTokenRequest
    )
    usual = TOKENS.refreshed(RESPONSE, issued_at=T0, provider=POLICY.provider)
    assert isinstance(
        ask(Authorized(tokens=usual), T0 + 10 * REFRESH_LIFE).command, AskForAuthorization
    )


@pytest.mark.parametrize("by", [-YEARS, -DAY, *AHEAD], ids=str)
def test_an_attempt_dated_far_ahead_delays_nobody(by: timedelta) -> None:
    refreshing, _ = begin(LASTING, NOW + by)
    assert isinstance(ask(refreshing, NOW).command, SendTokenRequest | TryLater)


@pytest.mark.parametrize("by", AHEAD, ids=str)
def test_a_doubt_dated_ahead_risks_no_valid_access_token(by: timedelta) -> None:
    failure_state = FailureState(
        failures=1,
        failure=Failure.UNKNOWN,
        at=NOW,
        retry_at=NOW,
        in_doubt_since=NOW + by + POLICY.lease,
    )
    tokens = dated(2 * MINUTE - ACCESS_LIFE)
    grant = Authorized(tokens=tokens, failure_state=failure_state)
    in_grace = policy(grace=3 * MINUTE)
    assert ask(grant, NOW, in_grace).command == Serve(tokens=tokens)
    at_the_edge = replace(
        grant, failure_state=replace(failure_state, in_doubt_since=NOW + POLICY.lease)
    )
    assert isinstance(ask(at_the_edge, NOW, in_grace).command, SendTokenRequest)


@pytest.mark.parametrize(
    ("read", "dated_at"),
    [
        (Unauthorized(), None),
        (LASTING, T0),
        (Revoked(at=NOW, result=RevocationResult.REVOKED), NOW),
        (Moved(grant=LASTING, since=NOW), NOW),
        (Moved(grant=Authorized(tokens=dated(DAY)), since=NOW), NOW + DAY),
    ],
)
def test_a_login_is_dated_after_the_grant_that_it_read(
    read: Grant, dated_at: datetime | None
) -> None:
    login = LoginCompleted(response=RESPONSE, requested_at=T0 - YEARS, read=read)
    assert login.authorized_at == (dated_at + TICK if dated_at else T0 - YEARS)
    late = replace(login, requested_at=NOW + 2 * DAY)
    assert late.authorized_at == NOW + 2 * DAY


NAIVE = NOW.replace(tzinfo=None)
ATTEMPT = begin(Authorized(tokens=TOKENS), NOW)[1].attempt
EVENTS: list[Question | Event] = [
    RefreshRequested(attempt_id="1", asked_at=NAIVE),
    AttemptEnded(attempt=replace(ATTEMPT, started_at=NAIVE), outcome=RESPONSE),
    AttemptEnded(attempt=replace(ATTEMPT, authorized_at=NAIVE), outcome=RESPONSE),
    LoginCompleted(response=RESPONSE, requested_at=NAIVE),
    TokensRescued(tokens=replace(TOKENS, issued_at=NAIVE)),
    TokensRescued(tokens=replace(TOKENS, authorized_at=NAIVE)),
    TokensRescued(tokens=replace(TOKENS, expires_at=NAIVE)),
    TokensRescued(tokens=replace(TOKENS, refresh_token_expires_at=NAIVE)),
    GrantArrived(moved=Moved(grant=Authorized(tokens=TOKENS), since=NAIVE), ledger=()),
]


def take(grant: Grant, event: Question | Event, now: datetime) -> None:
    if isinstance(event, Question):
        decide(grant, event, POLICY, now)
    else:
        apply(grant, event, POLICY, now)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_at_an_instant_without_a_time_zone_is_refused(event: Question | Event) -> None:
    for grant in (Authorized(tokens=TOKENS), Moved(grant=Authorized(tokens=TOKENS), since=T0)):
        with pytest.raises(ValueError, match="time zone"):
            take(grant, event, NOW)


@pytest.mark.parametrize(
    "event",
    [
        asked(),
        RefreshDue(attempt_id="1"),
        MoveRequested(),
        LoginCompleted(response=RESPONSE, requested_at=NOW),
    ],
    ids=lambda event: type(event).__name__,
)
def test_now_without_a_time_zone_is_refused(event: Question | Event) -> None:
    with pytest.raises(ValueError, match="time zone"):
        take(Authorized(tokens=TOKENS), event, NAIVE)


def test_a_refresh_token_that_worked_after_its_expiry_has_an_unknown_expiry() -> None:
    behind = dated(-YEARS)
    again = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    after = behind.refreshed(again, issued_at=NOW, provider=POLICY.provider)
    assert after.refresh_token_expires_at is None
    usual = dated(timedelta(0)).refreshed(again, issued_at=NOW + DAY, provider=POLICY.provider)
    assert usual.refresh_token_expires_at == NOW + REFRESH_LIFE

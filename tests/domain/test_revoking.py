"""Revocation of a grant: rules 13 to 15 of `decide.py`, in each state and for each event."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import AskForAuthorization, Decision, Effect
from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Question,
    RefreshDue,
    RefreshRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensRescued,
)
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Moved,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    tokens_of,
    was_revoked_since,
)
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from tests.domain.examples import (
    ACCESS_LIFE,
    MINUTE,
    POLICY,
    RESPONSE,
    T0,
    TOKENS,
    asked,
    authorized,
)
from tests.domain.examples import begin as begin_attempt

TICK = timedelta(microseconds=1)
NOW = T0 + ACCESS_LIFE
GRANT = Authorized(tokens=TOKENS)
REFRESHING, COMMAND = begin_attempt(GRANT, NOW)
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=NOW
)
REQUEST = RevocationRequest(token="refresh-7", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
LATE = RevocationRequest(token="refresh-8", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
REVOKING = Revoking(request=REQUEST, at=NOW, place=1, login=T0)
REVOKED = Revoked(at=NOW, result=RevocationResult.REVOKED, place=1, login=T0)
YEARS = timedelta(days=1500)
# By how much a clock may be wrong that was ahead, or behind, and is put right.
CLOCKS = [-YEARS, -TICK, timedelta(0), TICK, timedelta(hours=3), YEARS]
NO_ANSWER = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")

over_each_end = pytest.mark.parametrize("grant", [REVOKING, REVOKED])


def after(grant: Grant, event: Event, now: datetime = NOW) -> Grant:
    effect = apply(grant, event, POLICY, now)
    assert effect.to_revoke is None
    return effect.grant


# 13. Revoke.


@pytest.mark.parametrize("grant", [GRANT, REFRESHING, REQUIRED])
def test_a_grant_is_fenced_off_and_only_what_the_provider_must_be_told_stays(
    grant: Authorized | AuthorizationRequired,
) -> None:
    assert after(grant, RevokeRequested()) == REVOKING
    assert tokens_of(REVOKING) is None


def test_an_access_token_is_ended_where_there_is_no_refresh_token() -> None:
    grant = Authorized(tokens=replace(TOKENS, refresh_token=None, refresh_token_expires_at=None))
    told = RevocationRequest(token="access-7", token_type_hint=TokenTypeHint.ACCESS_TOKEN)
    assert after(grant, RevokeRequested()) == replace(REVOKING, request=told)


def test_the_end_is_never_before_the_login_that_it_ends_whatever_the_clock_says() -> None:
    assert after(GRANT, RevokeRequested(), T0 - MINUTE) == replace(REVOKING, at=T0)


@pytest.mark.parametrize(
    "grant", [Unauthorized(), Moved(grant=GRANT, since=NOW), REVOKING, REVOKED]
)
def test_what_is_not_here_is_not_revoked_and_nothing_is_revoked_twice(grant: Grant) -> None:
    assert after(grant, RevokeRequested(), NOW + MINUTE) is grant


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (RevocationResult.REVOKED, RevocationResult.REVOKED),
        (TokenErrorResponse(status=400, error="invalid_token"), RevocationResult.REVOKED),
        (RevocationResult.NOT_SUPPORTED, RevocationResult.NOT_SUPPORTED),
        (
            TokenErrorResponse(status=400, error="unsupported_token_type"),
            RevocationResult.NOT_SUPPORTED,
        ),
        (TokenErrorResponse(status=401, error="invalid_client"), RevocationResult.FAILED),
        (TokenErrorResponse(status=503, error=None), RevocationResult.FAILED),
        (NO_ANSWER, RevocationResult.FAILED),
    ],
)
def test_the_last_token_is_forgotten_whatever_the_provider_made_of_it(
    outcome: RevocationOutcome, result: RevocationResult
) -> None:
    ended = RevocationEnded(request=REQUEST, outcome=outcome)
    revoked = after(REVOKING, ended, NOW + MINUTE)
    assert isinstance(revoked, Revoked)
    assert revoked == replace(REVOKED, result=result)
    assert (revoked.place, revoked.login) == (1, T0)


@pytest.mark.parametrize("grant", [Unauthorized(), GRANT, REFRESHING, REQUIRED, REVOKED])
def test_what_became_of_a_token_changes_nothing_once_others_are_there(grant: Grant) -> None:
    assert after(grant, RevocationEnded(request=REQUEST, outcome=NO_ANSWER)) is grant


def test_what_became_of_another_token_does_not_end_the_wait_for_this_one() -> None:
    assert (
        after(REVOKING, RevocationEnded(request=LATE, outcome=RevocationResult.REVOKED)) is REVOKING
    )


# 14. Nothing that belongs to it is used or kept.


@over_each_end
@pytest.mark.parametrize(
    "question",
    [
        asked(min_ttl=timedelta(0)),
        RefreshRequested(attempt_id="attempt-2", asked_at=NOW),
        RefreshDue(attempt_id="attempt-2"),
    ],
)
@pytest.mark.parametrize("now", [T0, NOW, NOW + 10 * ACCESS_LIFE])
def test_every_question_is_answered_that_it_was_revoked(
    grant: Grant, question: Question, now: datetime
) -> None:
    login = AskForAuthorization(cause=Cause.REVOKED)
    assert decide(grant, question, POLICY, now) == Decision(grant=grant, command=login)


def test_sweep_looks_at_what_the_provider_must_be_told_and_no_more_when_it_was() -> None:
    assert due_at(REVOKING) == REVOKING.at
    assert due_at(REVOKED) is None


@over_each_end
def test_tokens_that_a_late_refresh_brings_are_ended(grant: Grant) -> None:
    ended = AttemptEnded(attempt=COMMAND.attempt, outcome=RESPONSE)
    assert apply(grant, ended, POLICY, NOW) == told(grant, LATE)


@over_each_end
@pytest.mark.parametrize(
    "outcome", [TokenErrorResponse(status=400, error="invalid_grant"), NO_ANSWER]
)
def test_a_late_refresh_that_brings_nothing_changes_nothing(grant: Grant, outcome: Outcome) -> None:
    assert after(grant, AttemptEnded(attempt=COMMAND.attempt, outcome=outcome)) is grant


@over_each_end
def test_a_late_refresh_without_a_refresh_token_brings_an_access_token_to_end(grant: Grant) -> None:
    response = replace(RESPONSE, refresh_token=None)
    ended = AttemptEnded(attempt=COMMAND.attempt, outcome=response)
    access = RevocationRequest(token="access-8", token_type_hint=TokenTypeHint.ACCESS_TOKEN)
    assert apply(grant, ended, POLICY, NOW) == told(grant, access)


@over_each_end
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("by", CLOCKS)
def test_rescued_tokens_of_a_login_of_before_are_ended_whatever_its_clock_said(
    grant: Grant, by: timedelta, place: int
) -> None:
    rescued = TokensRescued(tokens=replace(TOKENS, authorized_at=NOW + by, place=place))
    assert apply(grant, rescued, POLICY, NOW) == told(grant, REQUEST)


@over_each_end
@pytest.mark.parametrize("read", [Unauthorized(), GRANT, REFRESHING, REQUIRED])
@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_that_has_not_read_the_revocation_is_ended_whatever_its_clock_said(
    grant: Grant, read: Grant, by: timedelta
) -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW + by, read=read)
    assert apply(grant, completed, POLICY, NOW + MINUTE) == told(grant, LATE)


@over_each_end
def test_there_is_nothing_to_hand_over_and_nothing_to_take_back(grant: Grant) -> None:
    assert after(grant, MoveRequested()) is grant
    assert after(grant, ReturnRequested()) is grant


def told(grant: Grant, request: RevocationRequest) -> Effect:
    return Effect(grant=grant, to_revoke=request)


# 15. Start again.


@over_each_end
@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_that_has_read_the_revocation_starts_anew_whatever_its_clock_says(
    grant: Grant, by: timedelta
) -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW + by, read=grant)
    new = authorized(after(grant, completed, NOW + by))
    assert (new.tokens.refresh_token, new.tokens.place, new.tokens.revoked) == ("refresh-8", 2, 1)
    assert after(new, completed, NOW + by) is new


@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_starts_anew_over_a_revocation_of_before_these_were_counted(by: timedelta) -> None:
    revoked = Revoked(at=NOW + by, result=RevocationResult.REVOKED)
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW, read=revoked)
    assert isinstance(after(revoked, completed), Authorized)
    before = replace(completed, read=GRANT)
    assert apply(revoked, before, POLICY, NOW) == told(revoked, LATE)


@over_each_end
@pytest.mark.parametrize("by", CLOCKS)
def test_rescued_tokens_of_a_later_login_come_back(grant: Grant, by: timedelta) -> None:
    tokens = replace(TOKENS, authorized_at=NOW + by, place=2)
    assert after(grant, TokensRescued(tokens=tokens)) == Authorized(tokens=tokens)


def test_what_was_begun_before_a_revocation_is_told_after_a_later_login_too() -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW, read=REVOKED)
    new = after(REVOKED, completed)
    for grant in (REVOKING, REVOKED, new, after(new, MoveRequested())):
        assert was_revoked_since(grant, 0)
        assert not was_revoked_since(grant, 1)
        assert not was_revoked_since(grant, None)
    for grant in (Unauthorized(), GRANT, REFRESHING, REQUIRED):
        assert not was_revoked_since(grant, 0)


@over_each_end
def test_only_what_was_handed_over_later_is_taken_over(grant: Grant) -> None:
    for at in (NOW, NOW + TICK, NOW + YEARS):
        moved = Moved(grant=GRANT, since=at)
        assert after(grant, GrantArrived(moved=moved, ledger=())) is grant
    other = Authorized(tokens=replace(TOKENS, authorized_at=T0 - TICK))
    assert after(grant, GrantArrived(moved=Moved(grant=other, since=NOW), ledger=())) is grant
    later = GrantArrived(moved=Moved(grant=other, since=NOW + TICK), ledger=())
    taken = Authorized(tokens=replace(other.tokens, place=2, revoked=1))
    assert after(grant, later) == taken


@over_each_end
def test_a_revocation_by_a_clock_ahead_does_not_keep_out_another_login(grant: Grant) -> None:
    assert isinstance(grant, Revoking | Revoked)
    ahead = replace(grant, at=NOW + YEARS)
    other = Authorized(tokens=replace(TOKENS, authorized_at=T0 - TICK))
    arrived = GrantArrived(moved=Moved(grant=other, since=NOW - MINUTE), ledger=())
    assert isinstance(after(ahead, arrived), Authorized)


def test_a_late_refresh_of_before_leaves_a_later_login_alone() -> None:
    new = Authorized(tokens=replace(TOKENS, generation=0, authorized_at=NOW + TICK))
    ended = AttemptEnded(attempt=COMMAND.attempt, outcome=RESPONSE)
    assert after(new, ended) is new

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
from domain.question import Question, RefreshDue, RefreshRequested
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
def test_a_revoked_grant_keeps_only_the_token_to_revoke(
    grant: Authorized | AuthorizationRequired,
) -> None:
    revoking = after(grant, RevokeRequested())
    assert revoking == REVOKING
    # Comparison leaves these out.
    assert isinstance(revoking, Revoking)
    assert (revoking.place, revoking.login) == (1, T0)
    assert tokens_of(REVOKING) is None


def test_without_a_refresh_token_the_access_token_is_revoked() -> None:
    grant = Authorized(tokens=replace(TOKENS, refresh_token=None, refresh_token_expires_at=None))
    access = RevocationRequest(token="access-7", token_type_hint=TokenTypeHint.ACCESS_TOKEN)
    assert after(grant, RevokeRequested()) == replace(REVOKING, request=access)


def test_a_revocation_is_never_dated_before_its_login() -> None:
    assert after(GRANT, RevokeRequested(), T0 - MINUTE) == replace(REVOKING, at=T0)


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
def test_the_last_token_is_deleted_after_any_answer(
    outcome: RevocationOutcome, result: RevocationResult
) -> None:
    ended = RevocationEnded(request=REQUEST, outcome=outcome)
    revoked = after(REVOKING, ended, NOW + MINUTE)
    assert isinstance(revoked, Revoked)
    assert revoked == replace(REVOKED, result=result)
    assert (revoked.place, revoked.login) == (1, T0)


@pytest.mark.parametrize("grant", [Unauthorized(), GRANT, REFRESHING, REQUIRED, REVOKED])
def test_the_end_of_a_revocation_does_not_change_a_later_login(grant: Grant) -> None:
    assert after(grant, RevocationEnded(request=REQUEST, outcome=NO_ANSWER)) is grant


def test_the_end_of_another_revocation_does_not_end_this_one() -> None:
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
def test_every_question_to_a_revoked_grant_requires_a_login(
    grant: Grant, question: Question, now: datetime
) -> None:
    login = AskForAuthorization(cause=Cause.REVOKED)
    assert decide(grant, question, POLICY, now) == Decision(grant=grant, command=login)


def test_the_sweep_processes_a_revocation_until_the_provider_has_answered() -> None:
    assert due_at(REVOKING) == REVOKING.at
    assert due_at(REVOKED) is None


@over_each_end
@pytest.mark.parametrize(
    ("outcome", "to_revoke"),
    [
        (RESPONSE, LATE),
        (
            replace(RESPONSE, refresh_token=None),
            RevocationRequest(token="access-8", token_type_hint=TokenTypeHint.ACCESS_TOKEN),
        ),
        (TokenErrorResponse(status=400, error="invalid_grant"), None),
        (NO_ANSWER, None),
    ],
    ids=["tokens", "access token", "refusal", "no answer"],
)
def test_tokens_of_a_late_refresh_are_revoked(
    grant: Grant, outcome: Outcome, to_revoke: RevocationRequest | None
) -> None:
    effect = apply(grant, AttemptEnded(attempt=COMMAND.attempt, outcome=outcome), POLICY, NOW)
    assert effect.grant is grant
    assert effect == Effect(grant=grant, to_revoke=to_revoke)


@over_each_end
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("by", CLOCKS)
def test_rescued_tokens_of_an_earlier_login_are_revoked_at_any_difference_of_clocks(
    grant: Grant, by: timedelta, place: int
) -> None:
    rescued = TokensRescued(tokens=replace(TOKENS, authorized_at=NOW + by, place=place))
    assert apply(grant, rescued, POLICY, NOW) == revokes(grant, REQUEST)


@pytest.mark.parametrize(
    ("by", "place", "is_earlier"),
    [
        (-timedelta(microseconds=1), 0, True),
        (timedelta(0), 0, True),
        (timedelta(microseconds=1), 0, False),
        (timedelta(0), 1, False),
    ],
)
def test_instants_decide_where_an_earlier_version_counted_nothing(
    by: timedelta, place: int, *, is_earlier: bool
) -> None:
    rescued = TokensRescued(tokens=replace(TOKENS, authorized_at=NOW + by, place=place))
    effect = apply(replace(REVOKED, place=0), rescued, POLICY, NOW)
    assert effect.to_revoke == (REQUEST if is_earlier else None)


@over_each_end
@pytest.mark.parametrize("read", [Unauthorized(), GRANT, REFRESHING, REQUIRED])
@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_that_has_not_read_the_revocation_is_revoked(
    grant: Grant, read: Grant, by: timedelta
) -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW + by, read=read)
    assert apply(grant, completed, POLICY, NOW + MINUTE) == revokes(grant, LATE)


def revokes(grant: Grant, request: RevocationRequest) -> Effect:
    return Effect(grant=grant, to_revoke=request)


# 15. Start again.


@over_each_end
@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_that_has_read_the_revocation_starts_a_new_grant(
    grant: Grant, by: timedelta
) -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW + by, read=grant)
    new = authorized(after(grant, completed, NOW + by))
    assert (new.tokens.refresh_token, new.tokens.place, new.tokens.revoked) == ("refresh-8", 2, 1)
    assert after(new, completed, NOW + by) is new


@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_starts_a_new_grant_after_an_uncounted_revocation(by: timedelta) -> None:
    revoked = Revoked(at=NOW + by, result=RevocationResult.REVOKED)
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW, read=revoked)
    assert isinstance(after(revoked, completed), Authorized)
    before = replace(completed, read=GRANT)
    assert apply(revoked, before, POLICY, NOW) == revokes(revoked, LATE)


@over_each_end
@pytest.mark.parametrize("by", CLOCKS)
def test_rescued_tokens_of_a_later_login_are_stored(grant: Grant, by: timedelta) -> None:
    tokens = replace(TOKENS, authorized_at=NOW + by, place=2)
    assert after(grant, TokensRescued(tokens=tokens)) == Authorized(tokens=tokens)


def test_a_count_from_before_a_revocation_is_known_after_a_later_login() -> None:
    completed = LoginCompleted(response=RESPONSE, requested_at=NOW, read=REVOKED)
    new = after(REVOKED, completed)
    for grant in (REVOKING, REVOKED, new, after(new, MoveRequested())):
        assert was_revoked_since(grant, 0)
        assert not was_revoked_since(grant, 1)
        assert not was_revoked_since(grant, None)
    for grant in (Unauthorized(), GRANT, REFRESHING, REQUIRED):
        assert not was_revoked_since(grant, 0)


@over_each_end
def test_only_a_grant_that_was_handed_over_later_is_taken_over(grant: Grant) -> None:
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
    # Without the time of the login, that clock may have been right.
    unknown = replace(ahead, login=None)
    assert after(unknown, arrived) is unknown


def test_a_late_refresh_does_not_change_a_later_login() -> None:
    new = Authorized(tokens=replace(TOKENS, generation=0, authorized_at=NOW + TICK))
    ended = AttemptEnded(attempt=COMMAND.attempt, outcome=RESPONSE)
    assert after(new, ended) is new

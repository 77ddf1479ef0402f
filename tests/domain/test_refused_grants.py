"""Refusals of a refresh token: when they are final, and when it is tried again (rule 6)."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import (
    AskForAuthorization,
    Command,
    Decision,
    NothingDue,
    SendTokenRequest,
    Serve,
    TryLater,
)
from domain.decide import decide
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    due_at,
)
from domain.policy import Policy
from domain.provider import RotationKind
from domain.question import RefreshDue, RefreshRequested
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    MINUTE,
    POLICY,
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
from tests.domain.provider_model import INVALID_GRANT

GRANT = Authorized(tokens=TOKENS)
EXPIRED = T0 + ACCESS_LIFE
EARLY = EXPIRED - 5 * MINUTE
LAST_TRY = EXPIRED + 5 * SECOND
TICK = timedelta(microseconds=1)
REJECTED = AskForAuthorization(cause=Cause.REFRESH_TOKEN_REJECTED, quote="invalid_grant")
FOR_NOW = TryLater(at=LAST_TRY, failure=Failure.REFUSED, quote="invalid_grant")
LOST = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
DUE = RefreshDue(attempt_id="swept")
# Dated by a clock that was ahead.
AHEAD = replace(TOKENS, issued_at=T0 + 1461 * DAY, expires_at=EXPIRED + 1461 * DAY)


def refused(grant: Grant, at: datetime, by: Policy = POLICY) -> Grant:
    """Let an attempt begin and be refused at one instant."""
    refreshing, command = begin(grant, at, by)
    return end(refreshing, command, INVALID_GRANT, at, by)


def requested(grant: Grant, at: datetime, by: Policy = POLICY) -> Decision:
    """Ask for a refresh, as a person does."""
    return decide(grant, RefreshRequested(attempt_id="requested", asked_at=at), by, at)


def begins(command: Command) -> bool:
    return isinstance(command, SendTokenRequest)


# While the access token is valid.


def test_a_refusal_of_an_attempt_before_the_access_token_expired_is_not_final() -> None:
    assert refused(GRANT, EARLY) == Authorized(
        tokens=TOKENS,
        failure_state=FailureState(
            failures=1,
            failure=Failure.REFUSED,
            at=EARLY,
            retry_at=LAST_TRY,
            in_doubt_since=None,
            since=EARLY,
            quote="invalid_grant",
        ),
    )
    refreshing, command = begin(GRANT, EXPIRED - TICK - 60 * SECOND)
    heard_late = authorized(end(refreshing, command, INVALID_GRANT, EXPIRED + 20 * SECOND))
    assert begins(ask(heard_late, EXPIRED + 21 * SECOND).command)


def test_a_refusal_that_is_not_final_counts_with_the_failures_before_it() -> None:
    away = end(*begin(GRANT, EARLY), TokenErrorResponse(status=503, error=None), EARLY)
    after = authorized(refused(away, EARLY + SECOND))
    assert after.failure_state is not None
    assert (after.failure_state.failure, after.failure_state.failures) == (Failure.REFUSED, 2)
    assert after.failure_state.since == EARLY


@pytest.mark.parametrize("at", [EARLY, EXPIRED - 61 * SECOND, EXPIRED - TICK])
def test_until_the_last_try_the_access_token_is_served_and_nothing_is_sent(at: datetime) -> None:
    grant = refused(GRANT, EARLY)
    assert ask(grant, at) == Decision(grant=grant, command=Serve(tokens=TOKENS))
    assert decide(grant, DUE, POLICY, at).command == NothingDue()


def test_a_larger_min_ttl_than_is_left_gets_the_time_of_the_next_try() -> None:
    grant = refused(GRANT, EARLY)
    command = decide(grant, asked(min_ttl=6 * MINUTE), POLICY, EARLY).command
    assert command == FOR_NOW
    assert ask(grant, EXPIRED).command == FOR_NOW
    assert ask(grant, LAST_TRY - TICK).command == FOR_NOW


def test_the_last_try_after_the_access_token_expired_decides() -> None:
    grant = refused(GRANT, EARLY)
    refreshing, command = begin(grant, LAST_TRY)
    assert end(refreshing, command, INVALID_GRANT, LAST_TRY + SECOND) == AuthorizationRequired(
        tokens=TOKENS,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client-1",
        since=LAST_TRY + SECOND,
        quote="invalid_grant",
    )
    renewed = authorized(end(refreshing, command, RESPONSE, LAST_TRY + SECOND))
    assert (renewed.tokens.refresh_token, renewed.failure_state) == ("refresh-8", None)


def test_a_last_try_during_an_outage_decides_nothing() -> None:
    refreshing, command = begin(refused(GRANT, EARLY), LAST_TRY)
    away = authorized(
        end(refreshing, command, TokenErrorResponse(status=503, error=None), LAST_TRY)
    )
    assert begins(ask(away, LAST_TRY + MINUTE).command)


def test_the_sweep_makes_the_last_try_if_no_program_does() -> None:
    grant = refused(GRANT, EARLY)
    assert due_at(grant) == LAST_TRY
    assert begins(decide(grant, DUE, POLICY, LAST_TRY + DAY).command)


def test_the_last_try_follows_soon_after_a_short_lifetime() -> None:
    short = replace(TOKENS, expires_at=T0 + 10 * SECOND)
    grant = refused(Authorized(tokens=short), T0 + 7 * SECOND)
    assert begins(ask(grant, T0 + 10.5 * SECOND).command)


def test_a_refusal_is_never_final_if_the_access_token_never_expires() -> None:
    lasting = Authorized(tokens=replace(TOKENS, expires_at=None))
    refreshing = requested(lasting, EARLY)
    assert isinstance(refreshing.command, SendTokenRequest)
    grant = end(refreshing.grant, refreshing.command, INVALID_GRANT, EARLY)
    assert ask(grant, EARLY + DAY).command == Serve(tokens=lasting.tokens)
    assert begins(requested(grant, EARLY + 5 * MINUTE).command)


def test_a_refusal_leaves_an_access_token_valid_that_a_refresh_would_have_ended() -> None:
    ends_access = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    refused_for_good = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=T0
    )
    assert ask(refused_for_good, EARLY, ends_access).command == Serve(tokens=TOKENS)
    lost = replace(refused_for_good, cause=Cause.REFRESH_ANSWER_LOST)
    assert isinstance(ask(lost, EARLY, ends_access).command, AskForAuthorization)


def test_a_refusal_dated_after_now_does_not_hold() -> None:
    long = replace(TOKENS, expires_at=T0 + 60 * DAY)
    at = T0 + 60 * DAY - MINUTE
    grant = refused(Authorized(tokens=long), at)
    assert begins(requested(grant, T0 + DAY).command)
    assert begins(requested(grant, at - POLICY.lease).command)
    assert isinstance(requested(grant, at - POLICY.lease + TICK).command, TryLater)


# An explicit refresh.


@pytest.mark.parametrize("at", [EARLY, EXPIRED], ids=["early", "final"])
def test_an_explicit_refresh_tries_again_at_most_every_five_minutes(at: datetime) -> None:
    grant = refused(GRANT, at)
    # The last try comes first where it does.
    again = min(at + 5 * MINUTE, LAST_TRY) if at is EARLY else at + 5 * MINUTE
    for _ in range(3):
        assert not begins(requested(grant, again - TICK).command)
        begun = requested(grant, again)
        assert isinstance(begun.command, SendTokenRequest)
        grant = end(begun.grant, begun.command, INVALID_GRANT, again)
        assert not begins(requested(grant, again).command)
        again += 5 * MINUTE


def test_tokens_from_a_clock_ahead_are_served_for_one_lifetime_after_a_refusal() -> None:
    grant, last_try = refused(Authorized(tokens=AHEAD), T0), LAST_TRY
    assert ask(grant, last_try - TICK).command == Serve(tokens=AHEAD)
    assert begins(ask(grant, last_try).command)
    assert isinstance(refused(grant, last_try), AuthorizationRequired)


def test_a_refusal_after_now_serves_no_token_that_a_clock_ahead_has_dated() -> None:
    assert begins(ask(refused(Authorized(tokens=AHEAD), T0 + DAY), T0).command)


def test_after_a_clock_ahead_the_first_refusal_is_not_final_after_another_failure() -> None:
    refreshing, command = begin(Authorized(tokens=AHEAD), T0)
    unavailable = end(refreshing, command, TokenErrorResponse(status=503, error=None), T0)
    kept = refused(unavailable, T0 + MINUTE)
    assert isinstance(kept, Authorized)
    assert kept.failure_state is not None
    assert kept.failure_state.failure is Failure.REFUSED


def test_programs_and_the_sweep_do_not_try_again_after_a_final_refusal() -> None:
    grant = refused(GRANT, EXPIRED)
    for at in (EXPIRED, EXPIRED + 5 * MINUTE, EXPIRED + 30 * DAY):
        assert ask(grant, at) == Decision(grant=grant, command=REJECTED)
        assert decide(grant, DUE, POLICY, at).command == NothingDue()


def test_new_tokens_revive_the_grant() -> None:
    begun = requested(refused(GRANT, EXPIRED), EXPIRED + DAY)
    assert isinstance(begun.command, SendTokenRequest)
    revived = end(begun.grant, begun.command, RESPONSE, EXPIRED + DAY)
    assert ask(revived, EXPIRED + DAY).command == Serve(tokens=revived.tokens)  # type: ignore[union-attr]


def test_late_tokens_without_rotation_revive_the_grant() -> None:
    by = policy(RotationKind.NONE)
    _, first = begin(GRANT, EXPIRED, by)
    grant = refused(GRANT, EXPIRED + MINUTE, by)
    assert isinstance(grant, AuthorizationRequired)
    late = authorized(
        end(grant, first, replace(RESPONSE, refresh_token=None), EXPIRED + 2 * MINUTE, by)
    )
    assert ask(late, EXPIRED + 2 * MINUTE, by).command == Serve(tokens=late.tokens)


# After a lost answer, when another try can do harm.


@pytest.mark.parametrize(
    "by",
    [policy(), policy(RotationKind.OPTIONAL), policy(grace=30 * SECOND)],
    ids=["rotates", "may rotate", "grace"],
)
def test_after_a_lost_answer_a_refusal_is_final_at_once_for_every_question(by: Policy) -> None:
    refreshing, command = begin(GRANT, EARLY, by)
    doubtful = end(refreshing, command, LOST, EARLY + SECOND, by)
    again = requested(doubtful, EARLY + 2 * MINUTE, by)
    assert isinstance(again.command, SendTokenRequest)
    grant = end(again.grant, again.command, INVALID_GRANT, EARLY + 2 * MINUTE, by)
    assert isinstance(grant, AuthorizationRequired)
    assert grant.cause is Cause.REFRESH_ANSWER_LOST
    for at in (EXPIRED, EXPIRED + DAY):
        assert not begins(requested(grant, at, by).command)


def test_if_a_replay_is_harmless_a_lost_answer_costs_nothing() -> None:
    by = policy(RotationKind.NONE)
    refreshing, command = begin(GRANT, EARLY, by)
    doubtful = end(refreshing, command, LOST, EARLY + SECOND, by)
    early = authorized(refused(doubtful, EARLY + MINUTE, by))
    assert ask(early, EXPIRED - SECOND, by).command == Serve(tokens=TOKENS)
    late = refused(early, LAST_TRY, by)
    assert isinstance(late, AuthorizationRequired)
    assert late.cause is Cause.REFRESH_TOKEN_REJECTED

"""The end of an attempt, by the rules that `decide.py` states (4 to 7), one by one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.commands import Serve, TryLater
from domain.decide import apply, decide
from domain.events import AttemptEnded, LoginCompleted
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Refreshing,
    Unauthorized,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import RotationKind
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    TokenErrorResponse,
)
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    EXPIRED,
    GRACE,
    GRANT,
    MINUTE,
    NO_ROTATION,
    POLICY,
    RESPONSE,
    SECOND,
    SHORT_GRACE,
    T0,
    TICK,
    TOKENS,
    UNAVAILABLE,
    UNKNOWN,
    ask,
    asked,
    authorized,
    begin,
    end,
    fail,
    failure_state_of,
    policy,
)
from tests.domain.provider_model import INVALID_GRANT

NOT_SENT = NoAnswer(delivery=Delivery.NOT_SENT, reason="refused")
# The refresh token stays.
KEPT = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)


# 4. Tokens belong to a generation.


def test_new_tokens_replace_the_old_ones_and_clear_all_failures() -> None:
    again, command = begin(fail(UNAVAILABLE), EXPIRED + SECOND)
    after = end(again, command, RESPONSE, EXPIRED + 2 * SECOND)
    assert after == Authorized(
        tokens=TOKENS.refreshed(RESPONSE, issued_at=EXPIRED + SECOND, provider=DIGIKEY)
    )
    assert ask(after, EXPIRED + 2 * SECOND).command == Serve(tokens=after.tokens)


def test_the_question_that_began_an_attempt_is_answered_after_its_end() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    ended = AttemptEnded(attempt=command.attempt, outcome=RESPONSE)
    effect = apply(refreshing, ended, POLICY, EXPIRED)
    assert effect.to_revoke is None
    assert isinstance(decide(effect.grant, asked(), POLICY, EXPIRED).command, Serve)


def test_checklist_33_an_expiry_counts_from_before_the_request_was_sent() -> None:
    after = authorized(end(*begin(GRANT, EXPIRED), RESPONSE, EXPIRED + 20 * SECOND))
    assert after.tokens.expires_at == EXPIRED + ACCESS_LIFE


def test_late_tokens_are_kept_after_the_lease_has_run_out() -> None:
    after = authorized(end(*begin(GRANT, EXPIRED), RESPONSE, EXPIRED + 10 * MINUTE))
    assert after.tokens.refresh_token == "refresh-8"


def test_late_tokens_are_kept_while_a_second_attempt_is_in_flight() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, second = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    after = authorized(end(again, first, RESPONSE, EXPIRED + MINUTE))
    assert after.tokens.refresh_token == "refresh-8"
    assert end(after, second, INVALID_GRANT, EXPIRED + MINUTE) is after


def test_late_tokens_are_kept_after_a_refusal_of_the_second_attempt() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    required = end(
        *begin(refreshing, EXPIRED + MINUTE, id_="attempt-2"), INVALID_GRANT, EXPIRED + MINUTE
    )
    assert isinstance(required, AuthorizationRequired)
    after = authorized(end(required, first, RESPONSE, EXPIRED + MINUTE))
    assert after.tokens.refresh_token == "refresh-8"


def test_late_tokens_after_a_refusal_count_as_a_replay_within_the_grace_window() -> None:
    refreshing, first = begin(GRANT, EXPIRED, SHORT_GRACE)
    required = end(
        *begin(refreshing, EXPIRED + MINUTE, SHORT_GRACE, id_="attempt-2"),
        INVALID_GRANT,
        EXPIRED + MINUTE,
        SHORT_GRACE,
    )
    after = authorized(end(required, first, RESPONSE, EXPIRED + MINUTE, SHORT_GRACE))
    assert after.tokens.issued_at == EXPIRED - 30 * SECOND


def test_late_tokens_never_replace_a_newer_generation() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    newer = end(
        *begin(refreshing, EXPIRED + MINUTE, id_="attempt-2"),
        replace(RESPONSE, refresh_token="newer"),
        EXPIRED + MINUTE,
    )
    assert end(newer, first, RESPONSE, EXPIRED + 2 * MINUTE) is newer


def test_late_tokens_never_replace_those_of_a_new_login() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED)
    fresh = apply(refreshing, login, POLICY, EXPIRED).grant
    assert end(fresh, command, replace(RESPONSE, refresh_token="old"), EXPIRED) is fresh


def test_late_tokens_never_replace_a_new_login_of_the_same_generation() -> None:
    first = Authorized(tokens=replace(TOKENS, generation=0))
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED)
    anew = apply(Unauthorized(), login, POLICY, EXPIRED + SECOND).grant
    old = replace(RESPONSE, refresh_token="old")
    for clock in (-MINUTE, timedelta(0), MINUTE):
        _, command = begin(first, EXPIRED + clock)
        assert end(anew, command, old, EXPIRED + 2 * MINUTE) is anew
    _, command = begin(anew, EXPIRED + ACCESS_LIFE)
    late = authorized(end(anew, command, RESPONSE, EXPIRED + ACCESS_LIFE + 2 * MINUTE))
    assert late.tokens.refresh_token == "refresh-8"


@pytest.mark.parametrize("cause", [Cause.REFRESH_TOKEN_REJECTED, Cause.REFRESH_ANSWER_LOST])
def test_late_tokens_without_a_refresh_token_revive_a_grant_unless_an_answer_was_lost(
    cause: Cause,
) -> None:
    _, command = begin(GRANT, EXPIRED)
    required = AuthorizationRequired(
        tokens=TOKENS, cause=cause, client="client-1", since=EXPIRED + SECOND
    )
    after = end(required, command, replace(RESPONSE, refresh_token=None), EXPIRED + MINUTE)
    tokens = tokens_of(after)
    assert tokens is not None
    assert (tokens.access_token, tokens.refresh_token) == ("access-8", "refresh-7")
    is_revived = cause is Cause.REFRESH_TOKEN_REJECTED
    assert after == (Authorized(tokens=tokens) if is_revived else replace(required, tokens=tokens))


def test_without_rotation_the_access_token_that_was_requested_last_wins() -> None:
    refreshing, first = begin(GRANT, EXPIRED, NO_ROTATION)
    after = end(
        *begin(refreshing, EXPIRED + MINUTE, NO_ROTATION, id_="attempt-2"),
        replace(KEPT, access_token="last"),
        EXPIRED + MINUTE,
        NO_ROTATION,
    )
    assert end(after, first, KEPT, EXPIRED + 2 * MINUTE, NO_ROTATION) is after


def test_after_a_refusal_the_last_try_waits_for_the_end_of_a_late_access_token() -> None:
    refreshing, first = begin(GRANT, EXPIRED, NO_ROTATION)
    refused = FailureState(
        failures=1,
        failure=Failure.REFUSED,
        at=EXPIRED,
        retry_at=EXPIRED + MINUTE,
        in_doubt_since=None,
        since=EXPIRED,
    )
    grant = Authorized(tokens=refreshing.tokens, failure_state=refused)
    after = authorized(end(grant, first, KEPT, EXPIRED + MINUTE, NO_ROTATION))
    end_of_token = NO_ROTATION.last_try_at(after.tokens, EXPIRED + MINUTE)
    assert end_of_token > EXPIRED + ACCESS_LIFE - MINUTE
    assert after.failure_state == replace(refused, retry_at=end_of_token)
    later = replace(grant, failure_state=replace(refused, retry_at=EXPIRED + 2 * ACCESS_LIFE))
    after = authorized(end(later, first, KEPT, EXPIRED + MINUTE, NO_ROTATION))
    assert after.failure_state == later.failure_state
    # Another failure is about the request, and not about the refresh token.
    other = replace(grant, failure_state=replace(refused, failure=Failure.UNAVAILABLE))
    after = authorized(end(other, first, KEPT, EXPIRED + MINUTE, NO_ROTATION))
    assert after.failure_state == other.failure_state


def test_late_tokens_without_a_refresh_token_leave_the_attempt_in_flight_in_charge() -> None:
    refreshing, first = begin(GRANT, EXPIRED, NO_ROTATION)
    again, second = begin(refreshing, EXPIRED + MINUTE, NO_ROTATION, id_="attempt-2")
    after = end(again, first, KEPT, EXPIRED + MINUTE, NO_ROTATION)
    assert isinstance(after, Refreshing)
    assert (after.attempt, after.tokens.access_token) == (second.attempt, "access-8")


def test_without_rotation_an_answer_ends_its_attempt() -> None:
    after = authorized(end(*begin(GRANT, EXPIRED, NO_ROTATION), KEPT, EXPIRED, NO_ROTATION))
    assert (after.tokens.access_token, after.tokens.refresh_token) == ("access-8", "refresh-7")


def test_without_rotation_the_first_of_two_simultaneous_answers_stays() -> None:
    refreshing, command = begin(GRANT, EXPIRED, NO_ROTATION)
    after = end(refreshing, command, KEPT, EXPIRED, NO_ROTATION)
    at_once = replace(command, attempt=replace(command.attempt, id="attempt-2"))
    other = replace(KEPT, access_token="other")
    assert end(after, at_once, other, EXPIRED, NO_ROTATION) is after


@pytest.mark.parametrize(
    ("grace", "retried_after", "counted_from"),
    [
        # No grace: a second 200 means that the first request never arrived.
        (timedelta(0), MINUTE, MINUTE),
        # Grace: it may be the first answer again, with its full lifetime.
        (10 * MINUTE, 5 * MINUTE, timedelta(0)),
        (10 * MINUTE, 15 * MINUTE, 5 * MINUTE),
    ],
)
def test_after_a_doubt_an_expiry_counts_from_when_the_token_may_have_been_made(
    grace: timedelta, retried_after: timedelta, counted_from: timedelta
) -> None:
    by = policy(grace=grace)
    after = authorized(
        end(
            *begin(fail(UNKNOWN, by=by), EXPIRED + retried_after, by, id_="attempt-2"),
            RESPONSE,
            EXPIRED + retried_after,
            by,
        )
    )
    assert after.tokens.issued_at == EXPIRED + counted_from
    assert after.tokens.expires_at == EXPIRED + counted_from + ACCESS_LIFE


def test_tokens_that_have_expired_on_arrival_are_kept_and_replaced_at_once() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    late = EXPIRED + ACCESS_LIFE
    after = end(refreshing, command, RESPONSE, late)
    assert failure_state_of(after) == FailureState(
        failures=1,
        failure=Failure.EXPIRED_ON_ARRIVAL,
        at=late,
        retry_at=late,
        in_doubt_since=None,
        since=late,
    )
    _, again = begin(after, late, id_="attempt-2")
    assert again.request == RefreshTokenRequest(refresh_token="refresh-8")


def test_tokens_that_have_expired_on_arrival_settle_a_doubt() -> None:
    after = end(*begin(fail(UNKNOWN), EXPIRED + MINUTE), RESPONSE, EXPIRED + MINUTE + ACCESS_LIFE)
    assert failure_state_of(after).failure is Failure.EXPIRED_ON_ARRIVAL
    assert failure_state_of(after).in_doubt_since is None


def test_checklist_48_a_provider_whose_tokens_always_expire_on_arrival_is_not_asked_in_a_loop() -> (
    None
):
    stillborn = replace(RESPONSE, expires_in=TICK)
    refreshing, command = begin(GRANT, EXPIRED)
    once = end(refreshing, command, stillborn, EXPIRED + SECOND)
    twice = end(
        *begin(once, EXPIRED + SECOND, id_="attempt-2"),
        replace(stillborn, refresh_token="r"),
        EXPIRED + 2 * SECOND,
    )
    assert isinstance(ask(twice, EXPIRED + 2 * SECOND).command, TryLater)


# 5. Failures of the attempt in flight.


@pytest.mark.parametrize("outcome", [INVALID_GRANT, UNAVAILABLE, UNKNOWN, NOT_SENT])
def test_a_failure_of_an_attempt_that_lost_its_lease_changes_nothing(outcome: Outcome) -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, _ = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    assert end(again, first, outcome, EXPIRED + MINUTE) is again
    assert end(GRANT, first, outcome, EXPIRED + MINUTE) is GRANT


# 6. Refusals.


def test_invalid_grant_ends_the_grant_and_keeps_what_there_was() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    assert end(refreshing, command, INVALID_GRANT, EXPIRED) == AuthorizationRequired(
        tokens=TOKENS,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client-1",
        since=EXPIRED,
        quote="invalid_grant",
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (TokenErrorResponse(status=400, error="wat", description="No."), "wat: No."),
        (TokenErrorResponse(status=400, error=None), None),
        (NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout"), "ReadTimeout"),
    ],
)
def test_the_providers_answer_is_quoted_until_the_next_attempt(
    outcome: TokenErrorResponse | NoAnswer, said: str | None
) -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    after = end(refreshing, command, outcome, EXPIRED)
    failure_state = failure_state_of(after)
    assert failure_state is not None
    assert failure_state.quote == said
    assert ask(after, EXPIRED).command == TryLater(
        at=failure_state.retry_at, failure=failure_state.failure, quote=said
    )


def test_a_doubt_begins_with_the_first_answer_that_was_lost() -> None:
    failed = end(*begin(fail(UNKNOWN), EXPIRED + MINUTE), UNKNOWN, EXPIRED + MINUTE)
    assert failure_state_of(failed).in_doubt_since == EXPIRED


def test_a_doubt_is_remembered_through_failures_that_prove_nothing() -> None:
    again, command = begin(fail(UNKNOWN), EXPIRED + MINUTE)
    failed = end(again, command, UNAVAILABLE, EXPIRED + MINUTE)
    assert failure_state_of(failed).in_doubt_since == EXPIRED
    third, command = begin(failed, EXPIRED + 10 * MINUTE)
    after = end(third, command, INVALID_GRANT, EXPIRED + 10 * MINUTE)
    assert isinstance(after, AuthorizationRequired)
    assert after.cause is Cause.REFRESH_ANSWER_LOST


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (NOT_SENT, Failure.NOT_SENT),
        (UNKNOWN, Failure.UNKNOWN),
        (TokenErrorResponse(status=503, error=None), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=500, error="invalid_grant"), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=499, error=None), Failure.UNEXPLAINED),
        (TokenErrorResponse(status=429, error="invalid_client"), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=400, error="temporarily_unavailable"), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=400, error="server_error"), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=400, error="slow_down"), Failure.UNAVAILABLE),
        (TokenErrorResponse(status=401, error="invalid_client"), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error="unauthorized_client"), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error="invalid_scope"), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error="invalid_request"), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error="unsupported_grant_type"), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error=None), Failure.UNEXPLAINED),
        (TokenErrorResponse(status=401, error=None), Failure.UNEXPLAINED),
        (TokenErrorResponse(status=302, error=None), Failure.MISCONFIGURED),
        (TokenErrorResponse(status=400, error="wat"), Failure.UNEXPLAINED),
    ],
)
def test_checklist_40_every_other_failure_keeps_the_grant_and_is_remembered(
    outcome: Outcome, failure: Failure
) -> None:
    failed = fail(outcome)
    assert failed.tokens is TOKENS
    failure_state = failure_state_of(failed)
    assert (failure_state.failure, failure_state.failures, failure_state.at) == (
        failure,
        1,
        EXPIRED,
    )


# 7. Retries.


def test_a_request_that_was_not_sent_is_tried_again_at_once_and_then_backs_off() -> None:
    once = fail(NOT_SENT)
    twice = end(*begin(once, EXPIRED, id_="attempt-2"), NOT_SENT, EXPIRED)
    retry_at = failure_state_of(twice).retry_at
    assert EXPIRED + SECOND / 2 <= retry_at <= EXPIRED + SECOND


@pytest.mark.parametrize(
    ("by", "retry_after"),
    [
        (POLICY, MINUTE),
        (policy(RotationKind.OPTIONAL), MINUTE),
        (NO_ROTATION, timedelta(0)),
        (GRACE, MINUTE),
        (SHORT_GRACE, 15 * SECOND),
    ],
)
def test_after_an_unknown_outcome_the_same_refresh_token_is_sent_again_when_that_is_safe(
    by: Policy, retry_after: timedelta
) -> None:
    assert failure_state_of(fail(UNKNOWN, by=by)).retry_at == EXPIRED + retry_after


def test_a_late_unknown_outcome_does_not_delay_the_retry_further() -> None:
    assert failure_state_of(fail(UNKNOWN, EXPIRED + 30 * SECOND)).retry_at == EXPIRED + MINUTE
    late = failure_state_of(fail(UNKNOWN, EXPIRED + 10 * MINUTE))
    assert late.retry_at == EXPIRED + 10 * MINUTE


@pytest.mark.parametrize(("known_after", "retry_after"), [(2, 15), (20, 20), (25, 60), (30, 60)])
def test_after_a_short_grace_window_the_retry_waits_until_no_request_can_arrive(
    known_after: int, retry_after: int
) -> None:
    failed = fail(UNKNOWN, EXPIRED + known_after * SECOND, SHORT_GRACE)
    assert failure_state_of(failed).retry_at == EXPIRED + retry_after * SECOND


@pytest.mark.parametrize(("wish", "retry_after"), [(9, 24), (10, 85)])
def test_a_failed_retry_is_repeated_within_the_grace_window_or_after_the_lease(
    wish: int, retry_after: int
) -> None:
    doubtful = fail(UNKNOWN, by=SHORT_GRACE)
    again, command = begin(doubtful, EXPIRED + 15 * SECOND, SHORT_GRACE, id_="attempt-2")
    away = replace(UNAVAILABLE, retry_after=wish * SECOND)
    failed = end(again, command, away, EXPIRED + 15 * SECOND, SHORT_GRACE)
    assert failure_state_of(failed).retry_at == EXPIRED + retry_after * SECOND


@pytest.mark.parametrize("failures", [1, 2, 3, 8, 9, 40, 2000])
def test_checklist_41_a_provider_that_is_away_is_asked_at_doubling_intervals_up_to_five_minutes(
    failures: int,
) -> None:
    before = FailureState(
        failures=failures - 1, failure=Failure.UNAVAILABLE, at=T0, retry_at=T0, in_doubt_since=None
    )
    grant = Authorized(tokens=TOKENS, failure_state=before if failures > 1 else None)
    refreshing, command = begin(grant, EXPIRED)
    wait = failure_state_of(end(refreshing, command, UNAVAILABLE, EXPIRED)).retry_at - EXPIRED
    ceiling = min(SECOND * 2 ** min(failures - 1, 10), 5 * MINUTE)
    assert ceiling / 2 <= wait <= ceiling


@pytest.mark.parametrize(
    ("wish", "granted"),
    [(20 * SECOND, 20 * SECOND), (59 * MINUTE, 59 * MINUTE), (DAY, 60 * MINUTE)],
)
def test_retry_after_is_honoured_up_to_an_hour(wish: timedelta, granted: timedelta) -> None:
    failed = fail(replace(UNAVAILABLE, retry_after=wish))
    assert failure_state_of(failed).retry_at == EXPIRED + granted
    assert isinstance(ask(failed, EXPIRED).command, TryLater)


def test_a_retry_after_shorter_than_the_backoff_does_not_shorten_it() -> None:
    failed = fail(replace(UNAVAILABLE, retry_after=timedelta(0)))
    assert failure_state_of(failed).retry_at >= EXPIRED + SECOND / 2

"""The rules of refresh, one by one, in the order in which `decide.py` states them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import (
    AskForAuthorization,
    Decision,
    LeaveAlone,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    LoginCompleted,
    Precedence,
    RefreshDue,
    RefreshRequested,
    TokensRescued,
)
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Setbacks,
    Unauthorized,
    due_at,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import UNDECLARED_ACCESS_TOKEN_LIFETIME, RotationKind
from domain.questions import missing_authorization
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from domain.tokens import Tokens
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    ask,
    asked,
    begin,
    end,
    policy,
)

TICK = timedelta(microseconds=1)
EXPIRED = T0 + ACCESS_LIFE
GRANT = Authorized(tokens=TOKENS)
REQUEST = RevocationRequest(token="refresh-7", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED, place=5)
NOT_SENT = NoAnswer(delivery=Delivery.NOT_SENT, reason="refused")
UNKNOWN = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
INVALID_GRANT = TokenErrorResponse(status=400, error="invalid_grant")
UNAVAILABLE = TokenErrorResponse(status=503, error=None)
NO_ROTATION = policy(RotationKind.NONE)
GRACE = policy(grace=10 * MINUTE)
SHORT_GRACE = policy(grace=30 * SECOND)


def setbacks_of(grant: Grant) -> Setbacks:
    assert isinstance(grant, Authorized), grant
    assert grant.setbacks is not None
    return grant.setbacks


def fail(outcome: Outcome, at: datetime = EXPIRED, by: Policy = POLICY) -> Authorized:
    refreshing, command = begin(GRANT, EXPIRED, by)
    after = end(refreshing, command, outcome, at, by)
    assert isinstance(after, Authorized), after
    return after


# 1. Need.


def test_a_token_that_outlives_the_demand_is_served_and_nothing_changes() -> None:
    decision = ask(GRANT, T0)
    assert decision.grant is GRANT
    assert decision.command == Serve(tokens=TOKENS)


def test_in_its_last_five_minutes_a_token_is_refreshed_and_served_meanwhile() -> None:
    near_end = EXPIRED - 5 * MINUTE
    assert ask(GRANT, near_end - TICK).command == Serve(tokens=TOKENS)
    refreshing, _ = begin(GRANT, near_end)
    assert ask(refreshing, near_end + SECOND).command == Serve(tokens=TOKENS)


@pytest.mark.parametrize("refresh_life", [ACCESS_LIFE / 2, ACCESS_LIFE, ACCESS_LIFE * 3 / 2])
def test_a_refresh_token_that_nears_its_end_is_used_while_the_access_token_lives(
    refresh_life: timedelta,
) -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=T0 + refresh_life)
    grant, due = Authorized(tokens=tokens), T0 + refresh_life / 3
    assert ask(grant, due - TICK).command == Serve(tokens=tokens)
    refreshing, _ = begin(grant, due)
    assert ask(refreshing, due + SECOND).command == Serve(tokens=tokens)


def test_a_token_that_does_not_outlive_the_demand_is_not_served_while_it_is_refreshed() -> None:
    refreshing, command = begin(GRANT, EXPIRED - MINUTE)
    decision = ask(refreshing, EXPIRED - MINUTE)
    assert decision.grant is refreshing
    assert decision.command == Wait(until=command.attempt.started_at + MINUTE)


def test_a_caller_that_demands_less_is_served_longer() -> None:
    refreshing, _ = begin(GRANT, EXPIRED - 30 * SECOND)
    modest = asked(min_ttl=timedelta(0))
    assert decide(refreshing, modest, POLICY, EXPIRED - TICK).command == Serve(tokens=TOKENS)
    assert isinstance(decide(refreshing, modest, POLICY, EXPIRED).command, Wait)


def test_where_a_refresh_ends_the_old_token_it_comes_as_late_as_possible() -> None:
    ends = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    assert ask(GRANT, EXPIRED - MINUTE - TICK, ends).command == Serve(tokens=TOKENS)
    refreshing, _ = begin(GRANT, EXPIRED - MINUTE, ends)
    modest = asked(min_ttl=timedelta(0))
    assert isinstance(decide(refreshing, modest, ends, EXPIRED - MINUTE).command, Wait)


def test_where_a_refresh_ends_the_old_token_a_doubtful_one_is_not_served() -> None:
    ends = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    refreshing, command = begin(GRANT, EXPIRED - MINUTE, ends)
    doubtful = end(refreshing, command, UNKNOWN, EXPIRED - MINUTE, ends)
    modest = asked(min_ttl=timedelta(0))
    assert isinstance(decide(doubtful, modest, ends, EXPIRED - MINUTE).command, TryLater)


def test_where_a_refresh_ends_the_old_token_a_wish_for_a_new_one_is_not_met_by_a_doubtful_one() -> (
    None
):
    ends = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    refreshing, _ = begin(GRANT, EXPIRED - MINUTE, ends)
    long_life = replace(TOKENS, issued_at=EXPIRED, expires_at=EXPIRED + ACCESS_LIFE)
    wish = RefreshRequested(attempt_id="a", asked_at=EXPIRED - SECOND)
    doubtful = replace(refreshing, tokens=long_life)
    assert isinstance(decide(doubtful, wish, ends, EXPIRED - SECOND).command, Wait)
    assert decide(doubtful, wish, POLICY, EXPIRED - SECOND).command == Serve(tokens=long_life)


def test_after_an_unknown_outcome_without_grace_the_retry_waits_for_the_token_to_die() -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end)
    doubtful = end(refreshing, command, UNKNOWN, near_end)
    assert ask(doubtful, EXPIRED - MINUTE - TICK).command == Serve(tokens=TOKENS)
    begin(doubtful, EXPIRED - MINUTE)


@pytest.mark.parametrize("by", [NO_ROTATION, GRACE])
def test_after_an_unknown_outcome_a_harmless_retry_does_not_wait_for_the_token_to_die(
    by: Policy,
) -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end, by)
    doubtful = end(refreshing, command, UNKNOWN, near_end, by)
    begin(doubtful, near_end + MINUTE, by)


def test_when_a_grace_window_is_over_a_retry_waits_for_the_token_to_die() -> None:
    near_end = EXPIRED - 5 * MINUTE
    doubtful = end(*begin(GRANT, near_end, SHORT_GRACE), UNKNOWN, near_end, SHORT_GRACE)
    begin(doubtful, near_end + 25 * SECOND - TICK, SHORT_GRACE)
    over = near_end + 25 * SECOND
    assert ask(doubtful, over, SHORT_GRACE) == Decision(
        grant=doubtful, command=Serve(tokens=TOKENS)
    )
    begin(doubtful, EXPIRED - MINUTE, SHORT_GRACE)


def test_the_sweep_leaves_a_grant_alone_until_it_is_due() -> None:
    due = T0 + REFRESH_LIFE - 30 * DAY
    early = decide(GRANT, RefreshDue(attempt_id="a"), POLICY, due - TICK)
    assert (early.grant, early.command) == (GRANT, LeaveAlone())
    decision = decide(GRANT, RefreshDue(attempt_id="a"), POLICY, due)
    assert isinstance(decision.command, SendTokenRequest)


def test_the_sweep_does_not_come_the_sooner_for_a_failure_that_leaves_no_doubt() -> None:
    assert due_at(fail(UNAVAILABLE)) == due_at(GRANT) == T0 + REFRESH_LIFE - 30 * DAY
    doubtful = fail(UNKNOWN)
    assert due_at(doubtful) == setbacks_of(doubtful).retry_at


def test_the_sweep_takes_up_an_attempt_that_was_left_and_a_doubt_that_may_be_settled() -> None:
    refreshing, _ = begin(GRANT, EXPIRED)
    sweep = RefreshDue(attempt_id="a")
    assert isinstance(decide(refreshing, sweep, POLICY, EXPIRED).command, Wait)
    later = decide(refreshing, sweep, POLICY, EXPIRED + MINUTE)
    assert isinstance(later.command, SendTokenRequest)
    doubtful = fail(UNKNOWN)
    assert decide(doubtful, sweep, POLICY, EXPIRED).command == LeaveAlone()
    assert isinstance(decide(doubtful, sweep, POLICY, EXPIRED + MINUTE).command, SendTokenRequest)


def test_the_sweep_spares_an_access_token_that_a_replay_might_end() -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end)
    doubtful = end(refreshing, command, UNKNOWN, near_end)
    sweep = RefreshDue(attempt_id="a")
    assert decide(doubtful, sweep, POLICY, EXPIRED - TICK).command == LeaveAlone()
    assert isinstance(decide(doubtful, sweep, POLICY, EXPIRED).command, SendTokenRequest)
    harmless = end(*begin(GRANT, near_end, GRACE), UNKNOWN, near_end, GRACE)
    later = decide(harmless, sweep, GRACE, near_end + MINUTE)
    assert isinstance(later.command, SendTokenRequest)
    beginning = T0 + MINUTE
    asked_for = RefreshRequested(attempt_id="attempt-1", asked_at=beginning)
    begun = decide(GRANT, asked_for, GRACE, beginning)
    assert isinstance(begun.command, SendTokenRequest)
    lost = end(begun.grant, begun.command, UNKNOWN, beginning, GRACE)
    assert decide(lost, sweep, GRACE, beginning + 10 * MINUTE).command == LeaveAlone()


def test_the_sweep_counts_a_grace_window_from_the_first_attempt_in_doubt_while_another_runs() -> (
    None
):
    doubtful = Setbacks(failures=1, failure=Failure.UNKNOWN, at=T0, retry_at=T0, in_doubt_since=T0)
    window_ends = T0 + 10 * MINUTE - 5 * SECOND
    attempt = Attempt(
        id="attempt-2",
        authorized_at=T0,
        generation=7,
        client="client-1",
        started_at=window_ends - SECOND,
    )
    refreshing = Refreshing(tokens=TOKENS, attempt=attempt, setbacks=doubtful)
    sweep = RefreshDue(attempt_id="a")
    assert isinstance(decide(refreshing, sweep, GRACE, window_ends - TICK).command, Wait)
    assert decide(refreshing, sweep, GRACE, window_ends).command == LeaveAlone()


def test_where_a_refresh_ends_the_old_token_a_verdict_that_no_answer_was_lost_before_does_not() -> (
    None
):
    ends = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    refreshing, command = begin(GRANT, EXPIRED - MINUTE, ends)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED - MINUTE, ends)
    modest = asked(min_ttl=timedelta(0))
    assert decide(required, modest, ends, EXPIRED - TICK).command == Serve(tokens=TOKENS)


def test_where_a_refresh_ends_the_old_token_a_lost_answer_ended_it() -> None:
    ends = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
    near_end = EXPIRED - MINUTE
    doubtful = end(*begin(GRANT, near_end, ends), UNKNOWN, near_end, ends)
    assert isinstance(doubtful, Authorized)
    long_life = replace(doubtful, tokens=replace(TOKENS, expires_at=EXPIRED + 10 * MINUTE))
    modest = asked(min_ttl=timedelta(0))
    again = decide(long_life, modest, ends, near_end + MINUTE)
    assert isinstance(again.command, SendTokenRequest)
    required = end(again.grant, again.command, INVALID_GRANT, near_end + MINUTE, ends)
    assert decide(required, modest, ends, near_end + MINUTE).command == AskForAuthorization(
        cause=Cause.REFRESH_ANSWER_LOST, said="invalid_grant"
    )


def test_the_sweep_leaves_alone_what_needs_a_login() -> None:
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=T0
    )
    sweep = RefreshDue(attempt_id="a")
    assert decide(required, sweep, POLICY, T0 + 1000 * DAY).command == LeaveAlone()


def test_a_requested_refresh_replaces_a_token_that_is_still_good() -> None:
    decision = decide(GRANT, requested(T0 + MINUTE), POLICY, T0 + MINUTE)
    assert isinstance(decision.grant, Refreshing)
    assert isinstance(decision.command, SendTokenRequest)


def test_a_requested_refresh_is_content_with_one_that_has_just_been_made() -> None:
    apart = POLICY.refreshes_apart
    assert decide(GRANT, requested(T0 + apart), POLICY, T0 + apart).command == Serve(tokens=TOKENS)
    later = T0 + apart + TICK
    assert isinstance(decide(GRANT, requested(later), POLICY, later).command, SendTokenRequest)


def test_a_requested_refresh_is_content_with_what_it_has_led_to_however_long_that_took() -> None:
    asked_at = T0 + MINUTE
    begun = decide(GRANT, requested(asked_at), POLICY, asked_at)
    assert isinstance(begun.command, SendTokenRequest)
    done = end(begun.grant, begun.command, RESPONSE, asked_at + 30 * SECOND)
    tokens = tokens_of(done)
    assert tokens is not None
    answer = decide(done, requested(asked_at), POLICY, asked_at + 30 * SECOND)
    assert answer == Decision(grant=done, command=Serve(tokens=tokens))


def test_a_requested_refresh_is_content_with_what_it_has_led_to_when_the_clock_goes_back() -> None:
    asked_at, back_at = T0 + 60 * MINUTE, T0 + MINUTE
    begun = decide(GRANT, requested(asked_at), POLICY, back_at)
    assert isinstance(begun.command, SendTokenRequest)
    done = end(begun.grant, begun.command, RESPONSE, back_at + SECOND)
    assert isinstance(decide(done, requested(asked_at), POLICY, back_at + SECOND).command, Serve)


def test_a_requested_refresh_is_not_content_with_a_new_token_that_has_expired() -> None:
    short = Authorized(tokens=replace(TOKENS, expires_at=T0 + SECOND))
    again = decide(short, requested(T0 + SECOND), POLICY, T0 + SECOND)
    assert isinstance(again.command, SendTokenRequest)


def test_a_requested_refresh_of_what_lasts_for_ever_finds_it_as_it_is() -> None:
    lasting = replace(TOKENS, expires_at=None, refresh_token=None)
    decision = decide(Authorized(tokens=lasting), requested(EXPIRED), POLICY, EXPIRED)
    assert decision.command == Serve(tokens=lasting)
    replaceable = Authorized(tokens=replace(TOKENS, expires_at=None))
    begun = decide(replaceable, requested(EXPIRED), POLICY, EXPIRED)
    assert isinstance(begun.command, SendTokenRequest)


def test_a_requested_refresh_meets_every_obstacle_though_a_token_lives() -> None:
    refreshing, command = begin(GRANT, EXPIRED - 5 * MINUTE)
    now = command.attempt.started_at + SECOND
    assert decide(refreshing, requested(now), POLICY, now).command == Wait(
        until=POLICY.lands_by(command.attempt)
    )
    unavailable = end(refreshing, command, UNAVAILABLE, now)
    assert decide(unavailable, requested(now), POLICY, now).command == TryLater(
        at=setbacks_of(unavailable).retry_at, failure=Failure.UNAVAILABLE
    )
    without = Authorized(tokens=replace(TOKENS, refresh_token=None))
    assert decide(without, requested(now), POLICY, now).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_MISSING
    )


def requested(at: datetime) -> RefreshRequested:
    return RefreshRequested(attempt_id="a", asked_at=at)


# 2. Obstacle.


def test_without_a_login_there_is_nothing_to_refresh() -> None:
    decision = ask(Unauthorized(), T0)
    assert decision.grant == Unauthorized()
    assert decision.command == AskForAuthorization(cause=Cause.NEVER_AUTHORIZED)


def test_an_expired_refresh_token_is_not_sent() -> None:
    last = T0 + REFRESH_LIFE
    begin(GRANT, last - TICK)
    decision = ask(GRANT, last)
    assert decision.grant is GRANT
    assert decision.command == AskForAuthorization(cause=Cause.REFRESH_TOKEN_EXPIRED)


def test_without_a_refresh_token_the_access_token_is_served_to_its_end() -> None:
    grant = Authorized(tokens=replace(TOKENS, refresh_token=None))
    assert ask(grant, EXPIRED - MINUTE - TICK).command == Serve(tokens=grant.tokens)
    assert ask(grant, EXPIRED - MINUTE).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_MISSING
    )


def test_a_verdict_is_final_for_the_credentials_it_was_passed_on() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED)
    decision = ask(required, EXPIRED + DAY)
    assert decision.grant is required
    assert decision.command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, said="invalid_grant"
    )


def test_under_other_credentials_a_verdict_is_asked_for_again_after_a_minute() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED)
    other = replace(POLICY, client="client-2")
    early = ask(required, EXPIRED + MINUTE - TICK, other)
    assert early.command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, said="invalid_grant"
    )
    _, again = begin(required, EXPIRED + MINUTE, other)
    assert again.attempt.client == "client-2"


def test_a_living_access_token_is_served_after_a_verdict_that_is_final() -> None:
    near_end = EXPIRED - 5 * MINUTE
    required = AuthorizationRequired(
        tokens=TOKENS,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client-1",
        since=near_end,
        said="invalid_grant",
    )
    assert ask(required, near_end).command == Serve(tokens=TOKENS)
    assert ask(required, EXPIRED - MINUTE).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, said="invalid_grant"
    )


def test_after_a_failure_nobody_asks_before_the_time_that_was_set() -> None:
    failed = fail(UNAVAILABLE)
    retry_at = setbacks_of(failed).retry_at
    decision = ask(failed, retry_at - TICK)
    assert decision.grant is failed
    assert decision.command == TryLater(at=retry_at, failure=Failure.UNAVAILABLE)
    begin(failed, retry_at)


def test_during_a_backoff_a_living_token_is_served() -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end)
    failed = end(refreshing, command, UNAVAILABLE, near_end)
    assert ask(failed, near_end).command == Serve(tokens=TOKENS)


def test_a_refresh_token_that_expires_during_a_backoff_is_not_waited_for() -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=EXPIRED + TICK)
    refreshing, command = begin(Authorized(tokens=tokens), EXPIRED)
    failed = end(refreshing, command, UNAVAILABLE, EXPIRED)
    assert ask(failed, EXPIRED + TICK).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_EXPIRED
    )


def test_checklist_49_a_clock_that_runs_behind_does_not_cut_a_long_wait_short() -> None:
    failed = fail(replace(UNAVAILABLE, retry_after=DAY))
    decision = ask(failed, EXPIRED - 4 * SECOND)
    assert isinstance(decision.command, TryLater)


def test_checklist_49_a_clock_that_went_back_keeps_nobody_waiting_for_ever() -> None:
    failed = fail(UNAVAILABLE, EXPIRED + 1000 * DAY)
    begin(failed, EXPIRED)
    refreshing, _ = begin(Authorized(tokens=replace(TOKENS, expires_at=T0)), T0 + DAY)
    begin(refreshing, T0, id_="attempt-2")


# Without a question.


@pytest.mark.parametrize(
    ("grant", "cause"),
    [
        (Unauthorized(), Cause.NEVER_AUTHORIZED),
        (REVOKED, Cause.REVOKED),
        (Revoking(request=REQUEST, at=T0), Cause.REVOKED),
        (GRANT, None),
        (Authorized(tokens=replace(TOKENS, refresh_token=None)), Cause.REFRESH_TOKEN_MISSING),
        (
            Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED)),
            Cause.REFRESH_TOKEN_EXPIRED,
        ),
        # What never expires needs no refresh token.
        (Authorized(tokens=replace(TOKENS, refresh_token=None, expires_at=None)), None),
        (begin(GRANT, EXPIRED)[0], None),
        (
            AuthorizationRequired(
                tokens=TOKENS, cause=Cause.REFRESH_ANSWER_LOST, client="c", since=T0
            ),
            Cause.REFRESH_ANSWER_LOST,
        ),
        (Moved(grant=Authorized(tokens=replace(TOKENS, refresh_token=None)), since=T0), None),
    ],
)
def test_why_a_person_has_to_log_in_is_read_off_what_is_stored(
    grant: Grant, cause: Cause | None
) -> None:
    assert missing_authorization(grant, EXPIRED) is cause


def test_a_refresh_token_is_missed_from_its_end_on() -> None:
    grant = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED))
    assert missing_authorization(grant, EXPIRED - TICK) is None
    assert missing_authorization(grant, EXPIRED) is Cause.REFRESH_TOKEN_EXPIRED


# 3. Begin.


def test_the_intent_is_the_new_grant_and_names_everything_that_the_answer_is_judged_by() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    attempt = Attempt(
        id="attempt-1", authorized_at=T0, generation=7, client="client-1", started_at=EXPIRED
    )
    assert refreshing == Refreshing(tokens=TOKENS, attempt=attempt, setbacks=None)
    assert command == SendTokenRequest(
        attempt=attempt,
        request=RefreshTokenRequest(refresh_token="refresh-7"),
        send_by=EXPIRED + 5 * SECOND,
    )


def test_a_lease_that_ran_out_counts_as_an_unknown_outcome() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    assert isinstance(ask(refreshing, EXPIRED + MINUTE - TICK).command, Wait)
    again, _ = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    assert again.setbacks == Setbacks(
        failures=1,
        failure=Failure.UNKNOWN,
        at=EXPIRED + MINUTE,
        retry_at=EXPIRED + MINUTE,
        in_doubt_since=command.attempt.started_at,
        since=EXPIRED + MINUTE,
    )


def test_attempts_whose_instances_die_one_after_the_other_back_off() -> None:
    once, _ = begin(GRANT, EXPIRED)
    twice, second = begin(once, EXPIRED + MINUTE, id_="attempt-2")
    lapsed = second.attempt.started_at + MINUTE
    decision = ask(twice, lapsed, id_="attempt-3")
    assert isinstance(decision.command, TryLater)
    assert lapsed + SECOND / 2 <= decision.command.at <= lapsed + SECOND
    begin(twice, decision.command.at, id_="attempt-3")


def test_a_request_must_be_over_before_its_lease_is() -> None:
    with pytest.raises(ValueError, match="lease"):
        replace(POLICY, lease=35 * SECOND)


# 4. Tokens belong to a generation.


def test_tokens_replace_the_ones_they_were_asked_with_and_all_setbacks() -> None:
    again, command = begin(fail(UNAVAILABLE), EXPIRED + SECOND)
    after = end(again, command, RESPONSE, EXPIRED + 2 * SECOND)
    assert after == Authorized(
        tokens=TOKENS.refreshed(RESPONSE, issued_at=EXPIRED + SECOND, provider=DIGIKEY)
    )
    assert ask(after, EXPIRED + 2 * SECOND).command == Serve(tokens=after.tokens)


def test_the_question_that_led_to_an_attempt_is_answered_when_it_is_put_again_at_its_end() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    ended = AttemptEnded(attempt=command.attempt, outcome=RESPONSE)
    effect = apply(refreshing, ended, POLICY, EXPIRED)
    assert effect.to_revoke is None
    assert isinstance(decide(effect.grant, asked(), POLICY, EXPIRED).command, Serve)


def test_checklist_33_an_expiry_counts_from_before_the_request_was_sent() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    after = end(refreshing, command, RESPONSE, EXPIRED + 20 * SECOND)
    assert isinstance(after, Authorized)
    assert after.tokens.expires_at == EXPIRED + ACCESS_LIFE


def test_late_tokens_are_kept_after_the_lease_has_run_out() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    after = end(refreshing, command, RESPONSE, EXPIRED + 10 * MINUTE)
    assert isinstance(after, Authorized)
    assert after.tokens.refresh_token == "refresh-8"


def test_late_tokens_are_kept_while_a_second_attempt_is_in_flight() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, second = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    after = end(again, first, RESPONSE, EXPIRED + MINUTE)
    assert isinstance(after, Authorized)
    assert after.tokens.refresh_token == "refresh-8"
    assert end(after, second, INVALID_GRANT, EXPIRED + MINUTE) is after


def test_late_tokens_are_kept_after_a_verdict_on_the_second_attempt() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, second = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    required = end(again, second, INVALID_GRANT, EXPIRED + MINUTE)
    assert isinstance(required, AuthorizationRequired)
    after = end(required, first, RESPONSE, EXPIRED + MINUTE)
    assert isinstance(after, Authorized)
    assert after.tokens.refresh_token == "refresh-8"


def test_late_tokens_that_come_after_a_verdict_are_counted_as_a_replay_within_grace() -> None:
    refreshing, first = begin(GRANT, EXPIRED, SHORT_GRACE)
    again, second = begin(refreshing, EXPIRED + MINUTE, SHORT_GRACE, id_="attempt-2")
    required = end(again, second, INVALID_GRANT, EXPIRED + MINUTE, SHORT_GRACE)
    after = end(required, first, RESPONSE, EXPIRED + MINUTE, SHORT_GRACE)
    assert isinstance(after, Authorized)
    assert after.tokens.issued_at == EXPIRED - 30 * SECOND


def test_late_tokens_never_replace_a_newer_generation() -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, second = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    newer = end(again, second, replace(RESPONSE, refresh_token="newer"), EXPIRED + MINUTE)
    assert end(newer, first, RESPONSE, EXPIRED + 2 * MINUTE) is newer


def test_late_tokens_never_replace_those_of_a_new_login() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED)
    fresh = apply(refreshing, login, POLICY, EXPIRED).grant
    assert end(fresh, command, replace(RESPONSE, refresh_token="old"), EXPIRED) is fresh


def test_late_tokens_never_replace_those_of_a_login_that_began_anew() -> None:
    first = Authorized(tokens=replace(TOKENS, generation=0))
    anew = log_in(Unauthorized())
    old = replace(RESPONSE, refresh_token="old")
    for clock in (-MINUTE, timedelta(0), MINUTE):
        _, command = begin(first, EXPIRED + clock)
        assert end(anew, command, old, EXPIRED + 2 * MINUTE) is anew
    _, command = begin(anew, EXPIRED + ACCESS_LIFE)
    late = end(anew, command, RESPONSE, EXPIRED + ACCESS_LIFE + 2 * MINUTE)
    assert isinstance(late, Authorized)
    assert late.tokens.refresh_token == "refresh-8"


def test_where_the_refresh_token_stays_the_access_token_asked_for_last_wins() -> None:
    kept = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    refreshing, first = begin(GRANT, EXPIRED, NO_ROTATION)
    again, second = begin(refreshing, EXPIRED + MINUTE, NO_ROTATION, id_="attempt-2")
    after = end(again, second, replace(kept, access_token="last"), EXPIRED + MINUTE, NO_ROTATION)
    assert end(after, first, kept, EXPIRED + 2 * MINUTE, NO_ROTATION) is after


def test_late_tokens_without_a_refresh_token_leave_the_attempt_in_flight_in_charge() -> None:
    kept = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    refreshing, first = begin(GRANT, EXPIRED, NO_ROTATION)
    again, second = begin(refreshing, EXPIRED + MINUTE, NO_ROTATION, id_="attempt-2")
    after = end(again, first, kept, EXPIRED + MINUTE, NO_ROTATION)
    assert isinstance(after, Refreshing)
    assert (after.attempt, after.tokens.access_token) == (second.attempt, "access-8")


def test_where_the_refresh_token_stays_an_answer_ends_its_attempt_all_the_same() -> None:
    kept = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    refreshing, command = begin(GRANT, EXPIRED, NO_ROTATION)
    after = end(refreshing, command, kept, EXPIRED, NO_ROTATION)
    assert isinstance(after, Authorized)
    assert (after.tokens.access_token, after.tokens.refresh_token) == ("access-8", "refresh-7")


def test_where_the_refresh_token_stays_of_two_asked_for_at_once_the_one_that_came_first_stays() -> (
    None
):
    kept = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
    refreshing, command = begin(GRANT, EXPIRED, NO_ROTATION)
    after = end(refreshing, command, kept, EXPIRED, NO_ROTATION)
    at_once = replace(command, attempt=replace(command.attempt, id="attempt-2"))
    other = replace(kept, access_token="other")
    assert end(after, at_once, other, EXPIRED, NO_ROTATION) is after


def test_without_a_grant_the_end_of_an_attempt_means_nothing() -> None:
    _, command = begin(GRANT, EXPIRED)
    assert end(Unauthorized(), command, RESPONSE, EXPIRED) == Unauthorized()


@pytest.mark.parametrize(
    ("grace", "retried_after", "counted_from"),
    [
        # No grace: a second 200 means that the first request never arrived.
        (timedelta(0), MINUTE, MINUTE),
        # Grace: the answer may be the first one, told again with its full life.
        (10 * MINUTE, 5 * MINUTE, timedelta(0)),
        (10 * MINUTE, 15 * MINUTE, 5 * MINUTE),
    ],
)
def test_after_a_doubt_an_expiry_counts_from_when_the_token_may_have_been_made(
    grace: timedelta, retried_after: timedelta, counted_from: timedelta
) -> None:
    by = policy(grace=grace)
    again, command = begin(fail(UNKNOWN, by=by), EXPIRED + retried_after, by, id_="attempt-2")
    after = end(again, command, RESPONSE, EXPIRED + retried_after, by)
    assert isinstance(after, Authorized)
    assert after.tokens.issued_at == EXPIRED + counted_from
    assert after.tokens.expires_at == EXPIRED + counted_from + ACCESS_LIFE


def test_tokens_that_have_expired_on_arrival_are_kept_and_replaced_at_once() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    late = EXPIRED + ACCESS_LIFE
    after = end(refreshing, command, RESPONSE, late)
    assert setbacks_of(after) == Setbacks(
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
    again, command = begin(fail(UNKNOWN), EXPIRED + MINUTE)
    after = end(again, command, RESPONSE, EXPIRED + MINUTE + ACCESS_LIFE)
    assert setbacks_of(after).failure is Failure.EXPIRED_ON_ARRIVAL
    assert setbacks_of(after).in_doubt_since is None


def test_checklist_48_a_provider_whose_tokens_always_expire_on_arrival_is_not_asked_in_a_loop() -> (
    None
):
    stillborn = replace(RESPONSE, expires_in=TICK)
    refreshing, command = begin(GRANT, EXPIRED)
    once = end(refreshing, command, stillborn, EXPIRED + SECOND)
    again, second = begin(once, EXPIRED + SECOND, id_="attempt-2")
    twice = end(again, second, replace(stillborn, refresh_token="r"), EXPIRED + 2 * SECOND)
    assert isinstance(ask(twice, EXPIRED + 2 * SECOND).command, TryLater)


# 5. Failures are heard from the attempt in charge only.


@pytest.mark.parametrize("outcome", [INVALID_GRANT, UNAVAILABLE, UNKNOWN, NOT_SENT])
def test_a_failure_of_an_attempt_that_lost_its_lease_changes_nothing(outcome: Outcome) -> None:
    refreshing, first = begin(GRANT, EXPIRED)
    again, _ = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    assert end(again, first, outcome, EXPIRED + MINUTE) is again
    assert end(GRANT, first, outcome, EXPIRED + MINUTE) is GRANT


# 6. What ends a grant.


def test_invalid_grant_ends_the_grant_and_keeps_what_there_was() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    assert end(refreshing, command, INVALID_GRANT, EXPIRED) == AuthorizationRequired(
        tokens=TOKENS,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client-1",
        since=EXPIRED,
        said="invalid_grant",
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (TokenErrorResponse(status=400, error="wat", description="No."), "wat: No."),
        (TokenErrorResponse(status=400, error=None), None),
        (NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout"), "ReadTimeout"),
    ],
)
def test_what_the_provider_said_is_told_until_it_is_asked_again(
    outcome: TokenErrorResponse | NoAnswer, said: str | None
) -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    after = end(refreshing, command, outcome, EXPIRED)
    setbacks = setbacks_of(after)
    assert setbacks is not None
    assert setbacks.said == said
    assert ask(after, EXPIRED).command == TryLater(
        at=setbacks.retry_at, failure=setbacks.failure, said=said
    )


def test_invalid_grant_after_a_lost_answer_names_that_as_the_cause() -> None:
    again, command = begin(fail(UNKNOWN), EXPIRED + MINUTE)
    after = end(again, command, INVALID_GRANT, EXPIRED + MINUTE)
    assert isinstance(after, AuthorizationRequired)
    assert after.cause is Cause.REFRESH_ANSWER_LOST


def test_a_doubt_begins_with_the_first_answer_that_was_lost() -> None:
    again, command = begin(fail(UNKNOWN), EXPIRED + MINUTE)
    failed = end(again, command, UNKNOWN, EXPIRED + MINUTE)
    assert setbacks_of(failed).in_doubt_since == EXPIRED


def test_a_doubt_is_remembered_through_failures_that_prove_nothing() -> None:
    again, command = begin(fail(UNKNOWN), EXPIRED + MINUTE)
    failed = end(again, command, UNAVAILABLE, EXPIRED + MINUTE)
    assert setbacks_of(failed).in_doubt_since == EXPIRED
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
    setbacks = setbacks_of(failed)
    assert (setbacks.failure, setbacks.failures, setbacks.at) == (failure, 1, EXPIRED)


# 7. When the next attempt may begin.


def test_what_was_not_sent_is_sent_again_at_once_and_then_backs_off() -> None:
    once = fail(NOT_SENT)
    again, command = begin(once, EXPIRED, id_="attempt-2")
    twice = end(again, command, NOT_SENT, EXPIRED)
    retry_at = setbacks_of(twice).retry_at
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
    assert setbacks_of(fail(UNKNOWN, by=by)).retry_at == EXPIRED + retry_after


def test_after_an_unknown_outcome_that_shows_late_a_retry_does_not_wait_longer_than_it_must() -> (
    None
):
    assert setbacks_of(fail(UNKNOWN, EXPIRED + 30 * SECOND)).retry_at == EXPIRED + MINUTE
    late = setbacks_of(fail(UNKNOWN, EXPIRED + 10 * MINUTE))
    assert late.retry_at == EXPIRED + 10 * MINUTE


@pytest.mark.parametrize(("known_after", "retry_after"), [(2, 15), (20, 20), (25, 60), (30, 60)])
def test_an_unknown_outcome_that_shows_after_a_short_grace_window_is_retried_when_none_can_land(
    known_after: int, retry_after: int
) -> None:
    failed = fail(UNKNOWN, EXPIRED + known_after * SECOND, SHORT_GRACE)
    assert setbacks_of(failed).retry_at == EXPIRED + retry_after * SECOND


@pytest.mark.parametrize(("wish", "retry_after"), [(9, 24), (10, 85)])
def test_a_retry_that_fails_within_a_grace_window_is_repeated_in_it_or_when_none_can_land(
    wish: int, retry_after: int
) -> None:
    doubtful = fail(UNKNOWN, by=SHORT_GRACE)
    again, command = begin(doubtful, EXPIRED + 15 * SECOND, SHORT_GRACE, id_="attempt-2")
    away = replace(UNAVAILABLE, retry_after=wish * SECOND)
    failed = end(again, command, away, EXPIRED + 15 * SECOND, SHORT_GRACE)
    assert setbacks_of(failed).retry_at == EXPIRED + retry_after * SECOND


@pytest.mark.parametrize("failures", [1, 2, 3, 8, 9, 40, 2000])
def test_checklist_41_a_provider_that_is_away_is_asked_at_doubling_intervals_up_to_five_minutes(
    failures: int,
) -> None:
    before = Setbacks(
        failures=failures - 1,
        failure=Failure.UNAVAILABLE,
        at=T0,
        retry_at=T0,
        in_doubt_since=None,
    )
    grant = Authorized(tokens=TOKENS, setbacks=before if failures > 1 else None)
    refreshing, command = begin(grant, EXPIRED)
    wait = setbacks_of(end(refreshing, command, UNAVAILABLE, EXPIRED)).retry_at - EXPIRED
    ceiling = min(SECOND * 2 ** min(failures - 1, 10), 5 * MINUTE)
    assert ceiling / 2 <= wait <= ceiling


def test_the_backoff_differs_from_attempt_to_attempt() -> None:
    def wait(attempt_id: str) -> timedelta:
        refreshing, command = begin(GRANT, EXPIRED, id_=attempt_id)
        failed = end(refreshing, command, UNAVAILABLE, EXPIRED)
        return setbacks_of(failed).retry_at - EXPIRED

    waits = {wait(f"attempt-{number}") for number in range(100)}
    assert len(waits) == 100
    assert min(waits) < 0.6 * SECOND
    assert max(waits) > 0.9 * SECOND


@pytest.mark.parametrize(
    ("wish", "granted"),
    [(20 * SECOND, 20 * SECOND), (59 * MINUTE, 59 * MINUTE), (DAY, 60 * MINUTE)],
)
def test_a_providers_wish_to_be_left_alone_is_granted_up_to_an_hour(
    wish: timedelta, granted: timedelta
) -> None:
    failed = fail(replace(UNAVAILABLE, retry_after=wish))
    assert setbacks_of(failed).retry_at == EXPIRED + granted
    assert isinstance(ask(failed, EXPIRED).command, TryLater)


def test_a_wish_shorter_than_the_backoff_does_not_shorten_it() -> None:
    failed = fail(replace(UNAVAILABLE, retry_after=timedelta(0)))
    assert setbacks_of(failed).retry_at >= EXPIRED + SECOND / 2


# 8. Logins.

YEARS = 4 * 365 * DAY
# By how much a clock may be wrong that was ahead, or behind, and is put right.
CLOCKS = [-YEARS, -DAY, timedelta(hours=3), DAY, YEARS]


def log_in(grant: Grant, **changes: object) -> Grant:
    response = replace(RESPONSE, **changes)  # type: ignore[arg-type]
    login = LoginCompleted(response=response, requested_at=EXPIRED)
    return apply(grant, login, POLICY, EXPIRED + SECOND).grant


def test_the_first_login_is_generation_zero_counted_from_before_its_request() -> None:
    grant = log_in(Unauthorized())
    assert isinstance(grant, Authorized)
    assert (grant.tokens.generation, grant.tokens.issued_at) == (0, EXPIRED)


@pytest.mark.parametrize(
    "grant",
    [
        GRANT,
        begin(GRANT, EXPIRED)[0],
        fail(UNKNOWN),
        AuthorizationRequired(
            tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
        ),
    ],
)
def test_a_login_replaces_what_there_was_and_starts_a_new_generation(grant: Grant) -> None:
    fresh = log_in(grant)
    assert isinstance(fresh, Authorized)
    assert (fresh.tokens.generation, fresh.tokens.refresh_token) == (8, "refresh-8")
    assert fresh.setbacks is None


def test_a_login_that_is_noted_late_or_twice_does_not_replace_a_later_one() -> None:
    grant = log_in(Unauthorized())
    assert isinstance(grant, Authorized)
    refreshed = Authorized(
        tokens=grant.tokens.refreshed(
            replace(RESPONSE, refresh_token="newer"), issued_at=EXPIRED + DAY, provider=DIGIKEY
        )
    )
    assert log_in(refreshed) is refreshed
    later = Authorized(tokens=replace(refreshed.tokens, authorized_at=EXPIRED + SECOND, place=2))
    assert log_in(later) is later


@pytest.mark.parametrize("by", CLOCKS)
def test_a_login_replaces_what_it_has_read_whatever_either_clock_said(by: timedelta) -> None:
    there = Authorized(tokens=replace(TOKENS, authorized_at=EXPIRED + by, issued_at=EXPIRED + by))
    for place in (0, 7):
        before = replace(there, tokens=replace(there.tokens, place=place))
        login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED, read=before)
        after = apply(before, login, POLICY, EXPIRED + SECOND).grant
        assert isinstance(after, Authorized)
        assert (after.tokens.access_token, after.tokens.place) == ("access-8", place + 1)
        assert after.tokens.authorized_at > before.tokens.authorized_at
        assert after.tokens.issued_at == EXPIRED
        # Noted again, it finds itself.
        assert apply(after, login, POLICY, EXPIRED + SECOND).grant is after


@pytest.mark.parametrize("precedence", [Precedence.RENEWS, Precedence.REPLACES])
@pytest.mark.parametrize("first_stored", [0, 1])
def test_of_two_logins_that_read_the_same_the_one_that_was_sent_last_stays(
    first_stored: int, precedence: Precedence
) -> None:
    logins = [
        LoginCompleted(
            response=replace(RESPONSE, refresh_token=name),
            requested_at=at,
            read=GRANT,
            precedence=precedence,
        )
        for name, at in (("first", EXPIRED), ("second", EXPIRED + SECOND))
    ]
    now = EXPIRED + 2 * SECOND
    grants = [apply(GRANT, login, POLICY, now).grant for login in logins]
    after = apply(grants[first_stored], logins[1 - first_stored], POLICY, now).grant
    tokens, lost = tokens_of(after), tokens_of(grants[0])
    assert tokens is not None
    assert lost is not None
    assert tokens.refresh_token == "second"
    # Nor does one that lies in a log come back over it.
    assert apply(after, TokensRescued(tokens=lost), POLICY, now).grant is after


def test_a_login_without_a_refresh_token_does_not_cost_one_that_works() -> None:
    refreshing, _ = begin(GRANT, EXPIRED)
    assert log_in(GRANT, refresh_token=None) is GRANT
    assert log_in(refreshing, refresh_token=None) is refreshing


def test_a_login_without_a_refresh_token_replaces_one_that_is_dead() -> None:
    dead = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED))
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
    )
    for grant in (dead, required, Unauthorized()):
        after = log_in(grant, refresh_token=None)
        assert isinstance(after, Authorized)
        assert after.tokens.refresh_token is None


MINE, OTHER = "a fingerprint", "another fingerprint"
OF_MINE = replace(TOKENS, subject=MINE)
WORKING: dict[str, Grant] = {
    "authorized": Authorized(tokens=OF_MINE),
    "access token over": Authorized(tokens=replace(OF_MINE, expires_at=T0 + SECOND)),
    "for ever": Authorized(tokens=replace(OF_MINE, expires_at=None, refresh_token=None)),
    "in doubt": replace(fail(UNKNOWN), tokens=OF_MINE),
    "refreshing": begin(Authorized(tokens=OF_MINE), EXPIRED)[0],
    "handed over": Moved(grant=Authorized(tokens=OF_MINE), since=T0),
}
DEAD: dict[str, Grant] = {
    "refresh token over": Authorized(tokens=replace(OF_MINE, refresh_token_expires_at=EXPIRED)),
    "no refresh token": Authorized(tokens=replace(OF_MINE, refresh_token=None)),
    "refused": AuthorizationRequired(
        tokens=OF_MINE, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=T0
    ),
}


@pytest.mark.parametrize("subject", [OTHER, None], ids=["another", "hidden"])
@pytest.mark.parametrize("grant", WORKING.values(), ids=WORKING)
def test_a_login_of_another_account_replaces_nothing_that_works_unless_it_was_begun_to(
    grant: Grant, subject: str | None
) -> None:
    response = replace(RESPONSE, subject=subject)
    login = LoginCompleted(response=response, requested_at=EXPIRED)
    assert apply(grant, login, POLICY, EXPIRED + SECOND).grant is grant
    after = apply(
        grant, replace(login, precedence=Precedence.REPLACES), POLICY, EXPIRED + SECOND
    ).grant
    assert isinstance(after, Authorized)
    assert after.tokens.subject == subject


@pytest.mark.parametrize("subject", [MINE, OTHER, None])
@pytest.mark.parametrize("grant", WORKING.values(), ids=WORKING)
def test_a_login_that_has_to_yield_replaces_nothing_that_works(
    grant: Grant, subject: str | None
) -> None:
    login = LoginCompleted(
        response=replace(RESPONSE, subject=subject),
        requested_at=EXPIRED,
        precedence=Precedence.YIELDS,
    )
    assert apply(grant, login, POLICY, EXPIRED + SECOND).grant is grant


@pytest.mark.parametrize("grant", [*DEAD.values(), Unauthorized()], ids=[*DEAD, "nobody's"])
def test_a_login_that_has_to_yield_replaces_what_is_dead(grant: Grant) -> None:
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED, precedence=Precedence.YIELDS)
    after = apply(grant, login, POLICY, EXPIRED + SECOND).grant
    assert isinstance(after, Authorized)
    assert after.tokens.access_token == "access-8"


@pytest.mark.parametrize("grant", DEAD.values(), ids=DEAD)
def test_a_login_of_another_account_replaces_what_is_dead(grant: Grant) -> None:
    after = log_in(grant, subject=OTHER)
    assert isinstance(after, Authorized)
    assert after.tokens.subject == OTHER


@pytest.mark.parametrize(("before", "subject"), [(MINE, MINE), (None, OTHER), (None, None)])
def test_a_login_that_is_not_known_to_be_of_another_account_replaces_what_works(
    before: str | None, subject: str | None
) -> None:
    after = log_in(Authorized(tokens=replace(TOKENS, subject=before)), subject=subject)
    assert isinstance(after, Authorized)
    assert (after.tokens.access_token, after.tokens.subject) == ("access-8", subject)


def test_a_login_that_was_begun_to_replace_does_so_without_a_refresh_token_too() -> None:
    login = LoginCompleted(
        response=replace(RESPONSE, refresh_token=None),
        requested_at=EXPIRED,
        precedence=Precedence.REPLACES,
    )
    after = apply(GRANT, login, POLICY, EXPIRED + SECOND).grant
    assert isinstance(after, Authorized)
    assert after.tokens.refresh_token is None


def test_a_login_that_was_begun_to_replace_does_not_replace_a_later_one() -> None:
    later = Authorized(tokens=replace(OF_MINE, authorized_at=EXPIRED + SECOND, place=2))
    login = LoginCompleted(
        response=replace(RESPONSE, subject=OTHER),
        requested_at=EXPIRED,
        precedence=Precedence.REPLACES,
    )
    assert apply(later, login, POLICY, EXPIRED + SECOND).grant is later


def test_a_login_whose_access_token_never_expires_needs_no_refresh_token() -> None:
    for_ever = replace(POLICY, provider=replace(DIGIKEY, access_token_lifetime=None))
    login = LoginCompleted(
        response=replace(RESPONSE, refresh_token=None, expires_in=None), requested_at=EXPIRED
    )
    after = apply(GRANT, login, for_ever, EXPIRED).grant
    assert isinstance(after, Authorized)
    assert after.tokens.access_token == "access-8"
    # What nobody has declared is no reason to let go of a refresh token that works.
    assumed = replace(DIGIKEY, access_token_lifetime=UNDECLARED_ACCESS_TOKEN_LIFETIME)
    undeclared = replace(POLICY, provider=assumed)
    assert apply(GRANT, login, undeclared, EXPIRED).grant is GRANT
    # One that does expire is not endless because others of this provider are.
    ends = replace(login, response=replace(RESPONSE, refresh_token=None))
    assert apply(GRANT, ends, for_ever, EXPIRED).grant is GRANT


@pytest.mark.parametrize(
    ("there", "read", "place"),
    [
        (replace(TOKENS, place=3), Unauthorized(), None),
        (replace(TOKENS, place=3, authorized_at=T0 - DAY), Unauthorized(), 4),
        (replace(TOKENS, place=3), REVOKED, 6),
        # An older record was put back under a login that had read a later one.
        (replace(TOKENS, place=3, authorized_at=T0 + YEARS), REVOKED, 6),
        # The release that stored these did not count.
        (replace(TOKENS, place=0, authorized_at=T0 + YEARS), Unauthorized(), 1),
    ],
)
def test_a_login_is_counted_after_all_that_it_has_read_and_replaces(
    there: Tokens, read: Grant, place: int | None
) -> None:
    """Where both have read the same, the later instant is the later login."""
    login = LoginCompleted(response=RESPONSE, requested_at=T0 - MINUTE, read=read)
    grant = Authorized(tokens=there)
    after = apply(grant, login, POLICY, EXPIRED).grant
    if place is None:
        assert after is grant
    else:
        assert isinstance(after, Authorized)
        assert (after.tokens.refresh_token, after.tokens.place) == ("refresh-8", place)


@pytest.mark.parametrize(
    ("grant", "read"),
    [
        (Unauthorized(), 0),
        (REVOKED, 5),
        (Authorized(tokens=replace(TOKENS, place=4, refresh_token_expires_at=EXPIRED)), 4),
    ],
)
def test_who_is_asked_to_log_in_is_told_what_the_record_counts(grant: Grant, read: int) -> None:
    command = ask(grant, EXPIRED).command
    assert isinstance(command, AskForAuthorization)
    assert command.read == read


# 9. Rescue.


@pytest.mark.parametrize(
    ("grant", "is_kept"),
    [
        (Unauthorized(), True),
        (begin(GRANT, EXPIRED)[0], True),
        (GRANT, True),
        (Authorized(tokens=replace(TOKENS, generation=8, refresh_token="other")), False),
        (Authorized(tokens=replace(TOKENS, generation=9)), False),
        # A later login, whatever its clock said; and one that was stored meanwhile.
        (Authorized(tokens=replace(TOKENS, authorized_at=T0 - YEARS, place=2)), False),
        (Authorized(tokens=replace(TOKENS, authorized_at=T0 + YEARS, place=1)), False),
        # Logins over what nobody could read begin at generation zero; these were not counted yet.
        (Authorized(tokens=replace(TOKENS, generation=0, authorized_at=T0 + SECOND)), False),
        (Authorized(tokens=replace(TOKENS, generation=99, authorized_at=T0 - SECOND)), True),
    ],
)
def test_rescued_tokens_replace_an_older_login_or_generation_only(
    grant: Grant, *, is_kept: bool
) -> None:
    counted = tokens_of(grant)
    rescued = replace(
        TOKENS,
        generation=8,
        access_token="access-8",
        refresh_token="refresh-8",
        place=1 if counted is not None and counted.place else 0,
    )
    after = apply(grant, TokensRescued(tokens=rescued), POLICY, EXPIRED).grant
    assert after == (Authorized(tokens=rescued) if is_kept else grant)

"""Questions, by the rules that `decide.py` states (1 to 3), one by one and in their order."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import (
    AskForAuthorization,
    Decision,
    NothingDue,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.decide import decide
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import RefreshDue, RefreshRequested
from domain.questions import missing_authorization
from domain.token_endpoint import (
    RefreshTokenRequest,
    RevocationRequest,
    RevocationResult,
    TokenTypeHint,
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
    REFRESH_LIFE,
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
)
from tests.domain.provider_model import INVALID_GRANT

REQUEST = RevocationRequest(token="refresh-7", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
# A provider that ends the old access token with a refresh.
ENDS = replace(POLICY, provider=replace(DIGIKEY, refresh_ends_access_token=True))
MODEST = asked(min_ttl=timedelta(0))
SWEEP = RefreshDue(attempt_id="a")
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED, place=5)


# 1. Need.


def test_a_token_that_outlives_min_ttl_is_served_and_nothing_changes() -> None:
    decision = ask(GRANT, T0)
    assert decision.grant is GRANT
    assert decision.command == Serve(tokens=TOKENS)


def test_in_its_last_five_minutes_a_token_is_refreshed_and_served_meanwhile() -> None:
    near_end = EXPIRED - 5 * MINUTE
    assert ask(GRANT, near_end - TICK).command == Serve(tokens=TOKENS)
    refreshing, _ = begin(GRANT, near_end)
    assert ask(refreshing, near_end + SECOND).command == Serve(tokens=TOKENS)


@pytest.mark.parametrize("refresh_life", [ACCESS_LIFE / 2, ACCESS_LIFE, ACCESS_LIFE * 3 / 2])
def test_a_refresh_token_that_nears_its_end_is_used_while_the_access_token_is_valid(
    refresh_life: timedelta,
) -> None:
    tokens = replace(TOKENS, refresh_token_expires_at=T0 + refresh_life)
    grant, due = Authorized(tokens=tokens), T0 + refresh_life / 3
    assert ask(grant, due - TICK).command == Serve(tokens=tokens)
    refreshing, _ = begin(grant, due)
    assert ask(refreshing, due + SECOND).command == Serve(tokens=tokens)


def test_a_token_that_does_not_outlive_min_ttl_is_not_served_during_its_refresh() -> None:
    refreshing, command = begin(GRANT, EXPIRED - MINUTE)
    decision = ask(refreshing, EXPIRED - MINUTE)
    assert decision.grant is refreshing
    assert decision.command == Wait(until=command.attempt.started_at + MINUTE)


def test_a_smaller_min_ttl_is_served_longer() -> None:
    refreshing, _ = begin(GRANT, EXPIRED - 30 * SECOND)
    assert decide(refreshing, MODEST, POLICY, EXPIRED - TICK).command == Serve(tokens=TOKENS)
    assert isinstance(decide(refreshing, MODEST, POLICY, EXPIRED).command, Wait)


def test_if_a_refresh_ends_the_old_access_token_it_comes_as_late_as_possible() -> None:
    assert ask(GRANT, EXPIRED - MINUTE - TICK, ENDS).command == Serve(tokens=TOKENS)
    refreshing, _ = begin(GRANT, EXPIRED - MINUTE, ENDS)
    assert isinstance(decide(refreshing, MODEST, ENDS, EXPIRED - MINUTE).command, Wait)


def test_if_a_refresh_ends_the_old_access_token_a_doubtful_one_is_not_served() -> None:
    refreshing, command = begin(GRANT, EXPIRED - MINUTE, ENDS)
    doubtful = end(refreshing, command, UNKNOWN, EXPIRED - MINUTE, ENDS)
    assert isinstance(decide(doubtful, MODEST, ENDS, EXPIRED - MINUTE).command, TryLater)


def test_if_a_refresh_ends_the_old_access_token_a_doubtful_one_is_not_new() -> None:
    refreshing, _ = begin(GRANT, EXPIRED - MINUTE, ENDS)
    long_life = replace(TOKENS, issued_at=EXPIRED, expires_at=EXPIRED + ACCESS_LIFE)
    wish = RefreshRequested(attempt_id="a", asked_at=EXPIRED - SECOND)
    doubtful = replace(refreshing, tokens=long_life)
    assert isinstance(decide(doubtful, wish, ENDS, EXPIRED - SECOND).command, Wait)
    assert decide(doubtful, wish, POLICY, EXPIRED - SECOND).command == Serve(tokens=long_life)


def test_after_an_unknown_outcome_without_grace_the_retry_waits_until_the_token_expires() -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end)
    doubtful = end(refreshing, command, UNKNOWN, near_end)
    assert ask(doubtful, EXPIRED - MINUTE - TICK).command == Serve(tokens=TOKENS)
    begin(doubtful, EXPIRED - MINUTE)


@pytest.mark.parametrize("by", [NO_ROTATION, GRACE])
def test_after_an_unknown_outcome_a_harmless_retry_does_not_wait_for_an_expiry(
    by: Policy,
) -> None:
    near_end = EXPIRED - 5 * MINUTE
    doubtful = end(*begin(GRANT, near_end, by), UNKNOWN, near_end, by)
    begin(doubtful, near_end + MINUTE, by)


def test_after_a_grace_window_a_retry_waits_until_the_token_expires() -> None:
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
    early = decide(GRANT, SWEEP, POLICY, due - TICK)
    assert (early.grant, early.command) == (GRANT, NothingDue())
    decision = decide(GRANT, SWEEP, POLICY, due)
    assert isinstance(decision.command, SendTokenRequest)


def test_the_sweep_refreshes_the_issue_that_an_alert_asks_about_once() -> None:
    asked = RefreshDue(attempt_id="a", issued_at=GRANT.tokens.issued_at)
    assert isinstance(decide(GRANT, asked, POLICY, EXPIRED).command, SendTokenRequest)
    later = Authorized(tokens=replace(GRANT.tokens, issued_at=EXPIRED))
    assert decide(later, asked, POLICY, EXPIRED + TICK).command == NothingDue()


def test_a_failure_without_a_doubt_does_not_make_the_sweep_earlier() -> None:
    assert due_at(fail(UNAVAILABLE)) == due_at(GRANT) == T0 + REFRESH_LIFE - 30 * DAY
    doubtful = fail(UNKNOWN)
    assert due_at(doubtful) == failure_state_of(doubtful).retry_at


def test_the_sweep_processes_a_lapsed_attempt_and_a_doubt() -> None:
    refreshing, _ = begin(GRANT, EXPIRED)
    assert isinstance(decide(refreshing, SWEEP, POLICY, EXPIRED).command, Wait)
    later = decide(refreshing, SWEEP, POLICY, EXPIRED + MINUTE)
    assert isinstance(later.command, SendTokenRequest)
    doubtful = fail(UNKNOWN)
    assert decide(doubtful, SWEEP, POLICY, EXPIRED).command == NothingDue()
    assert isinstance(decide(doubtful, SWEEP, POLICY, EXPIRED + MINUTE).command, SendTokenRequest)


def test_the_sweep_spares_an_access_token_that_a_replay_might_end() -> None:
    near_end = EXPIRED - 5 * MINUTE
    refreshing, command = begin(GRANT, near_end)
    doubtful = end(refreshing, command, UNKNOWN, near_end)
    assert decide(doubtful, SWEEP, POLICY, EXPIRED - TICK).command == NothingDue()
    assert isinstance(decide(doubtful, SWEEP, POLICY, EXPIRED).command, SendTokenRequest)
    harmless = end(*begin(GRANT, near_end, GRACE), UNKNOWN, near_end, GRACE)
    later = decide(harmless, SWEEP, GRACE, near_end + MINUTE)
    assert isinstance(later.command, SendTokenRequest)
    beginning = T0 + MINUTE
    asked_for = RefreshRequested(attempt_id="attempt-1", asked_at=beginning)
    begun = decide(GRANT, asked_for, GRACE, beginning)
    assert isinstance(begun.command, SendTokenRequest)
    lost = end(begun.grant, begun.command, UNKNOWN, beginning, GRACE)
    assert decide(lost, SWEEP, GRACE, beginning + 10 * MINUTE).command == NothingDue()


def test_the_sweep_counts_a_grace_window_from_the_first_attempt_in_doubt_while_another_runs() -> (
    None
):
    doubtful = FailureState(
        failures=1, failure=Failure.UNKNOWN, at=T0, retry_at=T0, in_doubt_since=T0
    )
    window_ends = T0 + 10 * MINUTE - 5 * SECOND
    attempt = Attempt(
        id="attempt-2",
        authorized_at=T0,
        generation=7,
        client="client-1",
        started_at=window_ends - SECOND,
    )
    refreshing = Refreshing(tokens=TOKENS, attempt=attempt, failure_state=doubtful)
    assert isinstance(decide(refreshing, SWEEP, GRACE, window_ends - TICK).command, Wait)
    assert decide(refreshing, SWEEP, GRACE, window_ends).command == NothingDue()


def test_a_refusal_without_a_lost_answer_leaves_the_old_access_token_valid() -> None:
    refreshing, command = begin(GRANT, EXPIRED - MINUTE, ENDS)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED - MINUTE, ENDS)
    assert decide(required, MODEST, ENDS, EXPIRED - TICK).command == Serve(tokens=TOKENS)


def test_if_a_refresh_ends_the_old_access_token_a_lost_answer_ended_it() -> None:
    near_end = EXPIRED - MINUTE
    doubtful = authorized(end(*begin(GRANT, near_end, ENDS), UNKNOWN, near_end, ENDS))
    long_life = replace(doubtful, tokens=replace(TOKENS, expires_at=EXPIRED + 10 * MINUTE))
    again = decide(long_life, MODEST, ENDS, near_end + MINUTE)
    assert isinstance(again.command, SendTokenRequest)
    required = end(again.grant, again.command, INVALID_GRANT, near_end + MINUTE, ENDS)
    assert decide(required, MODEST, ENDS, near_end + MINUTE).command == AskForAuthorization(
        cause=Cause.REFRESH_ANSWER_LOST, quote="invalid_grant"
    )


def test_the_sweep_leaves_alone_what_needs_a_login() -> None:
    required = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=T0
    )
    assert decide(required, SWEEP, POLICY, T0 + 1000 * DAY).command == NothingDue()


def test_an_explicit_refresh_replaces_a_valid_token() -> None:
    decision = decide(GRANT, requested(T0 + MINUTE), POLICY, T0 + MINUTE)
    assert isinstance(decision.grant, Refreshing)
    assert isinstance(decision.command, SendTokenRequest)


def test_an_explicit_refresh_accepts_tokens_that_were_just_requested() -> None:
    apart = POLICY.min_refresh_interval
    assert decide(GRANT, requested(T0 + apart), POLICY, T0 + apart).command == Serve(tokens=TOKENS)
    later = T0 + apart + TICK
    assert isinstance(decide(GRANT, requested(later), POLICY, later).command, SendTokenRequest)


def test_an_explicit_refresh_accepts_its_own_result_after_any_time() -> None:
    asked_at = T0 + MINUTE
    begun = decide(GRANT, requested(asked_at), POLICY, asked_at)
    assert isinstance(begun.command, SendTokenRequest)
    done = end(begun.grant, begun.command, RESPONSE, asked_at + 30 * SECOND)
    tokens = tokens_of(done)
    assert tokens is not None
    answer = decide(done, requested(asked_at), POLICY, asked_at + 30 * SECOND)
    assert answer == Decision(grant=done, command=Serve(tokens=tokens))


def test_an_explicit_refresh_accepts_its_own_result_when_the_clock_goes_back() -> None:
    asked_at, back_at = T0 + 60 * MINUTE, T0 + MINUTE
    begun = decide(GRANT, requested(asked_at), POLICY, back_at)
    assert isinstance(begun.command, SendTokenRequest)
    done = end(begun.grant, begun.command, RESPONSE, back_at + SECOND)
    assert isinstance(decide(done, requested(asked_at), POLICY, back_at + SECOND).command, Serve)


def test_an_explicit_refresh_does_not_accept_a_new_token_that_has_expired() -> None:
    short = Authorized(tokens=replace(TOKENS, expires_at=T0 + SECOND))
    again = decide(short, requested(T0 + SECOND), POLICY, T0 + SECOND)
    assert isinstance(again.command, SendTokenRequest)


def test_an_explicit_refresh_serves_a_token_that_never_expires() -> None:
    lasting = replace(TOKENS, expires_at=None, refresh_token=None)
    decision = decide(Authorized(tokens=lasting), requested(EXPIRED), POLICY, EXPIRED)
    assert decision.command == Serve(tokens=lasting)
    replaceable = Authorized(tokens=replace(TOKENS, expires_at=None))
    begun = decide(replaceable, requested(EXPIRED), POLICY, EXPIRED)
    assert isinstance(begun.command, SendTokenRequest)


def test_an_explicit_refresh_meets_every_obstacle_with_a_valid_token() -> None:
    refreshing, command = begin(GRANT, EXPIRED - 5 * MINUTE)
    now = command.attempt.started_at + SECOND
    assert decide(refreshing, requested(now), POLICY, now).command == Wait(
        until=POLICY.lease_end(command.attempt)
    )
    unavailable = end(refreshing, command, UNAVAILABLE, now)
    assert decide(unavailable, requested(now), POLICY, now).command == TryLater(
        at=failure_state_of(unavailable).retry_at, failure=Failure.UNAVAILABLE
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


def test_a_final_refusal_holds_for_the_credentials_that_were_refused() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED)
    decision = ask(required, EXPIRED + DAY)
    assert decision.grant is required
    assert decision.command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, quote="invalid_grant"
    )


def test_other_credentials_try_again_a_minute_after_a_refusal() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    required = end(refreshing, command, INVALID_GRANT, EXPIRED)
    other = replace(POLICY, client="client-2")
    early = ask(required, EXPIRED + MINUTE - TICK, other)
    assert early.command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, quote="invalid_grant"
    )
    _, again = begin(required, EXPIRED + MINUTE, other)
    assert again.attempt.client == "client-2"


def test_a_valid_access_token_is_served_after_a_final_refusal() -> None:
    near_end = EXPIRED - 5 * MINUTE
    required = AuthorizationRequired(
        tokens=TOKENS,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client-1",
        since=near_end,
        quote="invalid_grant",
    )
    assert ask(required, near_end).command == Serve(tokens=TOKENS)
    assert ask(required, EXPIRED - MINUTE).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED, quote="invalid_grant"
    )


def test_after_a_failure_nothing_is_sent_before_retry_at() -> None:
    failed = fail(UNAVAILABLE)
    retry_at = failure_state_of(failed).retry_at
    decision = ask(failed, retry_at - TICK)
    assert decision.grant is failed
    assert decision.command == TryLater(at=retry_at, failure=Failure.UNAVAILABLE)
    begin(failed, retry_at)


def test_during_a_backoff_a_valid_token_is_served() -> None:
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

OWN_TOKENS = replace(TOKENS, refresh_token=None, grant_type=GrantType.CLIENT_CREDENTIALS)


@pytest.mark.parametrize(
    ("grant", "cause"),
    [
        (Unauthorized(), Cause.NEVER_AUTHORIZED),
        (REVOKED, Cause.REVOKED),
        (Revoking(request=REQUEST, at=T0), Cause.REVOKED),
        (GRANT, None),
        (Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED + TICK)), None),
        (Authorized(tokens=replace(TOKENS, refresh_token=None)), Cause.REFRESH_TOKEN_MISSING),
        (
            Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED)),
            Cause.REFRESH_TOKEN_EXPIRED,
        ),
        # Dated by a clock far behind: the refresh token may still be valid.
        (
            Authorized(
                tokens=replace(TOKENS, issued_at=T0 - 1461 * DAY, refresh_token_expires_at=EXPIRED)
            ),
            None,
        ),
        # A token that never expires needs no refresh token.
        (Authorized(tokens=replace(TOKENS, refresh_token=None, expires_at=None)), None),
        (begin(GRANT, EXPIRED)[0], None),
        (
            AuthorizationRequired(
                tokens=TOKENS, cause=Cause.REFRESH_ANSWER_LOST, client="c", since=T0
            ),
            Cause.REFRESH_ANSWER_LOST,
        ),
        (Moved(grant=Authorized(tokens=replace(TOKENS, refresh_token=None)), since=T0), None),
        (Moved(grant=Authorized(tokens=OWN_TOKENS), since=T0), None),
    ],
)
def test_the_cause_of_a_required_login_follows_from_the_grant(
    grant: Grant, cause: Cause | None
) -> None:
    assert missing_authorization(grant, EXPIRED, GrantType.AUTHORIZATION_CODE) is cause


# 3. Begin.


def test_the_new_grant_names_the_attempt_with_all_facts_about_its_answer() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    attempt = Attempt(
        id="attempt-1", authorized_at=T0, generation=7, client="client-1", started_at=EXPIRED
    )
    assert refreshing == Refreshing(tokens=TOKENS, attempt=attempt, failure_state=None)
    assert command == SendTokenRequest(
        attempt=attempt,
        request=RefreshTokenRequest(refresh_token="refresh-7"),
        send_by=EXPIRED + 5 * SECOND,
    )


def test_a_lease_that_ran_out_counts_as_an_unknown_outcome() -> None:
    refreshing, command = begin(GRANT, EXPIRED)
    assert isinstance(ask(refreshing, EXPIRED + MINUTE - TICK).command, Wait)
    again, _ = begin(refreshing, EXPIRED + MINUTE, id_="attempt-2")
    noted = ask(refreshing, EXPIRED + MINUTE).note
    assert noted is not None
    assert noted.is_requested is False
    assert again.failure_state == FailureState(
        failures=1,
        failure=Failure.UNKNOWN,
        at=EXPIRED + MINUTE,
        retry_at=EXPIRED + MINUTE,
        in_doubt_since=command.attempt.started_at,
        since=EXPIRED + MINUTE,
    )


def test_attempts_whose_instances_crash_in_a_row_back_off() -> None:
    once, _ = begin(GRANT, EXPIRED)
    twice, second = begin(once, EXPIRED + MINUTE, id_="attempt-2")
    lapsed = second.attempt.started_at + MINUTE
    decision = ask(twice, lapsed, id_="attempt-3")
    assert isinstance(decision.command, TryLater)
    assert lapsed + SECOND / 2 <= decision.command.at <= lapsed + SECOND
    begin(twice, decision.command.at, id_="attempt-3")

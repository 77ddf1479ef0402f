"""Access tokens that an API rejects before they expire: rule 18."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from adapters.grant_json import dump_record, load_record
from domain.commands import (
    AskForAuthorization,
    Decision,
    ReportMoved,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.commands import RejectedAgain as Again
from domain.decide import apply, decide
from domain.events import LoginCompleted, Precedence
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Moved,
    Refreshing,
    Revoked,
    Unauthorized,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import RefreshRequested, TokenRequested
from domain.rejections import Rejection
from domain.token_endpoint import (
    ClientCredentialsRequest,
    Outcome,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens
from tests.domain.examples import (
    EXPIRED,
    GRANT,
    MINUTE,
    NO_ROTATION,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TICK,
    TOKENS,
    UNAVAILABLE,
    UNKNOWN,
    asked,
    authorized,
    begin,
    end,
)

NOW = T0 + SECOND
UNROTATED = replace(RESPONSE, refresh_token=None)
OWN = replace(POLICY, provider=replace(POLICY.provider, grant_type=GrantType.CLIENT_CREDENTIALS))
OWN_TOKENS = replace(
    TOKENS, generation=0, refresh_token=None, grant_type=GrantType.CLIENT_CREDENTIALS
)


def rejecting(refused: int, *, min_ttl: timedelta = MINUTE, id_: str = "a-1") -> TokenRequested:
    """Return the request of a program whose token of that generation was rejected."""
    return TokenRequested(attempt_id=id_, min_ttl=min_ttl, refused=refused)


def reject(
    grant: Grant, now: datetime, by: Policy = POLICY, *, refused: int | None = None
) -> Decision:
    """Reject the stored access token, or that of another generation."""
    assert not isinstance(grant, Unauthorized | Revoked)
    named = grant.tokens.public_generation if refused is None else refused  # type: ignore[union-attr]
    return decide(grant, rejecting(named), by, now)


def replaced(
    grant: Grant, now: datetime, by: Policy = POLICY, outcome: Outcome = RESPONSE
) -> Authorized:
    """Reject the stored access token where that must begin an attempt; let it end."""
    decision = reject(grant, now, by)
    assert isinstance(decision.command, SendTokenRequest), decision.command
    if isinstance(outcome, TokenResponse) and outcome.refresh_token is not None:
        outcome = replace(outcome, refresh_token=f"refresh-{now}")
    return authorized(end(decision.grant, decision.command, outcome, now, by))


def test_a_rejected_token_is_replaced_at_once_although_it_is_new() -> None:
    decision = reject(GRANT, T0)
    assert isinstance(decision.command, SendTokenRequest)
    assert isinstance(decision.grant, Refreshing)
    assert reject(decision.grant, T0).command == Wait(until=T0 + POLICY.lease)
    after = end(decision.grant, decision.command, RESPONSE, NOW)
    assert decide(after, rejecting(7), POLICY, NOW).command == Serve(tokens=after.tokens)  # type: ignore[union-attr]


@pytest.mark.parametrize("refused", [0, 6, 8, 999_999_999])
def test_a_caller_with_another_token_gets_the_stored_one(refused: int) -> None:
    assert reject(GRANT, NOW, refused=refused) == Decision(
        grant=GRANT, command=Serve(tokens=TOKENS)
    )


def test_other_callers_get_the_stored_token_while_it_is_replaced() -> None:
    after = reject(GRANT, NOW).grant
    assert decide(after, asked(), POLICY, NOW).command == Serve(tokens=TOKENS)


def test_a_rejected_token_is_waited_for_while_another_attempt_is_in_flight() -> None:
    refreshing, _command = begin(GRANT, EXPIRED - 2 * MINUTE)
    assert isinstance(reject(refreshing, EXPIRED - 2 * MINUTE).command, Wait)
    # So is one that would have to wait for its replacement otherwise.
    once = replaced(GRANT, NOW)
    twice = replaced(once, NOW + POLICY.min_refresh_interval)
    later = twice.tokens.issued_at + POLICY.min_refresh_interval + SECOND
    assert isinstance(reject(twice, later).command, Again)
    again = decide(twice, RefreshRequested(attempt_id="b", asked_at=later), POLICY, later).grant
    assert isinstance(again, Refreshing)
    assert isinstance(reject(again, later).command, Wait)


@pytest.mark.parametrize(
    ("policy", "response", "grant"),
    [
        pytest.param(POLICY, RESPONSE, GRANT, id="rotation"),
        pytest.param(NO_ROTATION, UNROTATED, GRANT, id="no rotation"),
        pytest.param(OWN, UNROTATED, Authorized(tokens=OWN_TOKENS), id="client credentials"),
    ],
)
def test_the_replacement_has_the_next_generation_for_callers(
    policy: Policy, response: TokenResponse, grant: Authorized
) -> None:
    number = grant.tokens.public_generation
    for step in range(1, 4):
        grant = replaced(grant, T0 + step * 10 * MINUTE, policy, response)
        assert grant.tokens.public_generation == number + step
    # For the rules, the generation is that of the refresh token.
    rotations = 3 if response.refresh_token else 0
    assert grant.tokens.generation == number + rotations


def test_a_refresh_without_a_rejection_and_a_rotation_keeps_the_generation() -> None:
    after = replaced(GRANT, NOW, NO_ROTATION, UNROTATED)
    refreshing, command = begin(after, EXPIRED - MINUTE, NO_ROTATION)
    later = authorized(end(refreshing, command, UNROTATED, EXPIRED, NO_ROTATION))
    assert later.tokens.public_generation == after.tokens.public_generation == 8
    assert later.tokens.generation == 7


def test_a_client_without_a_login_requests_its_rejected_token_again() -> None:
    decision = reject(Authorized(tokens=OWN_TOKENS), NOW, OWN)
    assert isinstance(decision.command, SendTokenRequest)
    assert isinstance(decision.command.request, ClientCredentialsRequest)
    first = decide(Unauthorized(), rejecting(3), OWN, NOW).command
    assert isinstance(first, SendTokenRequest)


# An API that rejects everything.


def in_a_row(rejections: int, last_at: datetime, policy: Policy = POLICY) -> Authorized:
    """Return a grant whose token replaced the last of so many rejected ones."""
    last = Rejection(generation=6, at=last_at, in_a_row=rejections)
    assert policy.must_wait(last_at + TICK, last_at)
    return Authorized(tokens=replace(TOKENS, rejection=last))


@pytest.mark.parametrize(
    ("rejections", "seconds"),
    [(1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (10_000, 300)],
)
def test_the_replacement_of_a_replacement_waits_twice_as_long_each_time(
    rejections: int, seconds: int
) -> None:
    grant, may_at = in_a_row(rejections, T0), T0 + seconds * SECOND
    assert reject(grant, may_at - TICK) == Decision(grant=grant, command=Again(at=may_at))
    assert decide(grant, asked(), POLICY, may_at - TICK).command == Serve(tokens=grant.tokens)
    after = reject(grant, may_at).grant
    assert isinstance(after, Refreshing)
    assert after.tokens.rejection == Rejection(generation=7, at=may_at, in_a_row=rejections + 1)


def test_the_doubling_ends_before_a_wait_overflows() -> None:
    last = Rejection(generation=6, at=T0, in_a_row=10_000)
    assert last.replaceable_at(first=TICK, longest=timedelta(days=1)) == T0 + 2**30 * TICK


@pytest.mark.parametrize(("ticks", "in_a_row_after"), [(-1, 4), (0, 1), (1, 1)])
def test_after_ten_minutes_a_rejection_is_the_first_again(ticks: int, in_a_row_after: int) -> None:
    grant, now = in_a_row(3, T0), T0 + 10 * MINUTE + ticks * TICK
    after = reject(grant, now).grant
    assert isinstance(after, Refreshing)
    assert after.tokens.rejection == Rejection(generation=7, at=now, in_a_row=in_a_row_after)


@pytest.mark.parametrize(
    ("policy", "response"), [(POLICY, RESPONSE), (NO_ROTATION, UNROTATED)], ids=["rotation", "none"]
)
def test_an_api_that_rejects_everything_costs_few_refreshes(
    policy: Policy, response: TokenResponse
) -> None:
    grant, refreshes = GRANT, 0
    for second in range(3600):
        now = T0 + second * SECOND
        decision = reject(grant, now, policy)
        if isinstance(decision.command, SendTokenRequest):
            grant = replaced(grant, now, policy, response)
            refreshes += 1
        else:
            assert isinstance(decision.command, Again)
    # 0, 10, 30, 70, 150 and 310 s; then each five minutes.
    assert refreshes == 16


def test_a_normal_refresh_in_between_shortens_no_wait() -> None:
    grant = in_a_row(6, EXPIRED - MINUTE)
    refreshing, command = begin(grant, EXPIRED - MINUTE)
    after = end(refreshing, command, RESPONSE, EXPIRED - MINUTE)
    assert reject(after, EXPIRED).command == Again(at=EXPIRED + 4 * MINUTE)


def test_an_attempt_that_brings_nothing_does_not_count() -> None:
    grant = in_a_row(2, T0)
    failed = replaced(grant, T0 + MINUTE, outcome=UNAVAILABLE)
    assert failed.failure_state is not None
    retry_at = failed.failure_state.retry_at
    assert reject(failed, retry_at - TICK).command == TryLater(
        at=retry_at, failure=Failure.UNAVAILABLE
    )
    again = reject(failed, retry_at).grant
    assert isinstance(again, Refreshing)
    assert again.tokens.rejection == Rejection(generation=7, at=retry_at, in_a_row=3)


def test_a_wait_ends_with_the_access_token() -> None:
    grant = in_a_row(6, EXPIRED - MINUTE)
    assert isinstance(reject(grant, EXPIRED).command, SendTokenRequest)


def test_near_its_end_the_token_is_refreshed_in_spite_of_a_wait() -> None:
    grant = in_a_row(6, EXPIRED - 3 * MINUTE)
    decision = reject(grant, EXPIRED - 2 * MINUTE)
    assert isinstance(decision.command, SendTokenRequest)
    assert isinstance(reject(decision.grant, EXPIRED - 2 * MINUTE).command, Wait)


def test_a_clock_that_went_back_keeps_nobody_waiting() -> None:
    grant = in_a_row(1, T0 + timedelta(days=30))
    assert isinstance(reject(grant, T0).command, SendTokenRequest)


# Obstacles.


def test_a_rejected_token_that_nothing_can_replace_requires_a_login() -> None:
    eternal = replace(TOKENS, expires_at=None, refresh_token=None, refresh_token_expires_at=None)
    assert reject(Authorized(tokens=eternal), NOW).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_MISSING
    )


def test_after_a_final_refusal_a_rejected_token_requires_a_login() -> None:
    refused = AuthorizationRequired(
        tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client=POLICY.client, since=T0
    )
    assert reject(refused, EXPIRED - TICK).command == AskForAuthorization(
        cause=Cause.REFRESH_TOKEN_REJECTED
    )


def test_after_a_refusal_for_now_a_rejected_token_waits_minutes_and_not_for_its_end() -> None:
    invalid = TokenErrorResponse(status=400, error="invalid_grant")
    refused = replaced(GRANT, NOW, outcome=invalid)
    may_at = NOW + POLICY.refused_retry_wait
    answer = reject(refused, may_at - TICK).command
    assert answer == TryLater(at=may_at, failure=Failure.REFUSED, quote="invalid_grant")
    assert isinstance(reject(refused, may_at).command, SendTokenRequest)


def test_after_a_lost_answer_a_rejected_token_waits_like_any_other() -> None:
    lost = replaced(GRANT, NOW, outcome=UNKNOWN)
    answer = reject(lost, NOW + SECOND).command
    assert answer == TryLater(at=NOW + POLICY.lease, failure=Failure.UNKNOWN, quote="timeout")


def test_a_refresh_that_is_too_early_is_not_sent_for_a_rejected_token() -> None:
    provider = replace(POLICY.provider, refresh_only_within=MINUTE)
    answer = reject(GRANT, NOW, replace(POLICY, provider=provider)).command
    assert isinstance(answer, TryLater)
    assert answer.failure is None


def test_a_grant_that_moved_only_reports_that() -> None:
    assert reject(Moved(grant=GRANT, since=T0), NOW).command == ReportMoved(since=T0)


def test_a_rejected_token_is_not_served_before_an_adoption_is_proven() -> None:
    unproven = replace(TOKENS, generation=8, access_token="", expires_at=T0)
    adopting = Adopting(grant=Authorized(tokens=unproven), earlier=GRANT)
    assert decide(adopting, rejecting(6), POLICY, NOW).command == Serve(tokens=TOKENS)
    assert isinstance(decide(adopting, rejecting(7), POLICY, NOW).command, SendTokenRequest)


# The stored form.


def test_a_new_login_counts_on_for_callers_and_forgets_the_rejection() -> None:
    grant = replaced(GRANT, NOW, NO_ROTATION, UNROTATED)
    login = LoginCompleted(
        response=RESPONSE, requested_at=NOW, precedence=Precedence.REPLACES, read=grant
    )
    after = authorized(apply(grant, login, NO_ROTATION, NOW).grant)
    assert (after.tokens.generation, after.tokens.public_generation) == (9, 9)
    assert after.tokens.rejection is None


def test_a_rejection_is_stored_with_the_tokens_and_read_again() -> None:
    rejection = Rejection(generation=8, at=NOW, in_a_row=2, unrotated=1)
    kept = load_record(dump_record(Authorized(tokens=replace(TOKENS, rejection=rejection)), ()))[0]
    assert authorized(kept).tokens.rejection == rejection
    assert authorized(kept).tokens.public_generation == 8


def test_tokens_without_a_rejection_are_stored_as_before() -> None:
    text = dump_record(GRANT, ())
    assert b"rejection" not in text
    assert authorized(load_record(text)[0]).tokens.rejection is None


def test_revoked_grants_have_nothing_to_reject() -> None:
    revoked = Revoked(at=T0, result=RevocationResult.REVOKED)
    answer = decide(revoked, rejecting(7), POLICY, NOW).command
    assert isinstance(answer, AskForAuthorization)
    assert answer.cause is Cause.REVOKED


def test_a_rejection_does_not_make_tokens_others() -> None:
    # The sweep compares them to see whether they were replaced.
    marked: Tokens = replace(TOKENS, rejection=Rejection(generation=7, at=NOW))
    assert marked == TOKENS

"""When a provider takes a refresh token: until new tokens are used, and not too early."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import NothingDue, SendTokenRequest, Serve, TryLater
from domain.decide import decide
from domain.failures import mark_in_doubt
from domain.grant import AuthorizationRequired, Authorized, Cause, Failure, Refreshing
from domain.policy import Policy
from domain.provider import UNTIL_USED_BOUND, Rotation, RotationKind
from domain.question import Question, RefreshDue, RefreshRequested
from domain.tokens import Tokens
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    EXPIRED,
    GRANT,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TICK,
    TOKENS,
    UNKNOWN,
    ask,
    asked,
    authorized,
    begin,
    end,
    failure_state_of,
    policy,
)
from tests.domain.provider_model import INVALID_GRANT

NEVER = timedelta(0)
# By the provider's clock, an access token of half an hour may expire so much later.
DELAY = 5 * SECOND


def until_used(bound: timedelta) -> Policy:
    rotation = Rotation(kind=RotationKind.ALWAYS, grace=bound, until_used=True)
    return replace(POLICY, provider=replace(POLICY.provider, rotation=rotation))


def only_within(within: timedelta) -> Policy:
    return replace(POLICY, provider=replace(POLICY.provider, refresh_only_within=within))


# Until the new tokens are used.


def test_a_grace_until_use_has_a_bound() -> None:
    assert timedelta(hours=1) == UNTIL_USED_BOUND
    with pytest.raises(ValueError, match="bound"):
        Rotation(kind=RotationKind.ALWAYS, until_used=True)


@pytest.mark.parametrize("bound", [10 * SECOND, 90 * SECOND, UNTIL_USED_BOUND, 30 * DAY])
def test_a_replay_waits_until_the_first_request_cannot_arrive(bound: timedelta) -> None:
    _, command = begin(GRANT, T0 + 28 * MINUTE)
    by = until_used(bound)
    assert by.replay_from(command.attempt) == T0 + 29 * MINUTE
    assert by.replay_until(T0) == T0 + bound - min(5 * SECOND, bound / 4)


@pytest.mark.parametrize(
    ("bound", "after", "is_sent"),
    [
        pytest.param(UNTIL_USED_BOUND, MINUTE - TICK, False, id="the first may arrive"),
        pytest.param(UNTIL_USED_BOUND, MINUTE, True, id="from the end of the lease"),
        pytest.param(SECOND, MINUTE, False, id="no window then: the valid token is spared"),
        pytest.param(30 * DAY, MINUTE + SECOND, True, id="a long window"),
    ],
)
def test_a_lost_answer_does_not_delay_a_refresh_within_the_window(
    bound: timedelta, after: timedelta, *, is_sent: bool
) -> None:
    """It is early: the access token is valid, and an attempt outside of the window may end it."""
    by, early = until_used(bound), EXPIRED - 4 * MINUTE
    refreshing, command = begin(GRANT, early, by)
    lost = end(refreshing, command, UNKNOWN, early + 30 * SECOND, by)
    again = ask(lost, early + after, by)
    assert isinstance(again.command, SendTokenRequest if is_sent else Serve)


@pytest.mark.parametrize(
    ("by", "since"),
    [
        pytest.param(policy(grace=40 * MINUTE), T0, id="within a plain window"),
        pytest.param(until_used(UNTIL_USED_BOUND), T0 - UNTIL_USED_BOUND, id="after its use"),
    ],
)
def test_a_restored_grant_counts_as_used_if_its_window_ends_by_use(
    by: Policy, since: datetime
) -> None:
    restored = mark_in_doubt(GRANT, by, T0 + MINUTE)
    assert failure_state_of(restored).in_doubt_since == since
    # No caller's valid token is risked for a refresh token that may be spent.
    is_risky = by.provider.rotation.until_used
    answer = ask(restored, EXPIRED - MINUTE - SECOND, by).command
    assert isinstance(answer, Serve if is_risky else SendTokenRequest)


def test_only_stored_tokens_are_served_if_their_use_ends_the_window() -> None:
    assert POLICY.serves_unstored_tokens
    assert policy(grace=MINUTE).serves_unstored_tokens
    assert not until_used(MINUTE).serves_unstored_tokens


@pytest.mark.parametrize(
    ("authorized_at", "issued_at"),
    [
        pytest.param(EXPIRED - DAY, EXPIRED - UNTIL_USED_BOUND, id="one window before"),
        pytest.param(T0, T0, id="not before the login"),
        pytest.param(EXPIRED, EXPIRED, id="a login just now"),
        pytest.param(EXPIRED + TICK, EXPIRED - UNTIL_USED_BOUND, id="a login by another clock"),
    ],
)
def test_tokens_after_a_refusal_are_not_older_than_their_login(
    authorized_at: datetime, issued_at: datetime
) -> None:
    by = until_used(UNTIL_USED_BOUND)
    tokens = replace(TOKENS, authorized_at=authorized_at)
    _, command = begin(Authorized(tokens=tokens), EXPIRED, by)
    refused = AuthorizationRequired(
        tokens=tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=EXPIRED
    )
    kept = authorized(end(refused, command, RESPONSE, EXPIRED, by))
    assert kept.tokens.issued_at == issued_at


# Not before the last N seconds.


@pytest.mark.parametrize(
    ("within", "at", "from_"),
    [
        pytest.param(30 * SECOND, T0, EXPIRED + DELAY - 30 * SECOND, id="its last seconds"),
        pytest.param(NEVER, T0, EXPIRED + DELAY, id="not before it has expired"),
        pytest.param(ACCESS_LIFE, T0, T0 + DELAY, id="as soon as it was issued"),
        # The clock of the issue was ahead: a life from now at most.
        pytest.param(30 * SECOND, T0 - MINUTE, EXPIRED - 85 * SECOND, id="a clock was ahead"),
    ],
)
def test_a_refresh_begins_when_the_provider_takes_it(
    within: timedelta, at: datetime, from_: datetime
) -> None:
    assert only_within(within).refresh_from(TOKENS, at) == from_


@pytest.mark.parametrize(
    ("tokens", "by", "at"),
    [
        pytest.param(TOKENS, POLICY, T0, id="a provider without this"),
        pytest.param(
            replace(TOKENS, expires_at=None), only_within(SECOND), T0, id="it never expires"
        ),
        pytest.param(TOKENS, only_within(SECOND), T0 - MINUTE - TICK, id="its age is unknown"),
    ],
)
def test_a_refresh_is_not_too_early(tokens: Tokens, by: Policy, at: datetime) -> None:
    assert by.refresh_from(tokens, at) is None


WITHIN = only_within(30 * SECOND)
OPENS = EXPIRED + DELAY - 30 * SECOND
EXPLICIT = RefreshRequested(attempt_id="attempt-1", asked_at=OPENS)
SWEEP = RefreshDue(attempt_id="attempt-1")


@pytest.mark.parametrize(
    ("question", "before"),
    [
        pytest.param(asked(), Serve(tokens=TOKENS), id="usual"),
        pytest.param(asked(min_ttl=NEVER), Serve(tokens=TOKENS), id="any rest"),
        pytest.param(asked(min_ttl=DAY), Serve(tokens=TOKENS), id="more than is left"),
        pytest.param(EXPLICIT, TryLater(at=OPENS, failure=None), id="explicit"),
        pytest.param(SWEEP, NothingDue(), id="sweep"),
    ],
)
def test_nothing_is_sent_before_and_what_is_left_is_served(
    question: Question, before: object
) -> None:
    # Due for the sweep as well.
    tokens = replace(TOKENS, refresh_token_expires_at=OPENS + 10 * MINUTE)
    early = decide(Authorized(tokens=tokens), question, WITHIN, OPENS - TICK)
    expected = Serve(tokens=tokens) if isinstance(before, Serve) else before
    assert (early.command, early.grant) == (expected, Authorized(tokens=tokens))
    in_time = decide(Authorized(tokens=tokens), question, WITHIN, OPENS)
    assert isinstance(in_time.command, SendTokenRequest)
    assert isinstance(in_time.grant, Refreshing)


def test_an_expired_token_is_not_served_although_it_is_too_early() -> None:
    never_early = only_within(NEVER)
    answer = decide(GRANT, asked(), never_early, EXPIRED).command
    assert answer == TryLater(at=EXPIRED + DELAY, failure=None)
    assert isinstance(
        decide(GRANT, asked(), never_early, EXPIRED + DELAY).command, SendTokenRequest
    )


@pytest.mark.parametrize(
    ("within", "after", "is_final"),
    [
        pytest.param(30 * SECOND, 30 * SECOND - TICK, False, id="it may be too early"),
        pytest.param(30 * SECOND, 30 * SECOND, True, id="it cannot be too early"),
        pytest.param(2 * MINUTE, NEVER, True, id="a wide window"),
        pytest.param(NEVER, MINUTE - TICK, False, id="no window"),
        pytest.param(NEVER, MINUTE, True, id="no window, a lease later"),
    ],
)
def test_a_refusal_is_final_only_if_it_was_not_for_being_early(
    within: timedelta, after: timedelta, *, is_final: bool
) -> None:
    """The request that brought the tokens may have arrived a lease after it was begun."""
    by = only_within(within)
    refreshing, command = begin(GRANT, EXPIRED + max(after, DELAY), by)
    command = replace(command, attempt=replace(command.attempt, started_at=EXPIRED + after))
    refreshing = replace(refreshing, attempt=command.attempt)
    refused = end(refreshing, command, INVALID_GRANT, EXPIRED + after + SECOND, by)
    if is_final:
        assert isinstance(refused, AuthorizationRequired)
    else:
        assert failure_state_of(refused).failure is Failure.REFUSED


@pytest.mark.parametrize(
    ("tokens", "by"),
    [
        pytest.param(TOKENS, POLICY, id="a provider without this"),
        pytest.param(replace(TOKENS, expires_at=None), only_within(SECOND), id="it never expires"),
    ],
)
def test_no_refusal_was_for_being_early(tokens: Tokens, by: Policy) -> None:
    assert not by.may_be_too_early(tokens, T0)

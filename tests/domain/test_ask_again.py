"""When it pays to ask for another token: rule 1, for clients that keep one."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import SendTokenRequest, Serve
from domain.decide import decide
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Refreshing,
    Unauthorized,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.questions import ask_again_at
from domain.serving import is_settled, next_question_at
from tests.domain.examples import (
    ACCESS_LIFE,
    EXPIRED,
    GRANT,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TICK,
    TOKENS,
    UNAVAILABLE,
    asked,
    authorized,
    begin,
    end,
    failure_state_of,
)

HOUR = 60 * MINUTE
ETERNAL = Authorized(tokens=replace(TOKENS, expires_at=None))
WITHOUT = Authorized(
    tokens=replace(TOKENS, refresh_token=None, refresh_token_expires_at=None),
)
OWN = Authorized(tokens=replace(WITHOUT.tokens, grant_type=GrantType.CLIENT_CREDENTIALS))
FINAL = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client=POLICY.client, since=T0
)
DYING = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED))
UNPROVEN = Adopting(
    grant=Authorized(tokens=replace(TOKENS, access_token="", expires_at=T0)), earlier=GRANT
)


def with_provider(**members: object) -> Policy:
    """Return the policy with another provider."""
    return replace(POLICY, provider=replace(POLICY.provider, **members))  # type: ignore[arg-type]


def in_doubt(grant: Authorized) -> Authorized:
    """Return the grant after an attempt of unknown outcome."""
    refreshing, _command = begin(grant, EXPIRED - 2 * MINUTE)
    assert isinstance(refreshing, Refreshing)
    lapsed = begin(refreshing, EXPIRED + HOUR)[0]
    return Authorized(tokens=TOKENS, failure_state=lapsed.failure_state)


@pytest.mark.parametrize(
    ("grant", "policy", "min_ttl", "at"),
    [
        pytest.param(GRANT, POLICY, MINUTE, EXPIRED - 5 * MINUTE, id="early refresh"),
        pytest.param(GRANT, POLICY, 8 * MINUTE, EXPIRED - 8 * MINUTE, id="longer min_ttl"),
        pytest.param(GRANT, POLICY, HOUR, EXPIRED - ACCESS_LIFE / 2, id="half of the lifetime"),
        pytest.param(
            GRANT,
            replace(POLICY, refresh_early=HOUR),
            MINUTE,
            EXPIRED - ACCESS_LIFE / 3,
            id="last third",
        ),
        pytest.param(
            GRANT,
            with_provider(refresh_ends_access_token=True),
            MINUTE,
            EXPIRED - MINUTE,
            id="a refresh ends the token",
        ),
        pytest.param(
            GRANT,
            with_provider(refresh_only_within=20 * SECOND),
            MINUTE,
            EXPIRED - 15 * SECOND,
            id="refused until shortly before",
        ),
        pytest.param(WITHOUT, POLICY, MINUTE, EXPIRED - MINUTE, id="no refresh token"),
        pytest.param(OWN, POLICY, MINUTE, EXPIRED - 5 * MINUTE, id="client credentials"),
        pytest.param(FINAL, POLICY, MINUTE, EXPIRED - MINUTE, id="final refusal"),
        pytest.param(UNPROVEN, POLICY, MINUTE, EXPIRED - MINUTE, id="adoption without a proof"),
        pytest.param(DYING, POLICY, MINUTE, T0 + 10 * MINUTE, id="refresh token ends"),
        pytest.param(ETERNAL, POLICY, MINUTE, None, id="never expires"),
        pytest.param(Unauthorized(), POLICY, MINUTE, None, id="no token"),
    ],
)
def test_a_caller_asks_again_when_a_question_may_begin_a_refresh(
    grant: Grant, policy: Policy, min_ttl: timedelta, at: datetime | None
) -> None:
    assert ask_again_at(grant, min_ttl, policy, T0) == at
    if is_settled(grant):
        assert next_question_at(grant.tokens, min_ttl, policy, T0) == at


def test_in_doubt_a_valid_token_is_kept_to_its_min_ttl() -> None:
    doubtful = in_doubt(GRANT)
    early = replace(failure_state_of(doubtful), retry_at=T0)
    assert ask_again_at(replace(doubtful, failure_state=early), MINUTE, POLICY, T0) == (
        EXPIRED - MINUTE
    )


def test_during_a_refresh_a_caller_asks_again_seconds_later() -> None:
    now = EXPIRED - 4 * MINUTE
    refreshing, _command = begin(GRANT, now)
    assert ask_again_at(refreshing, MINUTE, POLICY, now) == now + 5 * SECOND
    # Not after the token has expired.
    at_end = EXPIRED - TICK
    assert ask_again_at(refreshing, MINUTE, POLICY, at_end) == EXPIRED


def test_after_a_failure_a_caller_asks_again_when_the_next_try_may_begin() -> None:
    now = EXPIRED - 4 * MINUTE
    refreshing, command = begin(GRANT, now)
    failed = end(refreshing, command, replace(UNAVAILABLE, retry_after=2 * MINUTE), now)
    assert failure_state_of(failed).failure is Failure.UNAVAILABLE
    assert ask_again_at(failed, MINUTE, POLICY, now) == now + 2 * MINUTE
    long = end(refreshing, command, replace(UNAVAILABLE, retry_after=HOUR), now)
    assert ask_again_at(long, MINUTE, POLICY, now) == EXPIRED
    # A try that is too far ahead is of a clock that went back.
    far = replace(failure_state_of(failed), retry_at=now + 900 * HOUR)
    assert ask_again_at(replace(authorized(failed), failure_state=far), MINUTE, POLICY, now) == (
        now + 5 * SECOND
    )


@given(
    life=st.integers(min_value=30, max_value=10_000),
    min_ttl=st.integers(min_value=0, max_value=20_000),
    refresh_takes=st.floats(min_value=0.01, max_value=4),
    ends=st.booleans(),
)
def test_a_client_that_follows_asks_twice_a_life_at_most_and_its_token_is_valid(
    *, life: int, min_ttl: int, refresh_takes: float, ends: bool
) -> None:
    policy = with_provider(refresh_ends_access_token=ends)
    response = replace(RESPONSE, expires_in=life * SECOND)
    tokens = replace(TOKENS, expires_at=T0 + life * SECOND)
    now, asks, grant = T0, 0, Authorized(tokens=tokens)
    # Until five tokens later.
    while now < T0 + 5 * life * SECOND:
        decision = decide(grant, asked(min_ttl=min_ttl * SECOND), policy, now)
        asks, command = asks + 1, decision.command
        after = decision.grant
        if isinstance(command, SendTokenRequest):
            meanwhile = decide(after, asked(min_ttl=min_ttl * SECOND), policy, now).command
            answered = now + timedelta(seconds=refresh_takes)
            replaced = end(after, command, response, answered, policy)
            assert isinstance(replaced, Authorized)
            grant = replaced
            if not isinstance(meanwhile, Serve):
                now, after, command = answered, grant, Serve(tokens=grant.tokens)
            else:
                command = meanwhile
        assert isinstance(command, Serve)
        at = ask_again_at(after, min_ttl * SECOND, policy, now)
        assert at is not None
        held = command.tokens.access_token_expiry(now)
        assert held is not None
        assert now < at <= held
        now = max(at, now + SECOND)
    # A life ends with a third of it left at the earliest, or with half of it for a long `min_ttl`.
    assert asks <= 2 * 5 * 2 + 2

"""A fresh token is served without the rules of a refresh, and as these would serve it: rule 1."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.commands import Serve
from domain.decide import decide
from domain.grant import Authorized, Grant, Unauthorized, tokens_of
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import TokenRequested
from domain.questions import ask_again_at
from domain.rejections import Rejection
from domain.serving import is_settled, next_question_at, serve_fresh
from tests.domain.examples import (
    DAY,
    EXPIRED,
    GRANT,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    SECOND,
    T0,
    TICK,
    TOKENS,
    UNAVAILABLE,
    begin,
    fail,
)

ETERNAL = Authorized(tokens=replace(TOKENS, expires_at=None, refresh_token=None))
OWN = Authorized(
    tokens=replace(
        TOKENS,
        refresh_token=None,
        refresh_token_expires_at=None,
        grant_type=GrantType.CLIENT_CREDENTIALS,
    )
)
REPLACED = Authorized(
    tokens=replace(TOKENS, rejection=Rejection(generation=7, at=T0, unrotated=1)),
)
OLD = Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED))
LATE = replace(POLICY, provider=replace(POLICY.provider, refresh_ends_access_token=True))
OF_OWN = replace(POLICY, provider=replace(POLICY.provider, grant_type=GrantType.CLIENT_CREDENTIALS))
EARLY_REFRESH = EXPIRED - 5 * MINUTE


@pytest.mark.parametrize(
    ("grant", "min_ttl", "refused", "policy", "now"),
    [
        pytest.param(GRANT, MINUTE, None, POLICY, T0, id="new"),
        pytest.param(
            GRANT, MINUTE, None, POLICY, EARLY_REFRESH - TICK, id="until it nears its end"
        ),
        pytest.param(GRANT, MINUTE, None, LATE, EXPIRED - MINUTE - TICK, id="refreshed late"),
        pytest.param(GRANT, MINUTE, 6, POLICY, T0, id="an older one was refused"),
        pytest.param(REPLACED, MINUTE, 7, POLICY, T0, id="its like was refused and replaced"),
        pytest.param(GRANT, MINUTE, None, POLICY, T0 - MINUTE, id="clock a minute behind"),
        pytest.param(OWN, MINUTE, None, OF_OWN, T0, id="of the client"),
        pytest.param(ETERNAL, DAY, None, POLICY, T0 + REFRESH_LIFE, id="never expires"),
    ],
)
def test_a_fresh_token_is_served_as_by_all_rules(
    grant: Authorized, min_ttl: timedelta, refused: int | None, policy: Policy, now: datetime
) -> None:
    assert serve_fresh(grant, min_ttl, refused, policy, now) == Serve(tokens=grant.tokens)
    assert_as_by_all_rules(grant, min_ttl, refused, policy, now)


@pytest.mark.parametrize(
    ("grant", "min_ttl", "refused", "policy", "now"),
    [
        pytest.param(Unauthorized(), MINUTE, None, POLICY, T0, id="no token"),
        pytest.param(begin(GRANT, EXPIRED)[0], MINUTE, None, POLICY, T0, id="in flight"),
        pytest.param(fail(UNAVAILABLE), MINUTE, None, POLICY, T0, id="a refresh has failed"),
        pytest.param(GRANT, MINUTE, None, POLICY, EARLY_REFRESH, id="near its end"),
        pytest.param(OLD, MINUTE, None, POLICY, EARLY_REFRESH - TICK, id="refresh token, too"),
        pytest.param(GRANT, 10 * MINUTE, None, POLICY, EXPIRED - 10 * MINUTE, id="min_ttl"),
        pytest.param(GRANT, MINUTE, None, LATE, EXPIRED - MINUTE, id="refreshed late"),
        pytest.param(GRANT, MINUTE, 7, POLICY, T0, id="refused"),
        pytest.param(REPLACED, MINUTE, 8, POLICY, T0, id="refused again"),
        pytest.param(GRANT, MINUTE, None, POLICY, T0 - MINUTE - TICK, id="clock was ahead"),
        pytest.param(OWN, MINUTE, None, POLICY, T0, id="of the client, which wants a login"),
        pytest.param(GRANT, MINUTE, None, OF_OWN, T0, id="of a login that is not wanted"),
    ],
)
def test_any_other_question_is_left_to_all_rules(
    grant: Grant, min_ttl: timedelta, refused: int | None, policy: Policy, now: datetime
) -> None:
    assert serve_fresh(grant, min_ttl, refused, policy, now) is None


OFFSETS = st.sampled_from([-61, -60, -59, -1, 0, 1, 59, 60, 61]).map(lambda number: number * SECOND)
TOKENS_OF_ANY_KIND = st.builds(
    replace,
    st.sampled_from([each.tokens for each in (GRANT, ETERNAL, OWN, REPLACED, OLD)]),
    issued_at=OFFSETS.map(lambda offset: T0 + offset),
)
GRANTS = TOKENS_OF_ANY_KIND.flatmap(
    lambda tokens: st.sampled_from(
        [Authorized(tokens=tokens), replace(begin(GRANT, EXPIRED)[0], tokens=tokens)]
    )
) | st.just(fail(UNAVAILABLE))
POLICIES = st.builds(
    lambda policy, ends, within: replace(
        policy,
        provider=replace(
            policy.provider, refresh_ends_access_token=ends, refresh_only_within=within
        ),
    ),
    st.sampled_from([POLICY, OF_OWN]),
    st.booleans(),
    st.none() | st.just(20 * SECOND),
)
INSTANTS = st.builds(
    lambda instant, offset: instant + offset,
    st.sampled_from([T0, EARLY_REFRESH, EXPIRED - MINUTE, EXPIRED, T0 + REFRESH_LIFE]),
    OFFSETS,
)


@given(
    GRANTS,
    st.sampled_from([0, 1, 60, 600, 86400]).map(lambda number: number * SECOND),
    st.sampled_from([None, 6, 7, 8]),
    POLICIES,
    INSTANTS,
)
def test_what_is_served_at_once_is_what_all_rules_serve(
    grant: Grant, min_ttl: timedelta, refused: int | None, policy: Policy, now: datetime
) -> None:
    if serve_fresh(grant, min_ttl, refused, policy, now) is not None:
        assert_as_by_all_rules(grant, min_ttl, refused, policy, now)
    if is_settled(grant):
        at = next_question_at(grant.tokens, min_ttl, policy, now)
        assert at == ask_again_at(grant, min_ttl, policy, now)


def assert_as_by_all_rules(
    grant: Grant, min_ttl: timedelta, refused: int | None, policy: Policy, now: datetime
) -> None:
    """Check that by all rules the stored tokens are served, and nothing changes."""
    question = TokenRequested(attempt_id="attempt-1", min_ttl=min_ttl, refused=refused)
    decision = decide(grant, question, policy, now)
    assert decision.grant is grant
    assert decision.command == Serve(tokens=tokens_of(grant))  # type: ignore[arg-type]
    assert decision.note is None

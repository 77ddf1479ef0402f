"""Failures in a row, and the doubt about a grant that memory restores."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.failures import mark_in_doubt
from domain.grant import AuthorizationRequired, Authorized, Cause, Failure, FailureState, Grant
from domain.provider import RotationKind
from tests.domain.examples import MINUTE, SECOND, T0, TOKENS, authorized, begin, policy

IN_GRACE = policy(RotationKind.ALWAYS, grace=10 * MINUTE)
NOW = T0 + 5 * MINUTE
GRANT = Authorized(tokens=TOKENS)
AWAY = FailureState(
    failures=3,
    failure=Failure.UNAVAILABLE,
    at=T0,
    retry_at=NOW + SECOND,
    in_doubt_since=None,
    since=T0 - SECOND,
)
IN_DOUBT = replace(AWAY, in_doubt_since=T0 + SECOND)


def test_failures_in_a_row_began_with_the_first_stored_one() -> None:
    assert AWAY.began_at == T0 - SECOND
    assert replace(AWAY, since=None).began_at == T0


# A grant from memory, in place of a record that is damaged or lost.


def test_a_restored_refresh_token_is_in_doubt_since_its_issue() -> None:
    after = mark_in_doubt(GRANT, IN_GRACE, NOW)
    assert after == Authorized(
        tokens=TOKENS,
        failure_state=FailureState(
            failures=0, failure=Failure.UNKNOWN, at=NOW, retry_at=NOW, in_doubt_since=T0, since=NOW
        ),
    )


def test_a_doubt_keeps_the_failure_before_it() -> None:
    after = mark_in_doubt(replace(GRANT, failure_state=AWAY), IN_GRACE, NOW)
    assert after == replace(GRANT, failure_state=replace(AWAY, in_doubt_since=T0))


def test_tokens_from_a_clock_ahead_are_in_doubt_since_now() -> None:
    ahead = Authorized(tokens=replace(TOKENS, issued_at=NOW + timedelta(days=1)))
    after = authorized(mark_in_doubt(ahead, IN_GRACE, NOW))
    assert after.failure_state is not None
    assert after.failure_state.in_doubt_since == NOW


@pytest.mark.parametrize(
    "grant",
    [
        replace(GRANT, failure_state=IN_DOUBT),
        Authorized(tokens=replace(TOKENS, refresh_token=None)),
        begin(GRANT, T0 + timedelta(hours=1))[0],
        AuthorizationRequired(
            tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=T0
        ),
    ],
)
def test_a_grant_in_doubt_or_without_a_possible_replay_is_not_marked(grant: Grant) -> None:
    assert mark_in_doubt(grant, IN_GRACE, NOW) is grant


def test_without_a_grace_window_a_restored_token_is_not_in_doubt() -> None:
    assert mark_in_doubt(GRANT, policy(), NOW) is GRANT

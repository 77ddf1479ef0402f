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


def test_a_row_of_failures_began_with_its_first_as_far_as_anybody_noted_it() -> None:
    assert AWAY.began_at == T0 - SECOND
    assert replace(AWAY, since=None).began_at == T0


# A grant from memory, in place of a record that is damaged or lost.


def test_others_may_have_gone_on_from_it_ever_since_it_was_issued() -> None:
    after = mark_in_doubt(GRANT, IN_GRACE, NOW)
    assert after == Authorized(
        tokens=TOKENS,
        failure_state=FailureState(
            failures=0, failure=Failure.UNKNOWN, at=NOW, retry_at=NOW, in_doubt_since=T0, since=NOW
        ),
    )


def test_what_it_has_failed_with_is_kept_beside_the_doubt() -> None:
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
def test_a_doubt_stays_and_where_nothing_can_be_replayed_there_is_none(grant: Grant) -> None:
    assert mark_in_doubt(grant, IN_GRACE, NOW) is grant


def test_without_a_grace_window_no_answer_can_be_told_twice() -> None:
    assert mark_in_doubt(GRANT, policy(), NOW) is GRANT

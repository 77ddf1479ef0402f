"""Failures in a row, and when the next attempt may begin: rule 7 of `decide.py`.

A lapsed lease is a failure as well (rule 3).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import assert_never

from domain.grant import (
    Active,
    Adopting,
    Attempt,
    Authorized,
    Failure,
    FailureState,
    Grant,
    Refreshing,
    in_doubt_since,
)
from domain.policy import Policy

# Rule 3: an attempt whose lease ran out.


def end_lapsed_lease(grant: Active, policy: Policy, now: datetime) -> Active:
    """Count an attempt whose lease ran out as failed: its instance stopped or stalls (rule 3)."""
    if isinstance(grant, Refreshing) and not policy.is_in_flight(grant.attempt, now):
        attempt = grant.attempt
        failure_state = add_failure(
            grant.failure_state, Failure.UNKNOWN, attempt, policy, at=policy.lease_end(attempt)
        )
        return Authorized(tokens=grant.tokens, failure_state=failure_state)
    return grant


# Rule 7: retries.


def mark_in_doubt(grant: Grant, policy: Policy, now: datetime) -> Grant:
    """Mark the refresh token of a grant from memory as one that may be spent (rule 7).

    Another instance may have refreshed it in a record that is lost. Within its grace window the
    provider may answer with the tokens of that refresh, and return their full lifetime again.
    """
    if isinstance(grant, Adopting):
        earlier = mark_in_doubt(grant.earlier, policy, now)
        return replace(grant, earlier=earlier) if isinstance(earlier, Authorized) else grant
    if not isinstance(grant, Authorized) or not policy.provider.rotation.grace:
        return grant
    tokens, before = grant.tokens, grant.failure_state
    if tokens.refresh_token is None or in_doubt_since(before) is not None:
        return grant
    failure_state = before or FailureState(
        failures=0, failure=Failure.UNKNOWN, at=now, retry_at=now, in_doubt_since=None, since=now
    )
    since = policy.in_doubt_from_memory(tokens, now)
    return replace(grant, failure_state=replace(failure_state, in_doubt_since=since))


def add_failure(
    before: FailureState | None,
    failure: Failure,
    attempt: Attempt,
    policy: Policy,
    *,
    at: datetime,
    retry_after: timedelta | None = None,
    quote: str | None = None,
) -> FailureState:
    """Add a failure of `attempt`, known since `at`, to those before (rule 7).

    `retry_after` is the provider's `Retry-After`, and `quote` its answer.
    """
    failures = 1 if before is None else before.failures + 1
    doubt = in_doubt_since(before)
    if failure is Failure.UNKNOWN and doubt is None:
        doubt = attempt.started_at
    requested_wait = min(retry_after or timedelta(0), policy.max_retry_after)
    retry_at = max(_retry_at(failure, failures, attempt, policy, at), at + requested_wait)
    if doubt is not None:
        retry_at = max(retry_at, _replay_at(retry_at, failure, attempt, policy, doubt))
    return FailureState(
        failures=failures,
        failure=failure,
        at=at,
        retry_at=retry_at,
        in_doubt_since=doubt,
        since=at if before is None else before.began_at,
        quote=quote,
    )


def _retry_at(
    failure: Failure, failures: int, attempt: Attempt, policy: Policy, at: datetime
) -> datetime:
    """Return when the next attempt may begin, by the kind of failure (rule 7)."""
    match failure:
        case Failure.NOT_SENT | Failure.EXPIRED_ON_ARRIVAL:
            return at + policy.backoff(failures - 1, attempt)
        case Failure.UNKNOWN:
            return max(policy.replay_from(attempt), at + policy.backoff(failures - 1, attempt))
        case Failure.UNAVAILABLE | Failure.UNEXPLAINED | Failure.MISCONFIGURED | Failure.REFUSED:
            return at + policy.backoff(failures, attempt)
        case _:
            assert_never(failure)


def _replay_at(
    retry_at: datetime,
    failure: Failure,
    attempt: Attempt,
    policy: Policy,
    doubt: datetime,
) -> datetime:
    """Return when a refresh token in doubt since `doubt` may be sent again (rule 7).

    After the grace window, two requests must not overtake each other: the one that arrives last
    would replay a spent refresh token. So the next one waits until none can arrive any more.
    """
    window_ends = policy.replay_until(doubt)
    if policy.provider.replay_is_harmless or retry_at < window_ends:
        return retry_at
    # All requests before this attempt were sent within the window.
    return policy.lease_end(attempt) if failure is Failure.UNKNOWN else window_ends + policy.lease

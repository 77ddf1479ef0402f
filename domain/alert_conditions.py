"""Trouble: whether a login is needed, the client refused, or refreshes fail.

Rules 1, 3 and 4 of `alerts.py`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from domain.alert_book import AlertBook, Condition
from domain.alerts import AlertKind, AlertThresholds
from domain.failures import end_lapsed_lease
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    is_over,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.questions import missing_authorization
from domain.tokens import MAX_CLOCK_SKEW

TROUBLE = (AlertKind.LOGIN_NEEDED, AlertKind.CLIENT_REFUSED, AlertKind.REFRESH_FAILING)
"""The conditions whose end owes `recovered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The circumstances of a grant: its client's policy, thresholds, the time."""

    policy: Policy
    thresholds: AlertThresholds
    now: datetime

    @property
    def grant_type(self) -> GrantType:
        """The one of the settings."""
        return self.policy.provider.grant_type

    def is_ahead(self, instant: datetime) -> bool:
        """Whether a clock that was ahead gave this instant (rule 3)."""
        return instant > self.now + MAX_CLOCK_SKEW


# Rule 4: a refresh in flight decides nothing.


def settled(grant: Grant, watch: Watch) -> Grant | None:
    """Return the grant, after a lease that ran out; None while its next state is open (rule 4)."""
    policy = watch.policy.for_grant(grant)
    match grant:
        case Adopting():
            return None
        case Refreshing():
            current = end_lapsed_lease(grant, policy, watch.now)
            return None if isinstance(current, Refreshing) else current
        case Requesting(attempt=attempt):
            return None if policy.is_in_flight(attempt, watch.now) else grant
        case Unauthorized() | Authorized() | AuthorizationRequired():
            return grant
        case Moved() | Revoking() | Revoked():
            return grant
        case _:
            assert_never(grant)


# Rule 1: trouble.


def failures_of(grant: Grant) -> FailureState | None:
    """Return the failures in a row; None without any. A restore from memory is none."""
    if not isinstance(grant, Authorized | Unauthorized | Requesting):
        return None
    found = grant.failure_state
    return None if found is None or found.failures == 0 else found


def trouble_after(book: AlertBook, before: Grant, current: Grant, watch: Watch) -> Condition | None:
    """Return the trouble after a change; None if there is none (rules 1 and 3)."""
    if is_over(current):
        return None
    there = book.condition(*TROUBLE)
    kind = _trouble_of(current, book, watch)
    if kind is None:
        return there if there is not None and _stays(there, before, current, watch) else None
    if there is not None and (there.kind is kind or kind is AlertKind.REFRESH_FAILING):
        return there
    tokens = tokens_of(current)
    return Condition(
        kind=kind, since=watch.now, issued_at=None if tokens is None else tokens.issued_at
    )


def _stays(there: Condition, before: Grant, current: Grant, watch: Watch) -> bool:
    """Whether trouble that does not show has not ended (rules 1 and 3)."""
    if failures_of(current) is not None:
        # Nothing shows that the client is accepted, or that no login is needed.
        return True
    tokens = tokens_of(current)
    is_same_issue = there.issued_at == (None if tokens is None else tokens.issued_at)
    return is_same_issue and tokens_of(before) == tokens and not watch.is_ahead(there.since)


def _trouble_of(grant: Grant, book: AlertBook, watch: Watch) -> AlertKind | None:
    """Return the trouble that a grant shows by itself (rule 1)."""
    if login_cause(grant, watch) is not None:
        return AlertKind.LOGIN_NEEDED
    failures, since = failures_of(grant), book.failing_since
    if failures is None or since is None or not _is_watched(grant, watch):
        return None
    if failures.failure is Failure.MISCONFIGURED:
        return AlertKind.CLIENT_REFUSED
    is_long = watch.now - since >= watch.thresholds.refresh_failing
    return AlertKind.REFRESH_FAILING if is_long else None


def _is_watched(grant: Grant, watch: Watch) -> bool:
    """Whether failures matter: with tokens, or of a client that needs no login (rule 1)."""
    is_own = watch.grant_type is GrantType.CLIENT_CREDENTIALS
    return is_own or not isinstance(grant, Unauthorized | Requesting)


def login_cause(grant: Grant, watch: Watch) -> Cause | None:
    """Return why a login is needed that there was before; None if it is not (rule 1)."""
    cause = missing_authorization(grant, watch.now, watch.grant_type)
    if cause in {Cause.NEVER_AUTHORIZED, Cause.REVOKED}:
        return None
    if cause is Cause.REFRESH_TOKEN_MISSING:
        tokens = tokens_of(grant)
        is_good = tokens is not None and tokens.is_access_token_valid(watch.now)
        return None if is_good else cause
    failures = failures_of(grant)
    is_refused = failures is not None and failures.failure is Failure.REFUSED
    if cause is None and is_refused and watch.grant_type is GrantType.AUTHORIZATION_CODE:
        return Cause.REFRESH_TOKEN_REJECTED
    return cause

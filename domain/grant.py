"""The states of a connection's grant, and the facts that each of them remembers."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias, assert_never

from domain.token_endpoint import RevocationRequest, RevocationResult
from domain.tokens import Tokens


class Cause(Enum):
    """Why a person has to log in."""

    NEVER_AUTHORIZED = "never-authorized"
    REFRESH_TOKEN_MISSING = "refresh-token-missing"
    REFRESH_TOKEN_EXPIRED = "refresh-token-expired"
    REFRESH_TOKEN_REJECTED = "refresh-token-rejected"
    # Rejected after a request whose answer was lost: that answer held its replacement.
    REFRESH_ANSWER_LOST = "refresh-answer-lost"
    # Its owner has ended it here.
    REVOKED = "revoked"


class Failure(Enum):
    """How an attempt failed that did not end the grant."""

    NOT_SENT = "not-sent"
    UNKNOWN = "outcome-unknown"
    UNAVAILABLE = "provider-unavailable"
    UNEXPLAINED = "refused-without-reason"
    MISCONFIGURED = "client-refused"
    # A verdict that is not final yet: rule 6 of `decide.py`.
    REFUSED = "refused-for-now"
    EXPIRED_ON_ARRIVAL = "expired-on-arrival"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One token request for one generation of a login, which `authorized_at` tells from others.

    `client` is the fingerprint of the client credentials that it is made with. `started_at` is
    the instant of the intent: everything about the attempt is counted from there.
    """

    id: str
    authorized_at: datetime
    generation: int
    client: str = field(repr=False)
    started_at: datetime

    @property
    def age(self) -> tuple[datetime, int]:
        """The age of the tokens that it is to replace, as `Tokens.age`."""
        return self.authorized_at, self.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureState:
    """What has gone wrong since tokens last came.

    `failures` counts attempts in a row; `failure` and `at` tell of the last one. Before `retry_at`
    the provider is not asked again. `in_doubt_since` is the start of the first attempt since then
    of which nobody knows whether the provider acted on it; of what was put back from memory, when
    its tokens came, with no failure where none was known. `quote` quotes the last answer.
    """

    failures: int
    failure: Failure
    at: datetime
    retry_at: datetime
    in_doubt_since: datetime | None
    quote: str | None = None
    # When the first of them was known; an earlier version of this software did not write that down.
    since: datetime | None = None

    @property
    def began_at(self) -> datetime:
        """Since when no tokens could be had, as far as it is known."""
        return self.since or self.at


def in_doubt_since(failure_state: FailureState | None) -> datetime | None:
    """Since when the provider may have acted on a request whose answer was lost; None if not."""
    return None if failure_state is None else failure_state.in_doubt_since


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """Nobody has logged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorized:
    """There are tokens, and no attempt to replace them is in flight."""

    tokens: Tokens
    failure_state: FailureState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """An attempt may be in flight: lock, lease, fencing and write-ahead intent in one."""

    tokens: Tokens
    attempt: Attempt
    failure_state: FailureState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequired:
    """The provider refused the refresh token to `client`; the access token may still live.

    `quote` quotes the provider.
    """

    tokens: Tokens
    cause: Cause
    client: str = field(repr=False)
    since: datetime
    quote: str | None = None

    @property
    def is_retryable(self) -> bool:
        """Whether the verdict, though final, may turn out to be none: no answer was lost before."""
        return self.cause is Cause.REFRESH_TOKEN_REJECTED


Idle: TypeAlias = Authorized | AuthorizationRequired
"""A grant that has tokens, with no attempt in flight: what can be handed over."""

Active: TypeAlias = Idle | Refreshing
"""A grant that has tokens, and is used here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The grant was handed over to another deployment: kept as it was then, and not used here."""

    grant: Idle
    since: datetime
    # In the order of logins, revocations and moves, as everywhere below; 0 where none was counted.
    place: int = field(default=0, compare=False)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were handed over."""
        return self.grant.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoking:
    """Its owner has ended the grant at `at`, and the provider is yet to be told."""

    request: RevocationRequest
    at: datetime
    place: int = field(default=0, compare=False)
    # Of which login it was, as `Tokens.authorized_at`; None where that was not yet remembered.
    login: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Its owner has ended the grant at `at`; `result` is what the provider made of that."""

    at: datetime
    result: RevocationResult
    place: int = field(default=0, compare=False)
    login: datetime | None = field(default=None, compare=False)


Inactive: TypeAlias = Unauthorized | Revoking | Revoked
"""A grant that nothing can be served or refreshed from."""

Grant: TypeAlias = Inactive | Active | Moved
"""Every state that a connection's grant can be in."""


def tokens_of(grant: Grant) -> Tokens | None:
    """Return the tokens that a grant can be used by or handed over with; None where it has none."""
    return None if isinstance(grant, Inactive) else grant.tokens


def failure_state_of(grant: Active) -> FailureState | None:
    """Return what has gone wrong since tokens last came; a verdict does not remember that."""
    return None if isinstance(grant, AuthorizationRequired) else grant.failure_state


def place_of(grant: Grant) -> int:
    """Count the logins, revocations and moves that have come to this."""
    match grant:
        case Unauthorized():
            return 0
        case Revoking() | Revoked() | Moved():
            return grant.place
        case Authorized() | Refreshing() | AuthorizationRequired():
            return grant.tokens.place
        case _:
            assert_never(grant)


def last_revocation(grant: Grant) -> int:
    """Return the place of the last revocation; 0 where there was none."""
    match grant:
        case Unauthorized():
            return 0
        case Revoking() | Revoked():
            return grant.place
        case Authorized() | Refreshing() | AuthorizationRequired() | Moved():
            return grant.tokens.revoked
        case _:
            assert_never(grant)


def was_revoked_since(grant: Grant, read: int | None) -> bool:
    """Whether there was a revocation after so much was counted; None is from who does not know."""
    return read is not None and read < last_revocation(grant)


def instant_after(grant: Grant, instant: datetime) -> datetime:
    """Return the instant, or one just after whatever the grant is dated by, if that is later."""
    match grant:
        case Unauthorized():
            return instant
        case Revoking() | Revoked():
            before = grant.at
        case Moved():
            before = max(grant.since, grant.tokens.authorized_at)
        case Authorized() | Refreshing() | AuthorizationRequired():
            before = grant.tokens.authorized_at
        case _:
            assert_never(grant)
    return max(instant, before + timedelta.resolution)


def usable_refresh_token(tokens: Tokens, now: datetime) -> str | Cause:
    """Return the refresh token, or why there is none to use at `now`."""
    if tokens.refresh_token is None:
        return Cause.REFRESH_TOKEN_MISSING
    return tokens.refresh_token if tokens.can_refresh(now) else Cause.REFRESH_TOKEN_EXPIRED


def due_at(grant: Grant) -> datetime | None:
    """When the sweep should look at the grant, though nobody asks for a token; None for never."""
    match grant:
        case Unauthorized() | AuthorizationRequired() | Moved() | Revoked():
            return None
        case Revoking(at=at):
            # Whoever tells the provider of it may have died.
            return at
        case Refreshing(attempt=attempt):
            # Its instance may have died: whoever looks will see whether the lease has run out.
            return attempt.started_at
        case Authorized(tokens=tokens, failure_state=failure_state):
            if failure_state is not None and (
                failure_state.in_doubt_since is not None or failure_state.failure is Failure.REFUSED
            ):
                return failure_state.retry_at
            return tokens.keep_alive_at()
        case _:
            assert_never(grant)

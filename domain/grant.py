"""The states of a connection's grant, and the facts that each one stores."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias, assert_never

from domain.authorized import Authorized as Authorized  # noqa: PLC0414 - one of the states
from domain.provider import GrantType
from domain.tokens import Tokens

if TYPE_CHECKING:
    # Only a revoked grant has them.
    from domain.token_endpoint import RevocationRequest, RevocationResult


class Cause(Enum):
    """Why a person has to log in."""

    NEVER_AUTHORIZED = "never-authorized"
    REFRESH_TOKEN_MISSING = "refresh-token-missing"
    REFRESH_TOKEN_EXPIRED = "refresh-token-expired"
    REFRESH_TOKEN_REJECTED = "refresh-token-rejected"
    # Rejected after a request whose answer was lost: the answer had the new refresh token.
    REFRESH_ANSWER_LOST = "refresh-answer-lost"
    # The owner has ended the grant.
    REVOKED = "revoked"


class Failure(Enum):
    """How an attempt failed without ending the grant."""

    NOT_SENT = "not-sent"
    UNKNOWN = "outcome-unknown"
    UNAVAILABLE = "provider-unavailable"
    UNEXPLAINED = "refused-without-reason"
    MISCONFIGURED = "client-refused"
    # The refresh token was refused, not yet finally: rule 6 of `decide.py`.
    REFUSED = "refused-for-now"
    EXPIRED_ON_ARRIVAL = "expired-on-arrival"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One token request for one generation of the login that `authorized_at` identifies.

    `client` is the fingerprint of its client credentials. `started_at` is when it was decided,
    before it was stored and sent.
    """

    id: str
    authorized_at: datetime
    generation: int
    client: str = field(repr=False)
    started_at: datetime

    @property
    def age(self) -> tuple[datetime, int]:
        """The age of the tokens that it replaces, as in `Tokens.age`."""
        return self.authorized_at, self.generation


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureState:
    """The failures since tokens last came.

    - `failures`: attempts in a row that failed. 0 after a restore from memory without a failure.
    - `failure`, `at`, `quote`: of the last one. `quote` is the provider's answer.
    - `retry_at`: no request before this instant.
    - `in_doubt_since`: since when the refresh token may be spent. The start of the first attempt
      of unknown outcome or, after a restore from memory, the issue of the tokens.
    """

    failures: int
    failure: Failure
    at: datetime
    retry_at: datetime
    in_doubt_since: datetime | None
    quote: str | None = None
    # The first failure. Earlier versions did not store it.
    since: datetime | None = None

    @property
    def began_at(self) -> datetime:
        """Since when refreshes have failed, as far as is known."""
        return self.since or self.at


def in_doubt_since(failure_state: FailureState | None) -> datetime | None:
    """Return since when the refresh token may be spent; None if it is not in doubt."""
    return None if failure_state is None else failure_state.in_doubt_since


@dataclass(frozen=True, slots=True, kw_only=True)
class Unauthorized:
    """There are no tokens yet: nobody has logged in, or a client has not requested its first ones.

    `failure_state`: of a client's first requests, which failed. `place` and `revoked`: as in
    `Tokens`.
    """

    failure_state: FailureState | None = None
    place: int = field(default=0, compare=False)
    revoked: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requesting:
    """A client that needs no login may be requesting its first tokens, as in `Refreshing`."""

    attempt: Attempt
    failure_state: FailureState | None = None
    place: int = field(default=0, compare=False)
    revoked: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """An attempt may be in flight: lock, lease, fencing and write-ahead intent in one."""

    tokens: Tokens
    attempt: Attempt
    failure_state: FailureState | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequired:
    """The provider finally refused the refresh token to `client`. `quote` is its answer.

    The access token may still be valid.
    """

    tokens: Tokens
    cause: Cause
    client: str = field(repr=False)
    since: datetime
    quote: str | None = None

    @property
    def is_retryable(self) -> bool:
        """Whether an explicit refresh may try again (rule 6): no answer was lost before."""
        return self.cause is Cause.REFRESH_TOKEN_REJECTED


Idle: TypeAlias = Authorized | AuthorizationRequired
"""A grant that has tokens, and no attempt in flight. It can be handed over."""

Active: TypeAlias = Idle | Refreshing
"""A grant that has tokens, and is used here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The grant was handed over to another deployment. It is stored, but not used here."""

    grant: Idle
    since: datetime
    # The count of logins, revocations and moves, as in `Tokens.place`. 0 if not counted.
    place: int = field(default=0, compare=False)

    @property
    def tokens(self) -> Tokens:
        """The tokens that were handed over."""
        return self.grant.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoking:
    """The owner ended the grant at `at`. The request to the provider has not ended yet."""

    request: "RevocationRequest"
    at: datetime
    place: int = field(default=0, compare=False)
    # The login that it was of, as in `Tokens.authorized_at`. Earlier versions did not store it.
    login: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """The owner ended the grant at `at`. `result` is what the provider did, as far as known."""

    at: datetime
    result: "RevocationResult"
    place: int = field(default=0, compare=False)
    login: datetime | None = field(default=None, compare=False)


Inactive: TypeAlias = Unauthorized | Requesting | Revoking | Revoked
"""A grant without usable tokens."""

Proven: TypeAlias = Inactive | Active | Moved
"""Every grant without an adoption that waits for its proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopting:
    """Tokens from elsewhere, in `grant`. They replace `earlier` once a refresh proves them.

    `replaces` is whether they may be of another account.
    """

    grant: Authorized | Refreshing
    earlier: Inactive | Idle
    replaces: bool = False

    @property
    def tokens(self) -> Tokens:
        """The earlier tokens, which are in use; the adopted ones if there are none."""
        earlier = self.earlier
        return self.grant.tokens if isinstance(earlier, Inactive) else earlier.tokens


Grant: TypeAlias = Proven | Adopting
"""Every state of a connection's grant."""


def tokens_of(grant: Grant) -> Tokens | None:
    """Return the tokens of a grant; None if it is inactive."""
    return None if isinstance(grant, Inactive) else grant.tokens


def grant_type_of(grant: Grant) -> GrantType | None:
    """Return how the tokens of a grant are requested; None if that is not known."""
    match grant:
        case Requesting():
            return GrantType.CLIENT_CREDENTIALS
        case Unauthorized() | Revoking() | Revoked():
            return None
        case Authorized() | Refreshing() | AuthorizationRequired() | Moved():
            return grant.tokens.grant_type
        case Adopting(grant=adopted):
            return adopted.tokens.grant_type
        case _:
            assert_never(grant)


def is_over(grant: Grant) -> bool:
    """Whether its owner has ended the use of the grant here: it was revoked, or moved."""
    return isinstance(grant, Moved | Revoking | Revoked)


def failure_state_of(grant: Active) -> FailureState | None:
    """Return the failures since tokens last came; None after a final refusal."""
    return None if isinstance(grant, AuthorizationRequired) else grant.failure_state


def place_of(grant: Grant) -> int:
    """Return how many logins, revocations and moves the record has counted."""
    match grant:
        case Unauthorized() | Requesting() | Revoking() | Revoked() | Moved():
            return grant.place
        case Authorized() | Refreshing() | AuthorizationRequired():
            return grant.tokens.place
        case Adopting(grant=adopted):
            return adopted.tokens.place
        case _:
            assert_never(grant)


def last_revocation(grant: Grant) -> int:
    """Return the count at the last revocation; 0 if there was none."""
    match grant:
        case Unauthorized() | Requesting():
            return grant.revoked
        case Revoking() | Revoked():
            return grant.place
        case Authorized() | Refreshing() | AuthorizationRequired() | Moved():
            return grant.tokens.revoked
        case Adopting(grant=adopted):
            return adopted.tokens.revoked
        case _:
            assert_never(grant)


def was_revoked_since(grant: Grant, read: int | None) -> bool:
    """Whether the grant was revoked after the count was `read` (rule 15); False if unknown."""
    return read is not None and read < last_revocation(grant)


def instant_after(grant: Grant, instant: datetime) -> datetime:
    """Return the instant, or the first one after the dates of the grant, if that is later."""
    match grant:
        case Unauthorized():
            return instant
        case Requesting(attempt=attempt):
            before = attempt.authorized_at
        case Revoking() | Revoked():
            before = grant.at
        case Moved():
            before = max(grant.since, grant.tokens.authorized_at)
        case Authorized() | Refreshing() | AuthorizationRequired():
            before = grant.tokens.authorized_at
        case Adopting(grant=adopted):
            before = adopted.tokens.authorized_at
        case _:
            assert_never(grant)
    return max(instant, before + timedelta.resolution)


def usable_refresh_token(tokens: Tokens, now: datetime) -> str | Cause:
    """Return the refresh token, or why it cannot be used at `now` (rule 2)."""
    if tokens.refresh_token is None:
        return Cause.REFRESH_TOKEN_MISSING
    return tokens.refresh_token if tokens.can_refresh(now) else Cause.REFRESH_TOKEN_EXPIRED


def due_at(grant: Grant) -> datetime | None:
    """Return when the sweep should process the grant; None for never (rules 1 and 16)."""
    if grant_type_of(grant) is GrantType.CLIENT_CREDENTIALS:
        # There is no login to refresh.
        return None
    match grant:
        case Unauthorized() | Requesting() | AuthorizationRequired() | Moved() | Revoked():
            return None
        case Revoking(at=at):
            # The instance that sends the revocation request may have stopped.
            return at
        case Refreshing(attempt=attempt):
            # Its instance may have stopped. The sweep finds out whether the lease ran out.
            return attempt.started_at
        case Authorized(tokens=tokens, failure_state=failure_state):
            if failure_state is not None and (
                failure_state.in_doubt_since is not None or failure_state.failure is Failure.REFUSED
            ):
                return failure_state.retry_at
            return tokens.keep_alive_at()
        case Adopting(grant=adopted):
            return _proof_due_at(adopted)
        case _:
            assert_never(grant)


def _proof_due_at(adopted: Authorized | Refreshing) -> datetime:
    """Return when the sweep should prove adopted tokens: their instance may have stopped."""
    if isinstance(adopted, Refreshing):
        return adopted.attempt.started_at
    failure_state = adopted.failure_state
    return adopted.tokens.issued_at if failure_state is None else failure_state.retry_at

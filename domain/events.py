"""What a grant is asked, and what happens to it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from domain.grant import Attempt, Grant, Moved, Unauthorized, instant_after
from domain.ledger import Ledger
from domain.token_endpoint import Outcome, RevocationOutcome, RevocationRequest, TokenResponse
from domain.tokens import Tokens

# Time enough for a program to use the token it was given.
DEFAULT_MIN_TTL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequested:
    """A program asks for an access token that lives for `min_ttl` at least, or half of its life.

    `attempt_id` is for the attempt that this may lead to; it must be new and unguessable.
    """

    attempt_id: str
    min_ttl: timedelta = DEFAULT_MIN_TTL


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequested:
    """Somebody wants the tokens replaced, unless that was done just before `asked_at`."""

    attempt_id: str
    asked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDue:
    """The sweep came by: refresh if the grant would otherwise die of disuse."""

    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt is over, as far as the instance that made it can tell."""

    attempt: Attempt
    outcome: Outcome


class Precedence(Enum):
    """What a login may do to a grant that works: end it, renew it by what is no worse, nothing."""

    REPLACES = "replaces"
    RENEWS = "renews"
    YIELDS = "yields"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCompleted:
    """A code was traded for tokens; `requested_at` is from before the request was sent.

    `read` is what the record said then, by which what is stored meanwhile is told from what was
    there before.
    """

    response: TokenResponse
    requested_at: datetime
    precedence: Precedence = Precedence.RENEWS
    read: Grant = Unauthorized()  # noqa: RUF009 - it is frozen

    @property
    def authorized_at(self) -> datetime:
        """By what its tokens are known: the instant, but never before what it has read."""
        return instant_after(self.read, self.requested_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRescued:
    """Tokens that the store would not take when they came are brought back from elsewhere."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class MoveRequested:
    """The owner wants to hand the grant over to another deployment."""


@dataclass(frozen=True, slots=True)
class ReturnRequested:
    """The owner wants back what was handed over, and nobody else has taken it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantArrived:
    """Another deployment has handed its grant over to this one, with the ledger of it."""

    moved: Moved
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class RevokeRequested:
    """The owner wants the grant to end, at the provider and here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEnded:
    """The provider was told of a token, as far as the instance that did so can tell."""

    request: RevocationRequest
    outcome: RevocationOutcome


Question: TypeAlias = TokenRequested | RefreshRequested | RefreshDue
"""Somebody wants an answer, for which the provider may have to be asked (rules 1 to 3)."""

Transfer: TypeAlias = MoveRequested | ReturnRequested | GrantArrived
"""The grant changes deployments (rules 10 to 12)."""

Revocation: TypeAlias = RevokeRequested | RevocationEnded
"""The owner ends the grant (rules 13 to 15)."""

Event: TypeAlias = AttemptEnded | LoginCompleted | TokensRescued | Transfer | Revocation
"""Something that has happened, which the grant has to take in (rules 4 to 15)."""

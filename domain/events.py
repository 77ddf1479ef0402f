"""The questions to a grant, and the events that change it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from domain.grant import Attempt, Grant, Moved, Unauthorized, instant_after
from domain.ledger import Ledger
from domain.token_endpoint import Outcome, RevocationOutcome, RevocationRequest, TokenResponse
from domain.tokens import Tokens

# Enough time for a program to use the token.
DEFAULT_MIN_TTL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequested:
    """A program asks for an access token that is valid for `min_ttl`, or half of its lifetime.

    `attempt_id` names the attempt that this may begin. It must be new and unguessable. `refused` is
    the generation of an access token that an API has rejected (`Tokens.public_generation`): the
    program wants another one (rule 18).
    """

    attempt_id: str
    min_ttl: timedelta = DEFAULT_MIN_TTL
    refused: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshRequested:
    """A caller wants new tokens, unless the stored ones are new enough.

    They are if they were requested at most `min_refresh_interval` before `asked_at`. `adopted`
    limits the question to the tokens that were adopted with this fingerprint (rule 16).
    """

    attempt_id: str
    asked_at: datetime
    adopted: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDue:
    """The sweep asks for a refresh if the grant would otherwise expire unused."""

    attempt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnded:
    """An attempt has ended, as far as its instance knows."""

    attempt: Attempt
    outcome: Outcome


class Precedence(Enum):
    """Whether a login may replace a grant that works (rule 8)."""

    REPLACES = "replaces"
    # Only by tokens that are as good, of the same account.
    RENEWS = "renews"
    YIELDS = "yields"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCompleted:
    """A code was exchanged for tokens. `requested_at` is from before the request was sent.

    `read` is the stored grant at that time. It shows whether another login was stored since.
    """

    response: TokenResponse
    requested_at: datetime
    precedence: Precedence = Precedence.RENEWS
    read: Grant = Unauthorized()  # noqa: RUF009 - it is frozen

    @property
    def authorized_at(self) -> datetime:
        """The instant that identifies this login. It is later than that of the grant in `read`."""
        return instant_after(self.read, self.requested_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensAdopted:
    """The owner hands over a refresh token that another program got.

    `fingerprint` identifies it after it was replaced. `subject` is the fingerprint of its account,
    if known. With `replaces` it may replace a grant that works, and change the account.
    """

    refresh_token: str = field(repr=False)
    fingerprint: str
    scope: str | None
    subject: str | None
    replaces: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensRescued:
    """Tokens that the store could not take when they came are available again."""

    tokens: Tokens


@dataclass(frozen=True, slots=True)
class MoveRequested:
    """The owner hands the grant over to another deployment."""


@dataclass(frozen=True, slots=True)
class ReturnRequested:
    """The owner undoes a move that no other deployment has taken over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantArrived:
    """Another deployment has handed over its grant, with the ledger, to this one."""

    moved: Moved
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class RevokeRequested:
    """The owner ends the grant, here and at the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationEnded:
    """A revocation request has ended, as far as its instance knows."""

    request: RevocationRequest
    outcome: RevocationOutcome


Question: TypeAlias = TokenRequested | RefreshRequested | RefreshDue
"""A caller or the sweep wants an answer, which may take a refresh (rules 1 to 3)."""

Transfer: TypeAlias = MoveRequested | ReturnRequested | GrantArrived
"""The grant moves between deployments (rules 10 to 12)."""

Revocation: TypeAlias = RevokeRequested | RevocationEnded
"""The owner ends the grant (rules 13 to 15)."""

Event: TypeAlias = (
    AttemptEnded | LoginCompleted | TokensRescued | Transfer | Revocation | TokensAdopted
)
"""A fact that may change the grant (rules 4 to 17)."""

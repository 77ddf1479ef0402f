"""The events that change a grant."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias, assert_never

from domain.grant import Attempt, Grant, Moved, Unauthorized, instant_after
from domain.ledger import Ledger
from domain.token_endpoint import Outcome, RevocationOutcome, RevocationRequest, TokenResponse
from domain.tokens import Tokens


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


Transfer: TypeAlias = MoveRequested | ReturnRequested | GrantArrived
"""The grant moves between deployments (rules 10 to 12)."""

Revocation: TypeAlias = RevokeRequested | RevocationEnded
"""The owner ends the grant (rules 13 to 15)."""

Event: TypeAlias = (
    AttemptEnded | LoginCompleted | TokensRescued | Transfer | Revocation | TokensAdopted
)
"""A fact that may change the grant (rules 4 to 17)."""


def brings_new_tokens(event: Event) -> bool:
    """Whether an event has tokens that are nowhere else yet."""
    match event:
        case AttemptEnded(outcome=outcome):
            return isinstance(outcome, TokenResponse)
        case LoginCompleted():
            return True
        case TokensRescued() | GrantArrived() | TokensAdopted():
            # A log, a file or the caller has them already.
            return False
        case MoveRequested() | ReturnRequested() | RevokeRequested() | RevocationEnded():
            return False
        case _:
            assert_never(event)

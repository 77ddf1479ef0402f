"""What comes of a question or an event: the grant from now on, and what to do or answer."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from domain.grant import Attempt, Cause, Failure, Grant
from domain.ledger import Note
from domain.token_endpoint import RefreshTokenRequest, RevocationRequest
from domain.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTokenRequest:
    """Store the grant first; then send, unless `send_by` has passed: then it was not sent."""

    attempt: Attempt
    request: RefreshTokenRequest
    send_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Answer with the access token."""

    tokens: Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Another attempt is in flight; it is over at `until` at the latest."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """Answer that there is no token now: the provider is asked again at `at`, not before.

    `quote` quotes what it answered last.
    """

    at: datetime
    failure: Failure
    quote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForAuthorization:
    """Answer that a person has to log in; `quote` quotes the provider's verdict.

    `read` is how far the record had counted, which tells a link that is made now from older ones.
    """

    cause: Cause
    quote: str | None = None
    read: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMoved:
    """Answer that another deployment has the grant, to which it was handed over at `since`."""

    since: datetime


@dataclass(frozen=True, slots=True)
class NothingDue:
    """Nothing is due."""


Answer: TypeAlias = Serve | Wait | TryLater | AskForAuthorization | ReportMoved | NothingDue
"""What whoever asked is told: nothing is left to do."""

Command: TypeAlias = Answer | SendTokenRequest
"""An answer, or what has to be done before there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What comes of a question: the grant (the same object if unchanged), and what to do.

    `note` is for the ledger, when the grant is stored.
    """

    grant: Grant
    command: Command
    note: Note | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What comes of an event: the grant from now on, the same object if unchanged.

    `note` is for the ledger, when the grant is stored. `to_revoke` is a token that came too late
    for a revoked grant: the provider has to end it.
    """

    grant: Grant
    note: Note | None = None
    to_revoke: RevocationRequest | None = None

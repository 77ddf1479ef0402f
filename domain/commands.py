"""The result of a question or an event: the new grant, and an answer or a request to send."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from domain.grant import Attempt, Cause, Failure, Grant
from domain.ledger import Note
from domain.serving import Serve as Serve  # noqa: PLC0414 - one of the commands

if TYPE_CHECKING:
    # A fresh token needs no request.
    from domain.token_endpoint import RenewalRequest, RevocationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTokenRequest:
    """Store the grant, then send the request until `send_by`. After that, report it as not sent."""

    attempt: Attempt
    request: "RenewalRequest"
    send_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait for the attempt in flight, whose lease ends at `until`."""

    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TryLater:
    """Answer that there is no token now, and that the next attempt may begin at `at`.

    `failure` is that of the last attempt, and `quote` the provider's answer to it. None if nothing
    failed, but the provider refuses a refresh before `at`.
    """

    at: datetime
    failure: Failure | None
    quote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedAgain:
    """Answer that an API rejects one token after the other, and the next refresh waits for `at`."""

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForAuthorization:
    """Answer that a person has to log in. `quote` is the provider's refusal.

    `read` is the count of the record (`place_of`), for the login link of this answer.
    """

    cause: Cause
    quote: str | None = None
    read: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMoved:
    """Answer that another deployment has the grant, since `since`."""

    since: datetime


@dataclass(frozen=True, slots=True)
class NothingDue:
    """Answer the sweep that nothing is due, or an adoption that it is not in the record."""


Answer: TypeAlias = (
    Serve | Wait | TryLater | RejectedAgain | AskForAuthorization | ReportMoved | NothingDue
)
"""A final answer to a question."""

Command: TypeAlias = Answer | SendTokenRequest
"""An answer, or the request to send before there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The result of a question. The grant is the same object if it is unchanged.

    `note` goes into the ledger when the grant is stored.
    """

    grant: Grant
    command: Command
    note: Note | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The result of an event. The grant is the same object if it is unchanged.

    `note` goes into the ledger when the grant is stored. `to_revoke` is the revocation of a token
    that came too late for a revoked grant.
    """

    grant: Grant
    note: Note | None = None
    to_revoke: "RevocationRequest | None" = None

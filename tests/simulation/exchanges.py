"""Token requests as the world sees them, who asked for them, and why an answer was lost."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from domain.grant import Attempt
from domain.token_endpoint import Outcome, TokenResponse
from domain.tokens import Tokens
from tests.simulation.loop import Process


class RequestKind(Enum):
    """The kind of a request."""

    TOKEN = "token"
    REFRESH = "refresh"
    SWEEP = "sweep"
    LOGIN = "login"
    RECOVERY = "recovery"
    REVOKE = "revoke"
    ADOPT = "adopt"
    # An API has refused the access token that a program used.
    REJECTION = "rejection"


@dataclass(eq=False, kw_only=True)
class Call:
    """Somebody's request; what it is answered from was read at `read_from` or later.

    It begins when it arrives, and is heard when its instance comes to it.
    """

    number: int
    process: Process
    kind: RequestKind
    min_ttl: timedelta
    began_at: datetime
    read_from: datetime
    # How much its instance's clock is ahead.
    skew: timedelta
    # The tokens that the program had, and an API has refused.
    refused: Tokens | None = None
    heard_at: datetime | None = None


# Whose call the running task serves; tasks that outlive it were begun for it all the same.
current_call: ContextVar[Call] = ContextVar("current_call")


class Loss(Enum):
    """Why a grant could not be kept."""

    ANSWER_LOST = "the network lost the answer that held the new refresh token"
    CAME_TOO_LATE = "the answer came after the request's timeout"
    CRASH_BEFORE_ANSWER = "the instance crashed before the answer came"
    CRASH_BEFORE_WRITE = "the instance crashed between the answer and the write"
    STALL = "the instance stalled past its lease, and its answer came too late"
    STORE_AWAY = "the store was unavailable or unreadable for longer than the write was retried"
    LANDED_AFTER_LEASE = "the request arrived after its lease"
    EXPIRED = "the refresh token expired"
    DAMAGED = "the record was damaged or removed"
    USED_ELSEWHERE = "the program that the tokens were adopted from used its copy"


@dataclass(eq=False, kw_only=True)
class Exchange:
    """A token request and its answer, as the world sees them."""

    number: int
    sender: Process
    attempt: Attempt
    refresh_token: str
    lands_after_lease: bool = False
    may_land: bool = True
    landed_at: datetime | None = None
    ended_at: datetime | None = None
    response: TokenResponse | None = None
    # The answer that its sender got.
    outcome: Outcome | None = None
    # The provider asked for no request before this instant.
    left_alone_until: datetime | None = None
    is_delivered: bool = False
    is_refused: bool = False
    came_too_late: bool = False
    stalled: bool = False
    failed_writes: int = 0
    is_rescued: bool = False
    is_superseded: bool = False

    @property
    def new_refresh_token(self) -> str | None:
        """The refresh token that only this answer has."""
        return self.response.refresh_token if self.response else None

    @property
    def is_held(self) -> bool:
        """Whether a running instance has the answer, or a rescue line does."""
        is_somewhere = self.is_delivered and (self.sender.is_alive or self.is_rescued)
        return is_somewhere and not self.is_superseded

    def loss(self) -> Loss | None:
        """Return why the answer could not be kept; None if nothing prevented it."""
        if self.lands_after_lease:
            return Loss.LANDED_AFTER_LEASE
        if self.is_delivered:
            return self._loss_after_delivery()
        if not self.sender.is_alive:
            return Loss.CRASH_BEFORE_ANSWER
        if self.stalled:
            return Loss.STALL
        has_landed_late = self.landed_at and self.ended_at and self.landed_at > self.ended_at
        is_late = self.came_too_late or has_landed_late
        return Loss.CAME_TOO_LATE if is_late else Loss.ANSWER_LOST

    def _loss_after_delivery(self) -> Loss | None:
        if self.is_rescued:
            return Loss.STORE_AWAY
        if not self.sender.is_alive:
            return Loss.CRASH_BEFORE_WRITE
        if self.stalled:
            return Loss.STALL
        return Loss.STORE_AWAY if self.failed_writes else None

"""The instants of an event must have a time zone, so that any two can be compared."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Question,
    RefreshDue,
    RefreshRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokenRequested,
    TokensAdopted,
    TokensRescued,
)


def require_aware(now: datetime, event: Question | Event) -> None:
    """Raise ValueError if an instant has no time zone."""
    if any(instant.utcoffset() is None for instant in (now, *_instants_of(event))):
        raise ValueError("an instant needs a time zone")


def _instants_of(event: Question | Event) -> Iterator[datetime]:
    match event:
        case TokenRequested():
            # A fresh token must not wait for more than this.
            return
        case RefreshRequested(asked_at=asked_at):
            yield asked_at
        case AttemptEnded(attempt=attempt):
            yield from (attempt.started_at, attempt.authorized_at)
        case LoginCompleted(requested_at=requested_at):
            yield requested_at
        case TokensRescued(tokens=tokens):
            yield from (tokens.authorized_at, tokens.issued_at)
            ends = (tokens.expires_at, tokens.refresh_token_expires_at, tokens.login_expires_at)
            yield from filter(None, ends)
        case GrantArrived(moved=moved):
            yield from (moved.since, moved.tokens.authorized_at)
        case RefreshDue() | MoveRequested() | ReturnRequested():
            return
        case RevokeRequested() | RevocationEnded() | TokensAdopted():
            return
        case _:
            assert_never(event)

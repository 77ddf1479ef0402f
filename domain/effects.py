"""The grant after an event: rules 4 to 17 of `decide.py`, by the kind of event."""

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from domain.adopting import adopt, apply_to_adoption
from domain.attempts import end_attempt
from domain.commands import Effect
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensAdopted,
    TokensRescued,
)
from domain.first_tokens import end_first_request
from domain.grant import Adopting, Grant, Proven, Requesting, Revoked, Revoking
from domain.instants import require_aware
from domain.logins import complete_login, keep_rescued
from domain.moving import hand_over, take_back, take_over
from domain.policy import Policy
from domain.revoking import begin_revocation, end_revocation, late_tokens


def effect_of(grant: Grant, event: Event, policy: Policy, now: datetime) -> Effect:
    """Return the grant after an event; `policy` is that of the grant (rules 4 to 17).

    Raises ValueError if an instant has no time zone.
    """
    require_aware(now, *_instants_of(event))
    if isinstance(grant, Adopting):  # Rule 17.
        return apply_to_adoption(grant, event, policy, now)
    # Rules 14 and 15.
    if isinstance(grant, Revoking | Revoked) and (late := late_tokens(grant, event)) is not None:
        return Effect(grant=grant, to_revoke=late)
    return _apply_to_proven(grant, event, policy, now)


def _apply_to_proven(grant: Proven, event: Event, policy: Policy, now: datetime) -> Effect:
    match event:
        case AttemptEnded():  # Rules 4 to 7. After a move rule 11.
            return _end_attempt(grant, event, policy, now)
        case LoginCompleted():  # Rule 8. After a revocation rule 15.
            return complete_login(grant, event, policy, now)
        case TokensRescued(tokens=tokens):  # Rule 9. After a move rule 11.
            return keep_rescued(grant, tokens)
        case MoveRequested():  # Rule 10.
            return hand_over(grant, policy, now)
        case ReturnRequested():  # Rule 10, undone.
            return take_back(grant)
        case GrantArrived():  # Rule 12. After a revocation rule 15.
            return take_over(grant, event, now)
        case RevokeRequested():  # Rule 13.
            return begin_revocation(grant, now)
        case RevocationEnded():  # Rule 13, at the provider.
            return end_revocation(grant, event)
        case TokensAdopted():  # Rule 16.
            return adopt(grant, event, policy, now)
        case _:
            assert_never(event)


def _end_attempt(grant: Proven, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
    """Store the tokens or the failure of an attempt, the first one included (rules 4 to 7)."""
    if not isinstance(grant, Requesting):
        return end_attempt(grant, ended, policy, now)
    return end_first_request(grant, ended, policy, now)


def _instants_of(event: Event) -> Iterator[datetime]:
    match event:
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
        case MoveRequested() | ReturnRequested():
            return
        case RevokeRequested() | RevocationEnded() | TokensAdopted():
            return
        case _:
            assert_never(event)

"""Logins and rescued tokens: rules 8 and 9 of `decide.py`, after a revocation rule 15."""

from dataclasses import replace
from datetime import datetime

from domain.commands import Effect
from domain.events import LoginCompleted, Precedence
from domain.grant import (
    Authorized,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    last_revocation,
    place_of,
    tokens_of,
)
from domain.ledger import TOKENS, TOKENS_OF_ANOTHER_ACCOUNT, HistoryEvent, Note
from domain.policy import Policy
from domain.provider import GrantType
from domain.tokens import Freshness, Tokens

# Rule 8: logins.


def complete_login(
    grant: Proven, completed: LoginCompleted, policy: Policy, now: datetime
) -> Effect:
    """Start a new generation, unless the login is late or the grant is to stay (rules 8 and 15)."""
    if _is_late(grant, completed):
        return Effect(grant=grant)
    before = tokens_of(grant)
    tokens = Tokens.first(
        completed.response,
        generation=0 if before is None else before.public_generation + 1,
        issued_at=min(completed.requested_at, now),
        provider=policy.provider,
        authorized_at=completed.authorized_at,
        place=max(place_of(grant), place_of(completed.read)) + 1,
        revoked=last_revocation(grant),
    )
    if _is_unwanted(tokens, grant, completed.precedence, policy, now):
        return Effect(grant=grant)
    is_other_account = before is not None and before.belong_to_other_account(tokens.subject)
    note = Note(
        event=HistoryEvent.LOGIN,
        generation=tokens.generation,
        outcome=TOKENS_OF_ANOTHER_ACCOUNT if is_other_account else TOKENS,
    )
    return Effect(grant=Authorized(tokens=tokens), note=note)


def _is_late(grant: Proven, completed: LoginCompleted) -> bool:
    """Whether this login, or a later one, was stored since this one began (rules 8 and 15)."""
    # The count of the tokens, not of the grant: a login may finish after a move.
    tokens = tokens_of(grant)
    if tokens is None or tokens.place <= place_of(completed.read):
        return tokens is not None and tokens.authorized_at == completed.authorized_at
    # Both read the same grant. Of two logins, the store may have received the later one first.
    return tokens.authorized_at >= completed.authorized_at


def _is_unwanted(
    tokens: Tokens, grant: Proven, precedence: Precedence, policy: Policy, now: datetime
) -> bool:
    """Whether the login would replace a grant that works without precedence over it (rule 8)."""
    # A moved grant works elsewhere, or will: it must not be lost here before.
    current = grant.grant if isinstance(grant, Moved) else grant
    if precedence is Precedence.REPLACES or not isinstance(current, Authorized | Refreshing):
        return False
    if current.tokens.grant_type is GrantType.CLIENT_CREDENTIALS:
        # No login is lost.
        return False
    # Only if the settings declare it, and not by assumption.
    never_expires = tokens.expires_at is None and policy.provider.access_token_lifetime is None
    lasts = tokens.refresh_token is not None or never_expires
    if current.tokens.can_refresh(now) and not lasts:
        return True
    works = current.tokens.freshness(now) is not Freshness.REFRESH_EXPIRED
    yields = precedence is Precedence.YIELDS
    return works and (yields or current.tokens.may_belong_to_other_account(tokens.subject))


# Rule 9: rescued tokens.


def keep_rescued(grant: Proven, tokens: Tokens) -> Effect:
    """Store rescued tokens if they are newer than the stored ones (rules 9 and 11)."""
    if not isinstance(grant, Inactive) and not tokens.are_newer_than(grant.tokens):
        return Effect(grant=grant)
    kept: Proven = Authorized(tokens=tokens)
    if isinstance(grant, Moved) and grant.tokens.authorized_at == tokens.authorized_at:
        # Rule 11: for another export.
        kept = replace(grant, grant=Authorized(tokens=tokens))
    note = Note(event=HistoryEvent.RESCUED, generation=tokens.generation, outcome=TOKENS)
    return Effect(grant=kept, note=note)

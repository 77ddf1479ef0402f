"""Logins, and tokens that are brought back: rules 8 and 9 of `decide.py`."""

from dataclasses import replace
from datetime import datetime

from domain.commands import Effect
from domain.events import LoginCompleted, Precedence
from domain.grant import (
    Authorized,
    Grant,
    Inactive,
    Moved,
    Refreshing,
    last_revocation,
    place_of,
    tokens_of,
)
from domain.ledger import TOKENS, TOKENS_OF_ANOTHER_ACCOUNT, HistoryEvent, Note
from domain.policy import Policy
from domain.tokens import Freshness, Tokens

# Rule 8: logins.


def complete_login(
    grant: Grant, completed: LoginCompleted, policy: Policy, now: datetime
) -> Effect:
    """Start a new generation, unless the login is late or would cost a grant that works."""
    if _is_late(grant, completed):
        return Effect(grant=grant)
    before = tokens_of(grant)
    tokens = Tokens.first(
        completed.response,
        generation=0 if before is None else before.generation + 1,
        issued_at=min(completed.requested_at, now),
        provider=policy.provider,
        authorized_at=completed.authorized_at,
        place=max(place_of(grant), place_of(completed.read)) + 1,
        revoked=last_revocation(grant),
    )
    if _is_unwanted(tokens, grant, completed.precedence, policy, now):
        return Effect(grant=grant)
    is_of_another = before is not None and before.belong_to_other_account(tokens.subject)
    note = Note(
        event=HistoryEvent.LOGIN,
        generation=tokens.generation,
        outcome=TOKENS_OF_ANOTHER_ACCOUNT if is_of_another else TOKENS,
    )
    return Effect(grant=Authorized(tokens=tokens), note=note)


def _is_late(grant: Grant, completed: LoginCompleted) -> bool:
    """Whether the login is there already, or a later one that was stored since it began.

    LifetimeStart by the tokens: a move does not end a login that was begun before it.
    """
    tokens = tokens_of(grant)
    if tokens is None or tokens.place <= place_of(completed.read):
        return tokens is not None and tokens.authorized_at == completed.authorized_at
    # Both have read the same. What the store did not take in time may have come to it first.
    return tokens.authorized_at >= completed.authorized_at


def _is_unwanted(
    tokens: Tokens, grant: Grant, precedence: Precedence, policy: Policy, now: datetime
) -> bool:
    """Whether a grant that works would be lost to tokens that do not last, or to a stranger's.

    A stranger is who does not prove to be of the same account, where that is known. To tokens that
    have to yield, no grant that works is lost.
    """
    # What was handed over works elsewhere, or will: it must not be lost here before.
    there = grant.grant if isinstance(grant, Moved) else grant
    if precedence is Precedence.REPLACES or not isinstance(there, Authorized | Refreshing):
        return False
    # That an access token does not expire must have been declared, and not be merely assumed.
    is_endless = tokens.expires_at is None and policy.provider.access_token_lifetime is None
    lasts = tokens.refresh_token is not None or is_endless
    if there.tokens.can_refresh(now) and not lasts:
        return True
    works = there.tokens.freshness(now) is not Freshness.REFRESH_EXPIRED
    yields = precedence is Precedence.YIELDS
    return works and (yields or there.tokens.may_belong_to_other_account(tokens.subject))


# Rule 9: rescue.


def keep_rescued(grant: Grant, tokens: Tokens) -> Effect:
    """Keep tokens that the store did not take when they came, if they are newer."""
    if not isinstance(grant, Inactive) and not tokens.are_newer_than(grant.tokens):
        return Effect(grant=grant)
    brought: Grant = Authorized(tokens=tokens)
    if isinstance(grant, Moved) and grant.tokens.authorized_at == tokens.authorized_at:
        # Rule 11: to be handed over again.
        brought = replace(grant, grant=Authorized(tokens=tokens))
    note = Note(event=HistoryEvent.RESCUED, generation=tokens.generation, outcome=TOKENS)
    return Effect(grant=brought, note=note)

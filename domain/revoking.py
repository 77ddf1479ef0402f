"""Revocation of a grant: rules 13 to 15 of `decide.py`.

A grant ends here before the provider is asked to end it, so that late tokens of it are not stored.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from domain.commands import Effect
from domain.error_meanings import classify, quote_of
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
from domain.grant import Failure, Grant, Inactive, Moved, Proven, Revoked, Revoking, place_of
from domain.ledger import DONE, NOT_SUPPORTED, HistoryEvent, Note
from domain.token_endpoint import (
    NoAnswer,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens

_RESULTS: Mapping[str | None, RevocationResult] = {
    # Google's answer for a token that had expired. RFC 7009 §2.2 calls that a success.
    "invalid_token": RevocationResult.REVOKED,
    # RFC 7009 §2.2.1.
    "unsupported_token_type": RevocationResult.NOT_SUPPORTED,
}


# Rule 13: revoke, here and then at the provider.


def begin_revocation(grant: Proven, now: datetime) -> Effect:
    """End a grant here. Keep only the token to revoke at the provider (rule 13)."""
    # A moved grant is left to the deployment that has it.
    if isinstance(grant, Inactive | Moved):
        return Effect(grant=grant)
    tokens = grant.tokens
    request = RevocationRequest.for_tokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token
    )
    revoking = Revoking(
        request=request,
        # Never before the login that is revoked, even if a clock was behind.
        at=max(now, tokens.authorized_at),
        place=place_of(grant) + 1,
        login=tokens.authorized_at,
    )
    note = Note(event=HistoryEvent.REVOKED, generation=tokens.generation, outcome=DONE)
    return Effect(grant=revoking, note=note)


def end_revocation(grant: Proven, ended: RevocationEnded) -> Effect:
    """Delete the last token after the provider's answer, or without one (rule 13)."""
    if not isinstance(grant, Revoking) or grant.request != ended.request:
        return Effect(grant=grant)
    result = result_of(ended.outcome)
    revoked = Revoked(at=grant.at, result=result, place=grant.place, login=grant.login)
    return Effect(grant=revoked, note=_revocation_note(ended.outcome, result))


def _revocation_note(outcome: RevocationOutcome, result: RevocationResult) -> Note:
    """Return the note on the provider's answer (rule 13)."""
    word, quote = NOT_SUPPORTED, None
    if result is RevocationResult.REVOKED:
        word = DONE
    elif isinstance(outcome, TokenErrorResponse | NoAnswer) and result is RevocationResult.FAILED:
        # A refusal of a refresh token explains nothing here: none was used.
        word, quote = (classify(outcome) or Failure.UNEXPLAINED).value, quote_of(outcome)
    return Note(event=HistoryEvent.REVOCATION_ENDED, generation=None, outcome=word, quote=quote)


def result_of(outcome: RevocationOutcome) -> RevocationResult:
    """Return whether the provider has ended the token (rule 13)."""
    match outcome:
        case RevocationResult():
            return outcome
        case TokenErrorResponse(error=error):
            return _RESULTS.get(error, RevocationResult.FAILED)
        case NoAnswer():
            return RevocationResult.FAILED
        case _:
            assert_never(outcome)


# Rule 14: tokens after the revocation.


def late_tokens(grant: Revoking | Revoked, event: Event) -> RevocationRequest | None:
    """Return the revocation of tokens that came too late for a revoked grant (rule 14)."""
    late: TokenResponse | Tokens | None
    match event:
        case AttemptEnded(outcome=outcome):
            late = outcome if isinstance(outcome, TokenResponse) else None
        case LoginCompleted(response=response, read=read):
            late = response if _is_before(read, grant) else None
        case TokensRescued(tokens=tokens):
            late = tokens if _are_before(tokens, grant) else None
        case MoveRequested() | ReturnRequested() | GrantArrived():
            late = None
        case RevokeRequested() | RevocationEnded() | TokensAdopted():
            late = None
        case _:
            assert_never(event)
    if late is None:
        return None
    return RevocationRequest.for_tokens(
        access_token=late.access_token, refresh_token=late.refresh_token
    )


def _are_before(tokens: Tokens, revoked: Revoking | Revoked) -> bool:
    """Whether rescued tokens are of a login before a revocation (rule 14)."""
    if tokens.place == revoked.place == 0:
        return tokens.authorized_at <= revoked.at
    return tokens.place <= revoked.place


# Rule 15: start again.


def _is_before(read: Grant, revoked: Revoking | Revoked) -> bool:
    """Whether a login that read this grant began before a revocation (rule 15)."""
    if revoked.place == 0:
        # An earlier version did not count revocations. A login that read tokens began before.
        return not isinstance(read, Inactive)
    return place_of(read) < revoked.place

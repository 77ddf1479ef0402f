"""How a grant is revoked: rules 13 to 15 of `decide.py`.

What was revoked is fenced off before the provider is told: from then on whatever belongs to it and
comes late finds nothing that it could be kept in.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

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
    TokensRescued,
)
from domain.failures import classify
from domain.grant import Failure, Grant, Inactive, Moved, Revoked, Revoking, place_of
from domain.ledger import DONE, NOT_SUPPORTED, HistoryEvent, Note
from domain.refusals import quote_of
from domain.token_endpoint import (
    NoAnswer,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens

_MEANT: Mapping[str | None, RevocationResult] = {
    # Google's answer to what RFC 7009 §2.2 calls a success: the token had ended before.
    "invalid_token": RevocationResult.REVOKED,
    # RFC 7009 §2.2.1.
    "unsupported_token_type": RevocationResult.NOT_SUPPORTED,
}


# Rule 13: the grant ends here, and then at the provider.


def begin_revocation(grant: Grant, now: datetime) -> Effect:
    """Fence a grant off: nothing is kept of it but what the provider must be told of."""
    # What was handed over is for the deployment that has it.
    if isinstance(grant, Inactive | Moved):
        return Effect(grant=grant)
    tokens = grant.tokens
    request = RevocationRequest.for_tokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token
    )
    revoking = Revoking(
        request=request,
        # Whichever clock is behind: the login that is revoked was before that.
        at=max(now, tokens.authorized_at),
        place=place_of(grant) + 1,
        login=tokens.authorized_at,
    )
    note = Note(event=HistoryEvent.REVOKED, generation=tokens.generation, outcome=DONE)
    return Effect(grant=revoking, note=note)


def end_revocation(grant: Grant, ended: RevocationEnded) -> Effect:
    """Forget the last token, once the provider was told of it."""
    if not isinstance(grant, Revoking) or grant.request != ended.request:
        return Effect(grant=grant)
    result = result_of(ended.outcome)
    revoked = Revoked(at=grant.at, result=result, place=grant.place, login=grant.login)
    return Effect(grant=revoked, note=_answer(ended.outcome, result))


def _answer(outcome: RevocationOutcome, result: RevocationResult) -> Note:
    word, quote = NOT_SUPPORTED, None
    if result is RevocationResult.REVOKED:
        word = DONE
    elif isinstance(outcome, TokenErrorResponse | NoAnswer) and result is RevocationResult.FAILED:
        # A verdict on a refresh token explains nothing where none was used.
        word, quote = (classify(outcome) or Failure.UNEXPLAINED).value, quote_of(outcome)
    return Note(event=HistoryEvent.REVOCATION_ENDED, generation=None, outcome=word, quote=quote)


def result_of(outcome: RevocationOutcome) -> RevocationResult:
    """Say whether the provider has ended the token."""
    match outcome:
        case RevocationResult():
            return outcome
        case TokenErrorResponse(error=error):
            return _MEANT.get(error, RevocationResult.FAILED)
        case NoAnswer():
            return RevocationResult.FAILED
        case _:
            assert_never(outcome)


# Rule 14: what comes late.


def late_tokens(grant: Revoking | Revoked, event: Event) -> RevocationRequest | None:
    """Return what must be ended of what has come too late for a grant that was revoked."""
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
        case RevokeRequested() | RevocationEnded():
            late = None
        case _:
            assert_never(event)
    if late is None:
        return None
    return RevocationRequest.for_tokens(
        access_token=late.access_token, refresh_token=late.refresh_token
    )


def _is_before(read: Grant, revoked: Revoking | Revoked) -> bool:
    """Whether a login, by what it has read, was begun before a revocation."""
    if revoked.place == 0:
        # From before revocations were counted: who has read tokens has not read the end of them.
        return not isinstance(read, Inactive)
    return place_of(read) < revoked.place


def _are_before(tokens: Tokens, revoked: Revoking | Revoked) -> bool:
    if tokens.place == revoked.place == 0:
        return tokens.authorized_at <= revoked.at
    return tokens.place <= revoked.place

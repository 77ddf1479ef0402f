"""How a ledger is kept: the one place where entries are made.

An entry goes with a change that is stored anyway, and what changes nothing leaves none.
"""

from datetime import datetime
from typing import TypeAlias, assert_never

from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Question,
    RefreshDue,
    RefreshRequested,
    Removal,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokenRequested,
    TokensRescued,
)
from domain.failures import classify
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Refreshing,
    tokens_of,
)
from domain.ledger import LONGEST_SAID, Entry, Happening, Ledger, merged, with_entry
from domain.refusals import said_by
from domain.revoking import result_of
from domain.token_endpoint import (
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens

TOKENS = "tokens"
TOKENS_OF_ANOTHER_ACCOUNT = "tokens-of-another-account"
DONE = "done"
NOT_SUPPORTED = "not-supported"
OUTCOMES = (
    TOKENS,
    TOKENS_OF_ANOTHER_ACCOUNT,
    DONE,
    NOT_SUPPORTED,
    Cause.REFRESH_TOKEN_REJECTED.value,
    Cause.REFRESH_ANSWER_LOST.value,
    *(failure.value for failure in Failure),
)
"""All that an entry's outcome can be."""


_Told: TypeAlias = tuple[Happening, str, str | None]


def noted(
    ledger: Ledger,
    before: Grant,
    event: Question | Event,
    after: Grant,
    *,
    now: datetime,
    who: str | None,
) -> Ledger:
    """Return the ledger once `event` has made `after` of `before`, on the request of `who`.

    Only of a change that is stored: whoever calls sees to it that `after` is not `before`. With a
    grant that arrives comes the ledger that was kept of it elsewhere.
    """
    if isinstance(event, GrantArrived):
        ledger = merged(ledger, event.ledger)
    told = _told(before, event, after, now)
    if told is None:
        return ledger
    happening, outcome, said = told
    tokens = tokens_of(after) or tokens_of(before)
    entry = Entry(
        at=now.replace(microsecond=0),
        happening=happening,
        generation=None if tokens is None else tokens.generation,
        # Of an attempt that ended without a word nobody remembers on whose request it began.
        key_name=None if isinstance(event, Question) else who,
        outcome=outcome,
        said=said and said[:LONGEST_SAID],
    )
    return with_entry(ledger, entry)


def _told(before: Grant, event: Question | Event, after: Grant, now: datetime) -> _Told | None:
    match event:
        case TokenRequested() | RefreshRequested() | RefreshDue():
            # An attempt begins, of which its end will tell. One that is in the way had no end.
            if isinstance(before, Refreshing):
                return Happening.REFRESH_FAILED, Failure.UNKNOWN.value, None
            return None
        case AttemptEnded(outcome=outcome):
            return _end_of_attempt(outcome, after, now)
        case LoginCompleted():
            return Happening.LOGIN, _whose(tokens_of(before), tokens_of(after)), None
        case TokensRescued():
            return Happening.RESCUED, TOKENS, None
        case MoveRequested() | ReturnRequested() | GrantArrived():
            return _removal(event), DONE, None
        case RevokeRequested():
            return Happening.REVOKED, DONE, None
        case RevocationEnded(outcome=outcome):
            return Happening.PROVIDER_TOLD, *_answer_to_revocation(outcome)
        case _:
            assert_never(event)


def _removal(event: Removal) -> Happening:
    match event:
        case MoveRequested():
            return Happening.MOVED
        case ReturnRequested():
            return Happening.TAKEN_BACK
        case GrantArrived():
            return Happening.IMPORTED
        case _:
            assert_never(event)


def _end_of_attempt(outcome: Outcome, after: Grant, now: datetime) -> _Told:
    match outcome:
        case TokenResponse():
            tokens = tokens_of(after)
            is_over = tokens is not None and not tokens.is_alive(now)
            came = Failure.EXPIRED_ON_ARRIVAL.value if is_over else TOKENS
            return Happening.REFRESH, came, None
        case TokenErrorResponse() | NoAnswer():
            if isinstance(after, AuthorizationRequired):
                return Happening.VERDICT, after.cause.value, said_by(outcome)
            if isinstance(after, Authorized) and after.setbacks is not None:
                return Happening.REFRESH_FAILED, after.setbacks.failure.value, said_by(outcome)
            return Happening.REFRESH_FAILED, _name(outcome), said_by(outcome)
        case _:
            assert_never(outcome)


def _whose(old: Tokens | None, new: Tokens | None) -> str:
    is_known = old is not None and new is not None and old.are_known_of_another(new.subject)
    return TOKENS_OF_ANOTHER_ACCOUNT if is_known else TOKENS


def _answer_to_revocation(outcome: RevocationOutcome) -> tuple[str, str | None]:
    result = result_of(outcome)
    if result is RevocationResult.REVOKED:
        return DONE, None
    if isinstance(outcome, TokenErrorResponse | NoAnswer) and result is RevocationResult.FAILED:
        return _name(outcome), said_by(outcome)
    return NOT_SUPPORTED, None


def _name(outcome: TokenErrorResponse | NoAnswer) -> str:
    # A verdict on a refresh token explains nothing where none was used.
    return (classify(outcome) or Failure.UNEXPLAINED).value

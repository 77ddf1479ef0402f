"""The end of an attempt, and what its answer makes of the grant: rules 4 to 7 of `decide.py`.

How a failure is named, and when the next attempt may begin (rule 7), is in `failures.py`.
"""

from dataclasses import replace
from datetime import datetime
from typing import TypeGuard, TypeVar, assert_never

from domain.commands import Effect
from domain.events import AttemptEnded
from domain.failures import add_failure, classify
from domain.grant import (
    Active,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Inactive,
    Moved,
    Refreshing,
    failure_state_of,
    in_doubt_since,
)
from domain.ledger import TOKENS, HistoryEvent, Note
from domain.policy import Policy
from domain.refusals import quote_of
from domain.token_endpoint import NoAnswer, TokenErrorResponse, TokenResponse

_Active = TypeVar("_Active", bound=Active)


def end_attempt(grant: Grant, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
    """Keep the tokens that came, or remember the failure."""
    if isinstance(grant, Inactive):
        return Effect(grant=grant)
    match ended.outcome:
        case TokenResponse() as response:
            if isinstance(grant, Moved):
                return _keep_for_who_has_it(grant, ended.attempt, response, policy, now)
            kept = _keep_tokens(grant, ended.attempt, response, policy, now)
            return Effect(grant=kept, note=None if kept is grant else _refresh_of(kept, now))
        case TokenErrorResponse() | NoAnswer() as outcome:
            if _is_in_charge(grant, ended.attempt):
                return _fail(grant, outcome, policy, now)
            return Effect(grant=grant)
        case _:
            assert_never(ended.outcome)


# Rule 4: tokens are kept.


def _keep_tokens(
    grant: _Active, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
) -> _Active | Authorized:
    """Keep tokens unless their generation was superseded, however late they come (rule 4)."""
    before = grant.tokens
    # Not by the generation alone: who logs in over a record that nobody can read starts at zero.
    if attempt.age != before.age:
        return grant
    issued_at = min(_issued_at(attempt, grant, policy), now)
    tokens = before.refreshed(response, issued_at=issued_at, provider=policy.provider)
    if tokens.generation == before.generation and not _is_in_charge(grant, attempt):
        # The refresh token stays, and so does who is in charge; of two access tokens the one
        # that was asked for last wins.
        if issued_at <= before.issued_at and not before.was_clock_ahead(now):
            return grant
        is_revived = isinstance(grant, AuthorizationRequired) and grant.is_retryable
        return Authorized(tokens=tokens) if is_revived else replace(grant, tokens=tokens)
    if tokens.is_access_token_valid(now):
        return Authorized(tokens=tokens)
    failure_state = failure_state_of(grant)
    late = add_failure(failure_state, Failure.EXPIRED_ON_ARRIVAL, attempt, policy, at=now)
    return Authorized(tokens=tokens, failure_state=replace(late, in_doubt_since=None))


def _issued_at(attempt: Attempt, grant: Active, policy: Policy) -> datetime:
    """Count an expiry from the earliest instant at which these tokens may have been made.

    Within its grace window a provider may answer a replay with the tokens it made for the first
    request, and tell their full life again. A verdict does not remember whether this was a replay.
    """
    oldest = attempt.started_at - policy.provider.rotation.grace
    if isinstance(grant, AuthorizationRequired):
        return oldest
    doubt = in_doubt_since(grant.failure_state)
    return attempt.started_at if doubt is None else min(attempt.started_at, max(doubt, oldest))


def _keep_for_who_has_it(
    moved: Moved, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
) -> Effect:
    """Keep tokens in what was handed over, for the deployment that has it (rule 11)."""
    kept = _keep_tokens(moved.grant, attempt, response, policy, now)
    if kept is moved.grant:
        return Effect(grant=moved)
    return Effect(grant=replace(moved, grant=kept), note=_refresh_of(kept, now))


def _refresh_of(kept: Active, now: datetime) -> Note:
    is_over = not kept.tokens.is_access_token_valid(now)
    return Note(
        event=HistoryEvent.REFRESH,
        generation=kept.tokens.generation,
        outcome=Failure.EXPIRED_ON_ARRIVAL.value if is_over else TOKENS,
    )


# Rules 5 to 7: a failure counts if it is of the attempt in charge.


def _is_in_charge(grant: Grant, attempt: Attempt) -> TypeGuard[Refreshing]:
    return isinstance(grant, Refreshing) and grant.attempt.id == attempt.id


def _fail(
    grant: Refreshing, outcome: TokenErrorResponse | NoAnswer, policy: Policy, now: datetime
) -> Effect:
    """Remember a failure (rule 7), or take it for a verdict (rule 6)."""
    failure, quote = classify(outcome), quote_of(outcome)
    if failure is None:
        return _refuse(grant, policy, now, quote=quote)
    asked_to_wait = outcome.retry_after if isinstance(outcome, TokenErrorResponse) else None
    failure_state = add_failure(
        grant.failure_state,
        failure,
        grant.attempt,
        policy,
        at=now,
        retry_after=asked_to_wait,
        quote=quote,
    )
    return _set_back(grant, failure_state)


def _refuse(grant: Refreshing, policy: Policy, now: datetime, *, quote: str | None) -> Effect:
    """Take in a refusal that means that the refresh token is over (rule 6)."""
    tokens, attempt, before = grant.tokens, grant.attempt, grant.failure_state
    is_harmless = in_doubt_since(before) is None or policy.provider.replay_is_harmless
    if is_harmless and not _is_last_try(grant):
        refused = add_failure(before, Failure.REFUSED, attempt, policy, at=now, quote=quote)
        last_try_at = policy.last_try_at(tokens, now)
        return _set_back(grant, replace(refused, retry_at=max(refused.retry_at, last_try_at)))
    cause = Cause.REFRESH_TOKEN_REJECTED if is_harmless else Cause.REFRESH_ANSWER_LOST
    return Effect(
        grant=AuthorizationRequired(
            tokens=tokens, cause=cause, client=attempt.client, since=now, quote=quote
        ),
        note=Note(
            event=HistoryEvent.REFRESH_REFUSED,
            generation=tokens.generation,
            outcome=cause.value,
            quote=quote,
        ),
    )


def _set_back(grant: Refreshing, failure_state: FailureState) -> Effect:
    return Effect(
        grant=Authorized(tokens=grant.tokens, failure_state=failure_state),
        note=Note(
            event=HistoryEvent.REFRESH_FAILED,
            generation=grant.tokens.generation,
            outcome=failure_state.failure.value,
            quote=failure_state.quote,
        ),
    )


def _is_last_try(grant: Refreshing) -> bool:
    """Whether the attempt was begun after the access token's end, as far as it is known."""
    tokens, started_at, before = grant.tokens, grant.attempt.started_at, grant.failure_state
    if not tokens.was_clock_ahead(started_at):
        return not tokens.is_access_token_valid(started_at)
    # Its end by a clock that was ahead tells nothing: it was given its life since the refusal.
    if before is None or before.failure is not Failure.REFUSED:
        return False
    return before.retry_at <= started_at

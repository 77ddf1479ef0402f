"""The end of an attempt: rules 4 to 7 of `decide.py`.

`failures.py` names a failure, and has the time of the next attempt (rule 7). Late tokens of a
grant that moved are here, too (rule 11).
"""

from dataclasses import replace
from datetime import datetime
from typing import TypeGuard, TypeVar, assert_never

from domain.commands import Effect
from domain.error_meanings import classify, classify_without_login, quote_of
from domain.events import AttemptEnded
from domain.failures import add_failure
from domain.grant import (
    Active,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    failure_state_of,
    in_doubt_since,
)
from domain.ledger import TOKENS, HistoryEvent, Note
from domain.policy import Policy
from domain.provider import GrantType
from domain.token_endpoint import NoAnswer, TokenErrorResponse, TokenResponse
from domain.tokens import Tokens

_Active = TypeVar("_Active", bound=Active)


def end_attempt(grant: Proven, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
    """Store the tokens of an attempt, or its failure (rules 4 to 7, and 11)."""
    if isinstance(grant, Inactive):
        return Effect(grant=grant)
    match ended.outcome:
        case TokenResponse() as response:
            if isinstance(grant, Moved):
                return _keep_in_moved(grant, ended.attempt, response, policy, now)
            kept = _keep_tokens(grant, ended.attempt, response, policy, now)
            return Effect(grant=kept, note=None if kept is grant else _refresh_note(kept, now))
        case TokenErrorResponse() | NoAnswer() as outcome:
            if _is_of_attempt(grant, ended.attempt):
                return _fail(grant, outcome, policy, now)
            return Effect(grant=grant)
        case _:
            assert_never(ended.outcome)


# Rule 4: tokens.


def _keep_tokens(
    grant: _Active, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
) -> _Active | Authorized:
    """Store tokens, however late, unless a newer generation replaced theirs (rule 4)."""
    before = grant.tokens
    # The generation alone does not do: a login over an unreadable record starts at zero again.
    if attempt.age != before.age:
        return grant
    issued_at = min(_issued_at(attempt, grant, policy), now)
    tokens = before.refreshed(response, issued_at=issued_at, provider=policy.provider)
    if tokens.generation == before.generation and not _is_of_attempt(grant, attempt):
        # The refresh token and the attempt in flight stay. Of two access tokens, the one that
        # was requested last wins.
        if issued_at <= before.issued_at and not before.was_clock_ahead(now):
            return grant
        is_revived = isinstance(grant, AuthorizationRequired) and grant.is_retryable
        return Authorized(tokens=tokens) if is_revived else _with_tokens(grant, tokens, policy, now)
    if tokens.is_access_token_valid(now):
        return Authorized(tokens=tokens)
    failure_state = failure_state_of(grant)
    late = add_failure(failure_state, Failure.EXPIRED_ON_ARRIVAL, attempt, policy, at=now)
    return Authorized(tokens=tokens, failure_state=replace(late, in_doubt_since=None))


def _with_tokens(grant: _Active, tokens: Tokens, policy: Policy, now: datetime) -> _Active:
    """Replace the tokens. After a refusal, the last try waits for their end, too (rule 6)."""
    kept, failed = replace(grant, tokens=tokens), failure_state_of(grant)
    if not isinstance(kept, Authorized) or failed is None or failed.failure is not Failure.REFUSED:
        return kept
    retry_at = max(failed.retry_at, policy.last_try_at(tokens, now))
    return replace(kept, failure_state=replace(failed, retry_at=retry_at))


def _issued_at(attempt: Attempt, grant: Active, policy: Policy) -> datetime:
    """Return the earliest instant at which these tokens may have been issued (rule 4).

    Within its grace window a provider may answer a replay with the tokens of the first request, and
    return their full lifetime again. After a final refusal, any attempt may have been a replay.
    """
    oldest = attempt.started_at - policy.provider.rotation.grace
    if grant.tokens.authorized_at <= attempt.started_at:
        oldest = max(oldest, grant.tokens.authorized_at)
    if isinstance(grant, AuthorizationRequired):
        return oldest
    doubt = in_doubt_since(grant.failure_state)
    return attempt.started_at if doubt is None else min(attempt.started_at, max(doubt, oldest))


# Rule 11: late tokens of a grant that moved.


def _keep_in_moved(
    moved: Moved, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
) -> Effect:
    """Store tokens in the moved grant, for the deployment that has it now (rule 11)."""
    kept = _keep_tokens(moved.grant, attempt, response, policy, now)
    if kept is moved.grant:
        return Effect(grant=moved)
    return Effect(grant=replace(moved, grant=kept), note=_refresh_note(kept, now))


def _refresh_note(kept: Active, now: datetime) -> Note:
    """Return the note on tokens of an attempt (rules 4 and 11)."""
    has_expired = not kept.tokens.is_access_token_valid(now)
    return Note(
        event=HistoryEvent.REFRESH,
        generation=kept.tokens.generation,
        outcome=Failure.EXPIRED_ON_ARRIVAL.value if has_expired else TOKENS,
    )


# Rule 5: the failure of the attempt in flight.


def _is_of_attempt(grant: Proven, attempt: Attempt) -> TypeGuard[Refreshing]:
    """Whether this attempt is the one in flight (rules 4 and 5)."""
    return isinstance(grant, Refreshing) and grant.attempt.id == attempt.id


def _fail(
    grant: Refreshing, outcome: TokenErrorResponse | NoAnswer, policy: Policy, now: datetime
) -> Effect:
    """Store a failure, or a refusal of the refresh token (rules 6 and 7)."""
    failure, quote = classify(outcome), quote_of(outcome)
    if grant.tokens.grant_type is GrantType.CLIENT_CREDENTIALS:
        failure = classify_without_login(outcome)
    if failure is None:
        return _refuse(grant, policy, now, quote=quote)
    retry_after = outcome.retry_after if isinstance(outcome, TokenErrorResponse) else None
    failure_state = add_failure(
        grant.failure_state,
        failure,
        grant.attempt,
        policy,
        at=now,
        retry_after=retry_after,
        quote=quote,
    )
    return _keep_with_failure(grant, failure_state)


# Rule 6: the refusal of the refresh token.


def _refuse(grant: Refreshing, policy: Policy, now: datetime, *, quote: str | None) -> Effect:
    """Store a refusal: as final, or with one more try ahead (rule 6)."""
    tokens, attempt, before = grant.tokens, grant.attempt, grant.failure_state
    is_harmless = in_doubt_since(before) is None or policy.provider.replay_is_harmless
    if is_harmless and not _is_last_try(grant, policy):
        refused = add_failure(before, Failure.REFUSED, attempt, policy, at=now, quote=quote)
        last_try_at = policy.last_try_at(tokens, now)
        retry_at = max(refused.retry_at, last_try_at)
        return _keep_with_failure(grant, replace(refused, retry_at=retry_at))
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


def _keep_with_failure(grant: Refreshing, failure_state: FailureState) -> Effect:
    """Keep the tokens after a failure that does not end the grant (rules 6 and 7)."""
    return Effect(
        grant=Authorized(tokens=grant.tokens, failure_state=failure_state),
        note=Note(
            event=HistoryEvent.REFRESH_FAILED,
            generation=grant.tokens.generation,
            outcome=failure_state.failure.value,
            quote=failure_state.quote,
        ),
    )


def _is_last_try(grant: Refreshing, policy: Policy) -> bool:
    """Whether the attempt began after the access token expired, as far as is known (rule 6)."""
    tokens, started_at, before = grant.tokens, grant.attempt.started_at, grant.failure_state
    if not tokens.was_clock_ahead(started_at):
        is_over = not tokens.is_access_token_valid(started_at)
        return is_over and not policy.may_be_too_early(tokens, started_at)
    # After a clock that was ahead the expiry proves nothing. The refusal gave the access token
    # its lifetime until `retry_at`.
    if before is None or before.failure is not Failure.REFUSED:
        return False
    return before.retry_at <= started_at

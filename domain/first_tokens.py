"""The first tokens of a client that needs no login (RFC 6749 §4.4): rules 2 to 7 of `decide.py`.

After them its grant is refreshed like one of a login, with the client's credentials instead of a
refresh token. They never expire, and a request may be repeated.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain.commands import Decision, Effect, NothingDue, SendTokenRequest, TryLater, Wait
from domain.error_meanings import classify_without_login, quote_of
from domain.events import AttemptEnded
from domain.failures import add_failure
from domain.grant import (
    Attempt,
    Authorized,
    Failure,
    FailureState,
    Grant,
    Requesting,
    Revoking,
    Unauthorized,
    instant_after,
    last_revocation,
    place_of,
)
from domain.ledger import TOKENS, HistoryEvent, Note
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import Question, RefreshDue
from domain.token_endpoint import (
    ClientCredentialsRequest,
    NoAnswer,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens

# Rules 2 and 3: obstacle, begin.


def request_first_tokens(
    grant: Grant, question: Question, policy: Policy, now: datetime
) -> Decision:
    """Begin the first request, or answer why none may begin (rules 2, 3 and 14)."""
    if isinstance(question, RefreshDue):
        return Decision(grant=grant, command=NothingDue())
    if isinstance(grant, Revoking) and policy.is_recent(grant.at, now):
        # A provider may return the token that is about to be revoked.
        return Decision(grant=grant, command=Wait(until=grant.at + policy.lease))
    current = _end_lapsed_lease(grant, policy, now)
    if isinstance(current, Requesting):
        return Decision(grant=grant, command=Wait(until=policy.lease_end(current.attempt)))
    failed = current.failure_state if isinstance(current, Unauthorized) else None
    if failed is not None and policy.must_wait(failed.retry_at, now):
        later = TryLater(at=failed.retry_at, failure=failed.failure, quote=failed.quote)
        return Decision(grant=grant, command=later)
    decision = _begin(current, failed, question.attempt_id, policy, now)
    if isinstance(grant, Requesting):
        return replace(decision, note=_failure_note(Failure.UNKNOWN, is_requested=False))
    return decision


def _end_lapsed_lease(grant: Grant, policy: Policy, now: datetime) -> Grant:
    """Count a first request whose lease ran out as failed, as in `failures.py` (rule 3)."""
    if not isinstance(grant, Requesting) or policy.is_in_flight(grant.attempt, now):
        return grant
    attempt = grant.attempt
    failure_state = add_failure(
        grant.failure_state, Failure.UNKNOWN, attempt, policy, at=policy.lease_end(attempt)
    )
    return _without_tokens(grant, failure_state)


def _begin(
    grant: Grant, failed: FailureState | None, attempt_id: str, policy: Policy, now: datetime
) -> Decision:
    """Return the attempt as the new grant, which is stored before the request is sent (rule 3)."""
    attempt = Attempt(
        id=attempt_id,
        authorized_at=instant_after(grant, now),
        generation=0,
        client=policy.client,
        started_at=now,
    )
    requesting = Requesting(
        attempt=attempt,
        failure_state=failed,
        place=place_of(grant),
        revoked=last_revocation(grant),
    )
    request = ClientCredentialsRequest(scope=policy.provider.scope)
    send = SendTokenRequest(attempt=attempt, request=request, send_by=now + policy.send_within)
    return Decision(grant=requesting, command=send)


# Rules 4 to 7: the end of the first request.


def end_first_request(
    grant: Requesting, ended: AttemptEnded, policy: Policy, now: datetime
) -> Effect:
    """Store the first tokens, or the failure (rules 4 to 7).

    Tokens of an earlier attempt are not needed: the next request is in flight.
    """
    if ended.attempt.id != grant.attempt.id:
        return Effect(grant=grant)
    match ended.outcome:
        case TokenResponse() as response:
            return _keep_first_tokens(grant, response, policy, now)
        case TokenErrorResponse() | NoAnswer() as outcome:
            return _fail(grant, outcome, policy, now)
        case _:
            assert_never(ended.outcome)


def _keep_first_tokens(
    grant: Requesting, response: TokenResponse, policy: Policy, now: datetime
) -> Effect:
    """Store the first tokens, as those of a login (rules 4 and 8)."""
    attempt = grant.attempt
    tokens = Tokens.first(
        response,
        generation=attempt.generation,
        issued_at=min(attempt.started_at, now),
        provider=policy.provider,
        authorized_at=attempt.authorized_at,
        place=grant.place + 1,
        revoked=grant.revoked,
        grant_type=GrantType.CLIENT_CREDENTIALS,
    )
    failure_state, outcome = None, TOKENS
    if not tokens.is_access_token_valid(now):
        late = Failure.EXPIRED_ON_ARRIVAL
        failed = add_failure(grant.failure_state, late, attempt, policy, at=now)
        # The answer came: no request is in doubt any more.
        failure_state, outcome = replace(failed, in_doubt_since=None), late.value
    note = Note(event=HistoryEvent.REFRESH, generation=tokens.generation, outcome=outcome)
    return Effect(grant=Authorized(tokens=tokens, failure_state=failure_state), note=note)


def _fail(
    grant: Requesting, outcome: TokenErrorResponse | NoAnswer, policy: Policy, now: datetime
) -> Effect:
    """Store the failure; a refusal is one of the settings (rules 5 to 7)."""
    failure, quote = classify_without_login(outcome), quote_of(outcome)
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
    note = _failure_note(failure, quote=quote)
    return Effect(grant=_without_tokens(grant, failure_state), note=note)


def _failure_note(failure: Failure, *, quote: str | None = None, is_requested: bool = True) -> Note:
    """Return the note on a first request that failed (rules 3 and 7)."""
    return Note(
        event=HistoryEvent.REFRESH_FAILED,
        generation=None,
        outcome=failure.value,
        quote=quote,
        is_requested=is_requested,
    )


def _without_tokens(grant: Requesting, failure_state: FailureState) -> Unauthorized:
    """Return the grant after a first request that failed (rules 3 and 7)."""
    return Unauthorized(failure_state=failure_state, place=grant.place, revoked=grant.revoked)

"""What a question is answered, and when an attempt begins first: rules 1 to 3 of `decide.py`."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    Decision,
    NothingDue,
    ReportMoved,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.events import DEFAULT_MIN_TTL, Question, RefreshDue, RefreshRequested, TokenRequested
from domain.failures import end_lapsed_lease
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
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    failure_state_of,
    in_doubt_since,
    place_of,
    usable_refresh_token,
)
from domain.ledger import HistoryEvent, Note
from domain.policy import Policy
from domain.token_endpoint import RefreshTokenRequest
from domain.tokens import Freshness


def answer_question(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    """Answer by what there is; else begin an attempt, or answer why there is none now."""
    decision = _decide(grant, question, policy, now)
    command = decision.command
    if not isinstance(command, AskForAuthorization):
        return decision
    # Whoever logs in does so to what the record says now.
    return replace(decision, command=replace(command, read=place_of(decision.grant)))


def _decide(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    if isinstance(grant, Inactive):
        never = isinstance(grant, Unauthorized)
        cause = Cause.NEVER_AUTHORIZED if never else Cause.REVOKED
        return Decision(grant=grant, command=AskForAuthorization(cause=cause))
    if isinstance(grant, Moved):
        return Decision(grant=grant, command=ReportMoved(since=grant.since))
    current = end_lapsed_lease(grant, policy, now)
    content = _answer_without_refresh(current, question, policy, now)
    if content is not None and not _is_refresh_wanted(current, question, policy, now):
        return Decision(grant=grant, command=content)
    way = _request_or_obstacle(current, question, policy, now)
    if isinstance(way, RefreshTokenRequest):
        decision = _begin(current, way, question.attempt_id, policy, now)
        return decision if current is grant else replace(decision, note=_lapse_of(current))
    return Decision(grant=grant, command=content or way)


# Rule 1: need.


def _answer_without_refresh(
    grant: Active, question: Question, policy: Policy, now: datetime
) -> Answer | None:
    """Return what this question can be answered at once; None where it needs a refresh."""
    in_doubt = _doubt_of(grant) is not None
    may_be_dead = policy.provider.refresh_ends_access_token and in_doubt
    match question:
        case TokenRequested(min_ttl=min_ttl):
            lasts = grant.tokens.outlives(min_ttl, now) and not grant.tokens.may_have_expired(now)
            # Who demands no more than everybody is better served by what is left than by nothing.
            is_refused = _is_refused(grant, policy, now)
            is_all_there_is = is_refused and min_ttl <= DEFAULT_MIN_TTL
            usable = lasts or (is_all_there_is and grant.tokens.is_access_token_valid(now))
            return Serve(tokens=grant.tokens) if usable and not may_be_dead else None
        case RefreshRequested(asked_at=asked_at):
            # Asked ahead of now means a clock gone back, by which no token would ever be new.
            is_new = grant.tokens.issued_at >= min(asked_at, now) - policy.min_refresh_interval
            is_new = is_new and not grant.tokens.was_clock_ahead(now)
            usable = is_new and grant.tokens.is_access_token_valid(now) and not may_be_dead
            # What never expires, and cannot be replaced, is as good as new.
            lasts = grant.tokens.expires_at is None and grant.tokens.refresh_token is None
            return Serve(tokens=grant.tokens) if usable or lasts else None
        case RefreshDue():
            due = due_at(grant)
            spares_a_living_token = _is_risky(
                grant, policy, now
            ) and grant.tokens.is_access_token_valid(now)
            # What is due by a clock that was ahead may be due by now.
            is_due = due is not None and (due <= now or grant.tokens.was_clock_ahead(now))
            return None if is_due and not spares_a_living_token else NothingDue()
        case _:
            assert_never(question)


def _is_refresh_wanted(grant: Active, question: Question, policy: Policy, now: datetime) -> bool:
    """Whether a refresh is wanted even though there is an answer without one."""
    if not isinstance(question, TokenRequested) or _is_risky(grant, policy, now):
        return False
    if policy.provider.refresh_ends_access_token:
        return False
    return grant.tokens.is_access_token_near_end(
        policy.refresh_early, now
    ) or grant.tokens.is_refresh_token_near_end(now)


def _is_risky(grant: Active, policy: Policy, now: datetime) -> bool:
    """Whether a refresh may end everything, the living access token included.

    That is what providers make of a refresh token that was spent before (RFC 9700 §4.14.2),
    once no grace window covers it any more.
    """
    since = _doubt_of(grant)
    if since is None or policy.provider.replay_is_harmless:
        return False
    # Since an instant ahead means since some time before now.
    return policy.replay_until(since) <= now or since > now + policy.lease


def _doubt_of(grant: Active) -> datetime | None:
    """Since when the provider may have acted on a request whose answer we do not have."""
    match grant:
        case Refreshing(attempt=attempt, failure_state=failure_state):
            return in_doubt_since(failure_state) or attempt.started_at
        case Authorized(failure_state=failure_state):
            return in_doubt_since(failure_state)
        case AuthorizationRequired(cause=cause, since=since):
            return since if cause is Cause.REFRESH_ANSWER_LOST else None
        case _:
            assert_never(grant)


def _is_refused(grant: Active, policy: Policy, now: datetime) -> bool:
    """Whether the provider has refused the refresh token, and it is not yet tried once more."""
    failure_state = failure_state_of(grant)
    if failure_state is None or failure_state.failure is not Failure.REFUSED:
        return False
    return _binds(failure_state, now, policy) and now < failure_state.retry_at


# Rule 2: obstacle.


def _request_or_obstacle(
    grant: Active, question: Question, policy: Policy, now: datetime
) -> RefreshTokenRequest | Answer:
    """Return the request to send, or the answer where nobody may send one now."""
    if isinstance(grant, Refreshing):
        return Wait(until=policy.lease_end(grant.attempt))
    refresh_token = usable_refresh_token(grant.tokens, now)
    if isinstance(refresh_token, Cause):
        return AskForAuthorization(cause=refresh_token)
    if isinstance(grant, AuthorizationRequired) and _stands(grant, question, policy, now):
        return AskForAuthorization(cause=grant.cause, quote=grant.quote)
    failure_state = failure_state_of(grant)
    if (
        failure_state is not None
        and (at := _retry_at(failure_state, question, policy, now)) is not None
    ):
        return TryLater(at=at, failure=failure_state.failure, quote=failure_state.quote)
    return RefreshTokenRequest(refresh_token=refresh_token)


def _stands(
    verdict: AuthorizationRequired, question: Question, policy: Policy, now: datetime
) -> bool:
    """Whether this question may not have a final verdict tried again (rule 6)."""
    if verdict.client != policy.client:
        return policy.must_wait(verdict.since + policy.other_client_wait, now)
    is_wanted = isinstance(question, RefreshRequested) and verdict.is_retryable
    return not is_wanted or policy.must_wait(verdict.since + policy.refused_retry_wait, now)


def _retry_at(
    failure_state: FailureState, question: Question, policy: Policy, now: datetime
) -> datetime | None:
    """Until when this question has to wait; None if it need not."""
    if failure_state.failure is not Failure.REFUSED:
        return failure_state.retry_at if policy.must_wait(failure_state.retry_at, now) else None
    retry_at = failure_state.retry_at
    if isinstance(question, RefreshRequested):
        retry_at = min(retry_at, failure_state.at + policy.refused_retry_wait)
    return retry_at if _binds(failure_state, now, policy) and now < retry_at else None


def _binds(refusal: FailureState, now: datetime, policy: Policy) -> bool:
    """Whether a refusal is to be believed; one that is ahead of now means a clock gone back.

    When it is tried again tells nothing: the end of an access token may be months ahead.
    """
    return now > refusal.at - policy.lease


# Rule 3: begin.


def _lapse_of(grant: Active) -> Note:
    """Note that an attempt had no end: of one that begins, its end will be noted."""
    return Note(
        event=HistoryEvent.REFRESH_FAILED,
        generation=grant.tokens.generation,
        outcome=Failure.UNKNOWN.value,
        is_requested=False,
    )


def _begin(
    grant: Active, request: RefreshTokenRequest, attempt_id: str, policy: Policy, now: datetime
) -> Decision:
    """Make the intent the new grant: it is stored before anything is sent."""
    attempt = Attempt(
        id=attempt_id,
        authorized_at=grant.tokens.authorized_at,
        generation=grant.tokens.generation,
        client=policy.client,
        started_at=now,
    )
    return Decision(
        grant=Refreshing(
            tokens=grant.tokens, attempt=attempt, failure_state=failure_state_of(grant)
        ),
        command=SendTokenRequest(
            attempt=attempt, request=request, send_by=now + policy.send_within
        ),
    )


# Without a question: why a person has to log in.


def missing_authorization(grant: Grant, now: datetime) -> Cause | None:
    """Return why a person has to log in; None if the refresh token is good, or none is needed."""
    match grant:
        case Unauthorized():
            return Cause.NEVER_AUTHORIZED
        case Revoking() | Revoked():
            return Cause.REVOKED
        case AuthorizationRequired(cause=cause):
            return cause
        case Moved():
            # Whether one is needed, the deployment knows that has the grant now.
            return None
        case Authorized(tokens=tokens) | Refreshing(tokens=tokens):
            if tokens.freshness(now) is not Freshness.REFRESH_EXPIRED:
                return None
            found = usable_refresh_token(tokens, now)
            return found if isinstance(found, Cause) else None
        case _:
            assert_never(grant)

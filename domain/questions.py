"""The answer to a question, or the attempt to begin first: rules 1 to 3 of `decide.py`."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    Decision,
    NothingDue,
    RejectedAgain,
    ReportMoved,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.failures import end_lapsed_lease
from domain.grant import (
    Active,
    Adopting,
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    failure_state_of,
    grant_type_of,
    in_doubt_since,
    place_of,
    usable_refresh_token,
)
from domain.ledger import HistoryEvent, Note
from domain.policy import Policy
from domain.provider import GrantType
from domain.question import DEFAULT_MIN_TTL, Question, RefreshDue, RefreshRequested, TokenRequested
from domain.serving import ahead, is_near_end, lasts, refresh_at
from domain.tokens import MIN_TTL_DIVISOR, Freshness, Tokens

if TYPE_CHECKING:
    # As in `_request`.
    from domain.token_endpoint import RenewalRequest


def answer_question(grant: Proven, question: Question, policy: Policy, now: datetime) -> Decision:
    """Serve the stored tokens, begin an attempt, or answer why none may begin (rules 1 to 3)."""
    decision = _decide(grant, question, policy, now)
    command = decision.command
    if not isinstance(command, AskForAuthorization):
        return decision
    # Rule 8: the login link carries the count of this record.
    return replace(decision, command=replace(command, read=place_of(decision.grant)))


def _decide(grant: Proven, question: Question, policy: Policy, now: datetime) -> Decision:
    """Take the rules in their order: need, obstacle, begin (rules 1 to 3).

    A grant that moved only reports that (rule 10).
    """
    if isinstance(grant, Moved):
        return Decision(grant=grant, command=ReportMoved(since=grant.since))
    if isinstance(grant, Inactive) or is_without_login(grant, policy.provider.grant_type):
        return Decision(grant=grant, command=AskForAuthorization(cause=_inactive_cause(grant)))
    current = end_lapsed_lease(grant, policy, now)
    answer = _answer_without_refresh(current, question, policy, now)
    if answer is not None and not _is_refresh_wanted(current, question, policy, now):
        return Decision(grant=grant, command=answer)
    request = _request_or_obstacle(current, question, policy, now)
    if isinstance(request, Answer):
        return Decision(grant=grant, command=answer or request)
    decision = _begin(current, request, question, policy, now)
    return decision if current is grant else replace(decision, note=_lapse_note(current))


# Rule 1: need.


def _answer_without_refresh(
    grant: Active, question: Question, policy: Policy, now: datetime
) -> Answer | None:
    """Return the answer from the stored tokens; None if it takes a refresh (rule 1)."""
    in_doubt = _grant_in_doubt_since(grant) is not None
    may_have_ended = policy.provider.refresh_ends_access_token and in_doubt
    is_early = _too_early_until(grant, policy, now) is not None
    match question:
        case TokenRequested(min_ttl=min_ttl):
            # While the provider refuses a refresh, the rest of the token is better than nothing.
            # A caller that demands more than the default does not want it.
            is_refused = _is_refused(grant, policy, now)
            # Before the provider accepts a refresh, no token lasts longer.
            serves_rest = is_early or (is_refused and min_ttl <= DEFAULT_MIN_TTL)
            usable = lasts(grant.tokens, min_ttl, now) or (
                serves_rest and grant.tokens.is_access_token_valid(now)
            )
            if not usable or may_have_ended:
                return None
            if _is_rejected(grant.tokens, question):
                return _answer_to_rejection(grant, policy, now)
            return Serve(tokens=grant.tokens)
        case RefreshRequested(asked_at=asked_at):
            # `asked_at` after `now` means that the clock went back: no token would ever be new.
            is_new = grant.tokens.issued_at >= min(asked_at, now) - policy.min_refresh_interval
            is_new = is_new and not grant.tokens.was_clock_ahead(now)
            usable = is_new and grant.tokens.is_access_token_valid(now) and not may_have_ended
            # A token that never expires and cannot be replaced is as good as new.
            is_final = grant.tokens.expires_at is None and not grant.tokens.is_replaceable
            return Serve(tokens=grant.tokens) if usable or is_final else None
        case RefreshDue(issued_at=issued_at):
            due = due_at(grant)
            is_risky = _is_risky(grant, policy, now)
            must_spare_token = is_risky and grant.tokens.is_access_token_valid(now)
            # Under a clock that was ahead, the due time is too late.
            is_due = due is not None and (due <= now or grant.tokens.was_clock_ahead(now))
            # One refresh only: the new tokens have another date.
            is_due = is_due or grant.tokens.issued_at == issued_at
            return None if is_due and not must_spare_token and not is_early else NothingDue()
        case _:
            assert_never(question)


def _is_rejected(tokens: Tokens, question: Question) -> bool:
    """Whether the caller names the access token as one that an API has rejected (rule 18)."""
    return isinstance(question, TokenRequested) and question.refused == tokens.public_generation


def _answer_to_rejection(grant: Active, policy: Policy, now: datetime) -> RejectedAgain | None:
    """Return that a valid but rejected access token is replaced later; None if now (rule 18)."""
    tokens, last = grant.tokens, grant.tokens.rejection
    if isinstance(grant, Refreshing) or last is None or last.generation == tokens.public_generation:
        return None
    first, longest = policy.min_refresh_interval, policy.max_rejection_wait
    at = last.replaceable_at(first=first, longest=longest)
    return RejectedAgain(at=at) if policy.must_wait(at, now) else None


def _is_refresh_wanted(grant: Active, question: Question, policy: Policy, now: datetime) -> bool:
    """Whether to refresh although there is an answer without a refresh (rule 1)."""
    if not isinstance(question, TokenRequested) or _is_risky(grant, policy, now):
        return False
    return is_near_end(grant.tokens, policy, now)


def _is_risky(grant: Active, policy: Policy, now: datetime) -> bool:
    """Whether a refresh may revoke all tokens, the valid access token included (rule 1).

    Providers do so with a refresh token that was spent before (RFC 9700 §4.14.2), once its grace
    window is over.
    """
    since = _grant_in_doubt_since(grant)
    if since is None or policy.provider.replay_is_harmless:
        return False
    # A start after `now` comes from a clock that was ahead: the window may be over.
    return policy.replay_until(since) <= now or since > now + policy.lease


def _grant_in_doubt_since(grant: Active) -> datetime | None:
    """Return since when a request without an answer may have had its effect (rule 1)."""
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
    """Whether a refusal that is not final holds, and the last try is still ahead (rule 6)."""
    failure_state = failure_state_of(grant)
    if failure_state is None or failure_state.failure is not Failure.REFUSED:
        return False
    return _holds(failure_state, now, policy) and now < failure_state.retry_at


# Rule 2: obstacle.


def _request_or_obstacle(
    grant: Active, question: Question, policy: Policy, now: datetime
) -> "RenewalRequest | Answer":
    """Return the request to send, or the answer if none may be sent now (rule 2)."""
    if isinstance(grant, Refreshing):
        return Wait(until=policy.lease_end(grant.attempt))
    request = _request(grant.tokens, policy, now)
    if isinstance(request, Cause):
        return AskForAuthorization(cause=request)
    if isinstance(grant, AuthorizationRequired) and _is_final_for(question, grant, policy, now):
        return AskForAuthorization(cause=grant.cause, quote=grant.quote)
    failure_state = failure_state_of(grant)
    if (
        failure_state is not None
        and (at := _wait_until(grant.tokens, failure_state, question, policy, now)) is not None
    ):
        return TryLater(at=at, failure=failure_state.failure, quote=failure_state.quote)
    if (at := _too_early_until(grant, policy, now)) is not None:
        return TryLater(at=at, failure=None)
    return request


def _request(tokens: Tokens, policy: Policy, now: datetime) -> "RenewalRequest | Cause":
    """Return the request for new tokens, or why a login is required (rule 2)."""
    # Imported here, because a fresh token needs no request.
    from domain.token_endpoint import ClientCredentialsRequest, RefreshTokenRequest

    if tokens.grant_type is GrantType.CLIENT_CREDENTIALS:
        return ClientCredentialsRequest(scope=policy.provider.scope)
    refresh_token = usable_refresh_token(tokens, now)
    if isinstance(refresh_token, Cause):
        return refresh_token
    return RefreshTokenRequest(refresh_token=refresh_token)


def _too_early_until(grant: Active, policy: Policy, now: datetime) -> datetime | None:
    """Return until when the provider accepts no refresh; None if it does now (rules 1 and 2)."""
    at = policy.refresh_from(grant.tokens, now)
    return None if at is None or at <= now else at


def _is_final_for(
    question: Question, refused: AuthorizationRequired, policy: Policy, now: datetime
) -> bool:
    """Whether a final refusal is final for this question, too (rule 6)."""
    if refused.client != policy.client:
        return policy.must_wait(refused.since + policy.other_client_wait, now)
    may_retry = isinstance(question, RefreshRequested) and refused.is_retryable
    return not may_retry or policy.must_wait(refused.since + policy.refused_retry_wait, now)


def _wait_until(
    tokens: Tokens, failure_state: FailureState, question: Question, policy: Policy, now: datetime
) -> datetime | None:
    """Return until when this question waits after a failure; None if not (rules 2 and 6)."""
    if failure_state.failure is not Failure.REFUSED:
        return failure_state.retry_at if policy.must_wait(failure_state.retry_at, now) else None
    retry_at = failure_state.retry_at
    # The end of an access token that an API rejects is not worth waiting for.
    if isinstance(question, RefreshRequested) or _is_rejected(tokens, question):
        retry_at = min(retry_at, failure_state.at + policy.refused_retry_wait)
    return retry_at if _holds(failure_state, now, policy) and now < retry_at else None


def _holds(refusal: FailureState, now: datetime, policy: Policy) -> bool:
    """Whether a refusal still holds (rule 6). One after `now` does not: the clock went back."""
    # `retry_at` proves nothing here: the end of an access token may be months ahead.
    return now > refusal.at - policy.lease


# Rule 3: begin.


def _lapse_note(grant: Active) -> Note:
    """Return the note on an attempt whose lease ran out (rule 3)."""
    return Note(
        event=HistoryEvent.REFRESH_FAILED,
        generation=grant.tokens.generation,
        outcome=Failure.UNKNOWN.value,
        is_requested=False,
    )


def _begin(
    grant: Active, request: "RenewalRequest", question: Question, policy: Policy, now: datetime
) -> Decision:
    """Return the attempt as the new grant, which is stored before the request is sent (rule 3)."""
    attempt = Attempt(
        id=question.attempt_id,
        authorized_at=grant.tokens.authorized_at,
        generation=grant.tokens.generation,
        client=policy.client,
        started_at=now,
    )
    return Decision(
        grant=Refreshing(
            tokens=_tokens_at_begin(grant.tokens, question, policy, now),
            attempt=attempt,
            failure_state=failure_state_of(grant),
        ),
        command=SendTokenRequest(
            attempt=attempt, request=request, send_by=now + policy.send_within
        ),
    )


def _tokens_at_begin(tokens: Tokens, question: Question, policy: Policy, now: datetime) -> Tokens:
    """Return the tokens; with a mark, if an API has rejected their access token (rule 18)."""
    if not _is_rejected(tokens, question):
        return tokens
    # Imported here, because a fresh token does not need it.
    from domain.rejections import rejection_after

    rejection = rejection_after(
        tokens.rejection,
        tokens.public_generation,
        now,
        forgotten_after=policy.rejections_forgotten_after,
    )
    return replace(tokens, rejection=rejection)


# Rule 1 without a question: when there will be another token.


def ask_again_at(
    grant: Grant, min_ttl: timedelta, policy: Policy, now: datetime
) -> datetime | None:
    """Return when a caller that got a token at `now` should ask for another one (rule 1).

    Before that there is none. The refresh that it then begins may still be in flight: a few seconds
    later there is a new token. None if the access token does not expire.
    """
    policy = policy.for_grant(grant)
    current = grant.earlier if isinstance(grant, Adopting) else grant
    if not isinstance(current, Active):
        return None
    current = end_lapsed_lease(current, policy, now)
    expiry = current.tokens.access_token_expiry(now)
    if expiry is None:
        return None
    if isinstance(grant, Adopting):
        # Nothing refreshes the earlier tokens early (rule 16).
        at = current.tokens.ends_before(min_ttl, now, divisor=MIN_TTL_DIVISOR) or expiry
    elif isinstance(current, Refreshing):
        at = now
    else:
        at = _refresh_at(current, min_ttl, policy, now)
    return ahead(at, expiry, now)


def _refresh_at(
    grant: Authorized | AuthorizationRequired, min_ttl: timedelta, policy: Policy, now: datetime
) -> datetime:
    """Return when a question may begin a refresh of tokens that expire (rules 1 and 2)."""
    is_early = isinstance(grant, Authorized) and not _is_risky(grant, policy, now)
    at = refresh_at(grant.tokens, min_ttl, policy, now, refreshes_early=is_early)
    failed = failure_state_of(grant)
    if failed is not None and policy.must_wait(failed.retry_at, now):
        at = max(at, failed.retry_at)
    return at


# Rule 2 without a question: why a login is required.


def _inactive_cause(grant: Grant) -> Cause:
    """Return why a grant without tokens of a login requires one (rules 2 and 14)."""
    return Cause.REVOKED if isinstance(grant, Revoking | Revoked) else Cause.NEVER_AUTHORIZED


def is_without_login(grant: Grant, grant_type: GrantType) -> bool:
    """Whether the tokens are a client's own, and the settings want those of a login (rule 2).

    `grant_type`: the one of the settings.
    """
    is_own = grant_type_of(grant) is GrantType.CLIENT_CREDENTIALS
    is_here = not isinstance(grant, Moved)
    return is_own and is_here and grant_type is GrantType.AUTHORIZATION_CODE


def missing_authorization(grant: Grant, now: datetime, grant_type: GrantType) -> Cause | None:
    """Return why a login is required; None if there are usable tokens (rules 2 and 16).

    `grant_type`: the one of the settings.
    """
    if grant_type is GrantType.CLIENT_CREDENTIALS:
        return None
    if is_without_login(grant, grant_type):
        return Cause.NEVER_AUTHORIZED
    match grant:
        case Unauthorized() | Requesting() | Revoking() | Revoked():
            return _inactive_cause(grant)
        case AuthorizationRequired(cause=cause):
            return cause
        case Moved():
            # The deployment that has the grant now knows.
            return None
        case Adopting():
            # Rule 16: the next refresh decides.
            return None
        case Authorized(tokens=tokens) | Refreshing(tokens=tokens):
            if tokens.freshness(now) is not Freshness.REFRESH_EXPIRED:
                return None
            found = usable_refresh_token(tokens, now)
            return found if isinstance(found, Cause) else None
        case _:
            assert_never(grant)

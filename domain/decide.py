"""Every transition of a grant, by the rules of refresh.

A question (`TokenRequested`, `RefreshRequested`, `RefreshDue`) is taken through three steps:
 1. *Need.* An access token is served if it outlives what the caller demands. Near its end it is
    still served, while one attempt replaces it; where a refresh ends the old token, or a request
    of unknown outcome may have, the refresh comes as late as possible instead, and the sweep
    spares a token that lives. Who asks for a refresh gets one, or the one that has just been made.
 2. *Obstacle.* At most one attempt is in flight: others wait. After a failure, nobody asks the
    provider before `retry_at`. A verdict on the refresh token is final for the credentials it was
    passed on. A refresh token known to be dead is not sent.
 3. *Begin.* The intent (attempt, generation, time) is the new grant, to be stored before anything
    is sent. A lease that ran out counts as an attempt of unknown outcome.

The end of an attempt (`AttemptEnded`) changes the grant so:
 4. Tokens belong to a generation of a login. They are kept unless that generation was superseded,
    however late they come, even after a verdict: they may hold the only living refresh token.
 5. Anything else is heard from the attempt in charge only: who lost the lease proves nothing.
 6. A refusal that means that the refresh token is over (`refusals.py`) ends the grant; every other
    failure keeps it, and is remembered.
 7. Not sent: again at once. Unknown: where a replay is harmless again at once; within a grace
    window inside it; else, and when that window is over, once no request can land any more. Each
    of these earns one further attempt, the next ones back off. An answer that was a failure backs
    off from the start, and Retry-After is honoured.

A login (`LoginCompleted`) starts a new generation:
 8. It replaces whatever there was, but not a later login (nor itself, when it is noted twice).
    Unless it was begun to replace what works, it does not replace a refresh token that works by
    tokens without one, nor a grant that works by one that is known to be of another account; nor,
    where it has to yield, any grant that works.

Tokens that the store would not take when they came (`TokensRescued`) are brought back later:
 9. They are kept if their login or, after the same login, their generation is newer than what is
    there.

A grant moves to another deployment (`MoveRequested`, `GrantArrived`; `ReturnRequested` undoes it):
10. It is handed over once no attempt is in flight; a lease that has run out is a doubt that goes
    along. From then on the old deployment answers that it has moved, and sends nothing.
11. What belongs to its login and comes late (rules 4 and 9) is kept in it, to be handed over
    again; a later login starts anew (rule 8).
12. It is taken over where there is none, or an older one (rule 9); a deployment that has handed it
    over itself uses it again only if it was handed over elsewhere later.

Its owner ends a grant (`RevokeRequested`), and the provider is told (`RevocationEnded`):
13. It is fenced off first, an attempt in flight or not; one that was handed over is left to the
    deployment that has it. When the provider was told, its last token is forgotten as well.
14. From then on a person has to log in. What belongs to a login of before and comes late (rules 4,
    8 and 9) is kept nowhere: the provider is told of it too.
15. A login that begins later starts anew, and so does a grant that was handed over later.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeGuard, TypeVar, assert_never

from domain.commands import (
    Answer,
    AskAgain,
    AskForAuthorization,
    Command,
    LeaveAlone,
    PointElsewhere,
    RevokeToken,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Precedence,
    Question,
    RefreshDue,
    RefreshRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokenRequested,
    TokensRescued,
)
from domain.failures import classify, note_failure, without_lapsed_lease
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Kept,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Setbacks,
    Tokenless,
    Unauthorized,
    due_at,
    in_doubt_since,
    usable_refresh_token,
)
from domain.moving import hand_over, take_back, take_over
from domain.policy import Policy
from domain.refusals import said_by
from domain.revoking import late_tokens, revoke
from domain.token_endpoint import (
    NoAnswer,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Freshness, Tokens

_Kept = TypeVar("_Kept", bound=Kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the grant is from now on (the same object where nothing changed), and what to do."""

    grant: Grant
    command: Command


def decide(grant: Grant, event: Event, policy: Policy, now: datetime) -> Decision:
    """Apply the rules above to one event at one instant (aware UTC)."""
    if isinstance(grant, Revoking | Revoked) and (late := late_tokens(grant, event)) is not None:
        return Decision(grant=grant, command=RevokeToken(request=late))
    match event:
        case TokenRequested() | RefreshRequested() | RefreshDue():
            return _decide_question(grant, event, policy, now)
        case AttemptEnded():
            return Decision(grant=_end_attempt(grant, event, policy, now), command=AskAgain())
        case LoginCompleted():
            return Decision(grant=_log_in(grant, event, policy, now), command=AskAgain())
        case TokensRescued(tokens=tokens):
            return Decision(grant=_bring_back(grant, tokens), command=AskAgain())
        case MoveRequested():
            return Decision(grant=hand_over(grant, policy, now), command=AskAgain())
        case ReturnRequested():
            return Decision(grant=take_back(grant), command=AskAgain())
        case GrantArrived(moved=moved):
            return Decision(grant=take_over(grant, moved), command=AskAgain())
        case RevokeRequested() | RevocationEnded():
            return Decision(grant=revoke(grant, event, now), command=AskAgain())
        case _:
            assert_never(event)


# Rules 1 to 3: questions.


def _decide_question(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    if isinstance(grant, Tokenless):
        never = isinstance(grant, Unauthorized)
        cause = Cause.NEVER_AUTHORIZED if never else Cause.REVOKED
        return Decision(grant=grant, command=AskForAuthorization(cause=cause))
    if isinstance(grant, Moved):
        return Decision(grant=grant, command=PointElsewhere(since=grant.since))
    current = without_lapsed_lease(grant, policy, now)
    content = _answer_without_refresh(current, question, policy, now)
    if content is not None and not _is_refresh_wanted(current, question, policy, now):
        return Decision(grant=grant, command=content)
    way = _request_or_obstacle(current, policy, now)
    if isinstance(way, RefreshTokenRequest):
        return _begin(current, way, question.attempt_id, policy, now)
    return Decision(grant=grant, command=content or way)


def _answer_without_refresh(
    grant: Kept, question: Question, policy: Policy, now: datetime
) -> Answer | None:
    in_doubt = _doubt_of(grant) is not None
    may_be_dead = policy.provider.refresh_ends_access_token and in_doubt
    match question:
        case TokenRequested(min_ttl=min_ttl):
            usable = grant.tokens.outlives(min_ttl, now) and not may_be_dead
            return Serve(tokens=grant.tokens) if usable else None
        case RefreshRequested(asked_at=asked_at):
            # Asked ahead of now means a clock gone back, by which no token would ever be new.
            is_new = grant.tokens.issued_at >= min(asked_at, now) - policy.refreshes_apart
            usable = is_new and grant.tokens.is_alive(now) and not may_be_dead
            # What never expires, and cannot be replaced, is as good as new.
            lasts = grant.tokens.expires_at is None and grant.tokens.refresh_token is None
            return Serve(tokens=grant.tokens) if usable or lasts else None
        case RefreshDue():
            due = due_at(grant)
            spares_a_living_token = _is_risky(grant, policy, now) and grant.tokens.is_alive(now)
            is_due = due is not None and due <= now and not spares_a_living_token
            return None if is_due else LeaveAlone()
        case _:
            assert_never(question)


def _is_refresh_wanted(grant: Kept, question: Question, policy: Policy, now: datetime) -> bool:
    """Whether a refresh is wanted even though there is an answer without one."""
    late = _is_risky(grant, policy, now) or policy.provider.refresh_ends_access_token
    return (
        isinstance(question, TokenRequested)
        and not late
        and grant.tokens.is_near_end(policy.refresh_early, now)
    )


def _is_risky(grant: Kept, policy: Policy, now: datetime) -> bool:
    """Whether a refresh may end everything, the living access token included.

    That is what providers make of a refresh token that was spent before (RFC 9700 §4.14.2),
    once no grace window covers it any more.
    """
    since = _doubt_of(grant)
    harmless = policy.provider.replay_is_harmless
    return since is not None and not harmless and policy.replay_until(since) <= now


def _doubt_of(grant: Kept) -> datetime | None:
    """Since when the provider may have acted on a request whose answer we do not have."""
    match grant:
        case Refreshing(attempt=attempt, setbacks=setbacks):
            return in_doubt_since(setbacks) or attempt.started_at
        case Authorized(setbacks=setbacks):
            return in_doubt_since(setbacks)
        case AuthorizationRequired(cause=cause, since=since):
            return since if cause is Cause.REFRESH_ANSWER_LOST else None
        case _:
            assert_never(grant)


def _request_or_obstacle(
    grant: Kept, policy: Policy, now: datetime
) -> RefreshTokenRequest | Answer:
    if isinstance(grant, Refreshing):
        return Wait(until=policy.lands_by(grant.attempt))
    refresh_token = usable_refresh_token(grant.tokens, now)
    if isinstance(refresh_token, Cause):
        return AskForAuthorization(cause=refresh_token)
    if isinstance(grant, AuthorizationRequired) and _is_final(grant, policy, now):
        return AskForAuthorization(cause=grant.cause, said=grant.said)
    setbacks = _setbacks_so_far(grant)
    if setbacks is not None and policy.forbids(setbacks.retry_at, now):
        return TryLater(at=setbacks.retry_at, failure=setbacks.failure, said=setbacks.said)
    return RefreshTokenRequest(refresh_token=refresh_token)


def _is_final(verdict: AuthorizationRequired, policy: Policy, now: datetime) -> bool:
    return verdict.client == policy.client or policy.forbids(
        verdict.since + policy.other_client_wait, now
    )


def _begin(
    grant: Kept, request: RefreshTokenRequest, attempt_id: str, policy: Policy, now: datetime
) -> Decision:
    attempt = Attempt(
        id=attempt_id,
        authorized_at=grant.tokens.authorized_at,
        generation=grant.tokens.generation,
        client=policy.client,
        started_at=now,
    )
    return Decision(
        grant=Refreshing(tokens=grant.tokens, attempt=attempt, setbacks=_setbacks_so_far(grant)),
        command=SendTokenRequest(
            attempt=attempt, request=request, send_by=now + policy.send_within
        ),
    )


# Rules 4 to 7: the end of an attempt.


def _end_attempt(grant: Grant, ended: AttemptEnded, policy: Policy, now: datetime) -> Grant:
    if isinstance(grant, Tokenless):
        return grant
    if isinstance(grant, Moved):
        return _keep_for_who_has_it(grant, ended, policy, now)
    match ended.outcome:
        case TokenResponse() as response:
            return _keep_tokens(grant, ended.attempt, response, policy, now)
        case TokenErrorResponse() | NoAnswer() as outcome:
            if _is_in_charge(grant, ended.attempt):
                return _fail(grant, outcome, policy, now)
            return grant
        case _:
            assert_never(ended.outcome)


def _keep_for_who_has_it(moved: Moved, ended: AttemptEnded, policy: Policy, now: datetime) -> Moved:
    if not isinstance(ended.outcome, TokenResponse):
        return moved
    kept = _keep_tokens(moved.grant, ended.attempt, ended.outcome, policy, now)
    return moved if kept is moved.grant else replace(moved, grant=kept)


def _is_in_charge(grant: Kept, attempt: Attempt) -> TypeGuard[Refreshing]:
    return isinstance(grant, Refreshing) and grant.attempt.id == attempt.id


def _keep_tokens(
    grant: _Kept, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
) -> _Kept | Authorized:
    before = grant.tokens
    # Not by the generation alone: who logs in over a record that nobody can read starts at zero.
    if attempt.age != before.age:
        return grant
    issued_at = _issued_at(attempt, grant, policy)
    tokens = before.refreshed(response, issued_at=issued_at, provider=policy.provider)
    if tokens.generation == before.generation and not _is_in_charge(grant, attempt):
        # The refresh token stays, and so does who is in charge; of two access tokens the one
        # that was asked for last wins.
        return replace(grant, tokens=tokens) if issued_at > before.issued_at else grant
    if tokens.is_alive(now):
        return Authorized(tokens=tokens)
    setbacks = _setbacks_so_far(grant)
    late = note_failure(setbacks, Failure.EXPIRED_ON_ARRIVAL, attempt, policy, at=now)
    return Authorized(tokens=tokens, setbacks=replace(late, in_doubt_since=None))


def _issued_at(attempt: Attempt, grant: Kept, policy: Policy) -> datetime:
    """Count an expiry from the earliest instant at which these tokens may have been made.

    Within its grace window a provider may answer a replay with the tokens it made for the first
    request, and tell their full life again. A verdict does not remember whether this was a replay.
    """
    oldest = attempt.started_at - policy.provider.rotation.grace
    if isinstance(grant, AuthorizationRequired):
        return oldest
    doubt = in_doubt_since(grant.setbacks)
    return attempt.started_at if doubt is None else min(attempt.started_at, max(doubt, oldest))


def _fail(
    grant: Refreshing, outcome: TokenErrorResponse | NoAnswer, policy: Policy, now: datetime
) -> Grant:
    failure = classify(outcome)
    if failure is None:
        was_lost = in_doubt_since(grant.setbacks) is not None
        return AuthorizationRequired(
            tokens=grant.tokens,
            cause=Cause.REFRESH_ANSWER_LOST if was_lost else Cause.REFRESH_TOKEN_REJECTED,
            client=grant.attempt.client,
            since=now,
            said=said_by(outcome),
        )
    asked_to_wait = outcome.retry_after if isinstance(outcome, TokenErrorResponse) else None
    setbacks = note_failure(
        grant.setbacks,
        failure,
        grant.attempt,
        policy,
        at=now,
        retry_after=asked_to_wait,
        said=said_by(outcome),
    )
    return Authorized(tokens=grant.tokens, setbacks=setbacks)


def _setbacks_so_far(grant: Kept) -> Setbacks | None:
    return None if isinstance(grant, AuthorizationRequired) else grant.setbacks


# Rule 8: logins.


def _log_in(grant: Grant, completed: LoginCompleted, policy: Policy, now: datetime) -> Grant:
    tokens = Tokens.first(
        completed.response,
        generation=0 if isinstance(grant, Tokenless) else grant.tokens.generation + 1,
        issued_at=completed.requested_at,
        provider=policy.provider,
    )
    is_late = (
        not isinstance(grant, Tokenless) and grant.tokens.authorized_at >= completed.requested_at
    )
    is_unwanted = _is_unwanted(tokens, grant, completed.precedence, now)
    return grant if is_late or is_unwanted else Authorized(tokens=tokens)


def _is_unwanted(tokens: Tokens, grant: Grant, precedence: Precedence, now: datetime) -> bool:
    """Whether a grant that works would be lost to tokens that do not last, or to a stranger's.

    To tokens that have to yield, no grant that works is.
    """
    # What was handed over works elsewhere, or will: it must not be lost here before.
    there = take_back(grant)
    if precedence is Precedence.REPLACES or not isinstance(there, Authorized | Refreshing):
        return False
    lasts = tokens.refresh_token is not None or tokens.expires_at is None
    if there.tokens.can_refresh(now) and not lasts:
        return True
    works = there.tokens.freshness(now) is not Freshness.REFRESH_EXPIRED
    yields = precedence is Precedence.YIELDS
    return works and (yields or there.tokens.are_known_of_another(tokens.subject))


# Rule 9: rescue.


def _bring_back(grant: Grant, tokens: Tokens) -> Grant:
    if isinstance(grant, Tokenless) or grant.tokens.age < tokens.age:
        brought = Authorized(tokens=tokens)
        if isinstance(grant, Moved) and grant.tokens.authorized_at == tokens.authorized_at:
            return replace(grant, grant=brought)
        return brought
    return grant

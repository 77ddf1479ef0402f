"""Every transition of a grant, by the rules of refresh: questions are decided, events applied.

A question (`TokenRequested`, `RefreshRequested`, `RefreshDue`) is taken through three steps:
 1. *Need.* An access token is served if it outlives what the caller demands. Near its end, or when
    the refresh token is due, it is still served, while one attempt replaces it; where a refresh
    ends the old token, or a request of unknown outcome may have, the refresh comes as late as
    possible instead, and the sweep spares a token that lives. Who asks for a refresh gets one, or
    the one that has just been made.
 2. *Obstacle.* At most one attempt is in flight: others wait. After a failure, nobody asks the
    provider before `retry_at`. A final verdict on the refresh token stands for the credentials it
    was passed on (rule 6). A refresh token known to be dead is not sent.
 3. *Begin.* The intent (attempt, generation, time) is the new grant, to be stored before anything
    is sent. A lease that ran out counts as an attempt of unknown outcome.

The end of an attempt (`AttemptEnded`) changes the grant so:
 4. Tokens belong to a generation of a login. They are kept unless that generation was superseded,
    however late they come, even after a verdict: they may hold the only living refresh token.
 5. Anything else is heard from the attempt in charge only: who lost the lease proves nothing.
 6. A refusal that means that the refresh token is over (`refusals.py`) is a verdict on it; every
    other failure keeps the grant, and is remembered. A verdict may pass: conditional access, an
    outage that is called so, a server that refuses while the access token lives. So it is not
    final of an attempt begun before the access token's end: that token is served for what is left
    of it, and then one more try decides. A final one asks for a login; who asks for a refresh has
    it tried again, minutes apart, and so may who asks for one before. A success revives the grant.
    Where an answer was lost before, a verdict is final at once and for everybody: the refresh
    token is spent then, and to show it once more may end all that came of it (RFC 9700 §4.14.2),
    unless a replay is harmless. Without such a doubt a second try can do no harm: if another
    deployment has spent it, the first try has ended what a second one could.
 7. Not sent: again at once. Unknown: where a replay is harmless again at once; within a grace
    window inside it; else, and when that window is over, once no request can land any more. Each
    of these earns one further attempt, the next ones back off. An answer that was a failure backs
    off from the start, and Retry-After is honoured.

No order rests on a clock. A record counts the logins, revocations and moves that it has seen
(`place_of`), and whatever takes time says what it has read. What is dated after `now` comes of a
clock that was ahead: an access token may be over, and is replaced before it is served; a refresh
token dated before all that can have been lives longer than it seems.

A login (`LoginCompleted`) starts a new generation:
 8. It replaces what it has read, and not a later login that was stored meanwhile: of two that have
    read the same, which is a matter of seconds, the one that was sent last stays (and so it does
    when it is noted twice).
    Unless it was begun to replace what works, it does not replace a refresh token that works by
    tokens without one, nor a grant whose account is known by one that does not prove to be of the
    same; nor, where it has to yield, any grant that works.

Tokens that the store would not take when they came (`TokensRescued`) are brought back later:
 9. They are kept if their login or, after the same login, their generation is newer than what is
    there.

A grant moves to another deployment (`MoveRequested`, `GrantArrived`; `ReturnRequested` undoes it):
10. It is handed over once no attempt is in flight; a lease that has run out is a doubt that goes
    along. From then on the old deployment answers that it has moved, and sends nothing.
11. What belongs to its login and comes late (rules 4 and 9) is kept in it, to be handed over
    again; a later login starts anew (rule 8).
12. It is taken over where there is none, or an older one; a deployment that has handed it over
    itself uses it again only if it was handed over elsewhere later, by the count that it brings.

Its owner ends a grant (`RevokeRequested`), and the provider is told (`RevocationEnded`):
13. It is fenced off first, an attempt in flight or not; one that was handed over is left to the
    deployment that has it. When the provider was told, its last token is forgotten as well.
14. From then on a person has to log in. What belongs to a login of before and comes late (rules 4,
    8 and 9) is kept nowhere: the provider is told of it too.
15. A login that has read the revocation starts anew; one that was begun before it is refused. So
    does a grant of another login that was handed over later.
"""

from dataclasses import replace
from datetime import datetime
from typing import TypeGuard, TypeVar, assert_never

from domain.commands import (
    Answer,
    AskForAuthorization,
    Decision,
    Effect,
    LeaveAlone,
    PointElsewhere,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.events import (
    DEFAULT_MIN_TTL,
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
from domain.failures import classify, note_failure, refuse, without_lapsed_lease
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
    last_revocation,
    place_of,
    tokens_of,
    usable_refresh_token,
)
from domain.instants import require_aware
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


def decide(grant: Grant, question: Question, policy: Policy, now: datetime) -> Decision:
    """Return what to answer to a question, or to do before, at one instant (aware UTC).

    Raises ValueError where an instant has no time zone.
    """
    require_aware(now, question)
    return _dated(_decide_question(grant, question, policy, now))


def apply(grant: Grant, event: Event, policy: Policy, now: datetime) -> Effect:
    """Return what an event makes of a grant, at one instant (aware UTC).

    Raises ValueError where an instant has no time zone.
    """
    require_aware(now, event)
    if isinstance(grant, Revoking | Revoked) and (late := late_tokens(grant, event)) is not None:
        return Effect(grant=grant, to_revoke=late)
    match event:
        case AttemptEnded():
            return Effect(grant=_end_attempt(grant, event, policy, now))
        case LoginCompleted():
            return Effect(grant=_log_in(grant, event, policy, now))
        case TokensRescued(tokens=tokens):
            return Effect(grant=_bring_back(grant, tokens))
        case MoveRequested():
            return Effect(grant=hand_over(grant, policy, now))
        case ReturnRequested():
            return Effect(grant=take_back(grant))
        case GrantArrived(moved=moved):
            return Effect(grant=take_over(grant, moved, now))
        case RevokeRequested() | RevocationEnded():
            return Effect(grant=revoke(grant, event, now))
        case _:
            assert_never(event)


def _dated(decision: Decision) -> Decision:
    """Have whoever logs in do so to what the record says now."""
    command = decision.command
    if not isinstance(command, AskForAuthorization):
        return decision
    return replace(decision, command=replace(command, read=place_of(decision.grant)))


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
    way = _request_or_obstacle(current, question, policy, now)
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
            lasts = grant.tokens.outlives(min_ttl, now) and not grant.tokens.may_be_over(now)
            # Who demands no more than everybody is better served by what is left than by nothing.
            is_refused = _is_refused(grant, policy, now)
            is_all_there_is = is_refused and min_ttl <= DEFAULT_MIN_TTL
            usable = lasts or (is_all_there_is and grant.tokens.is_alive(now))
            return Serve(tokens=grant.tokens) if usable and not may_be_dead else None
        case RefreshRequested(asked_at=asked_at):
            # Asked ahead of now means a clock gone back, by which no token would ever be new.
            is_new = grant.tokens.issued_at >= min(asked_at, now) - policy.refreshes_apart
            is_new = is_new and not grant.tokens.were_issued_ahead(now)
            usable = is_new and grant.tokens.is_alive(now) and not may_be_dead
            # What never expires, and cannot be replaced, is as good as new.
            lasts = grant.tokens.expires_at is None and grant.tokens.refresh_token is None
            return Serve(tokens=grant.tokens) if usable or lasts else None
        case RefreshDue():
            due = due_at(grant)
            spares_a_living_token = _is_risky(grant, policy, now) and grant.tokens.is_alive(now)
            # What is due by a clock that was ahead may be due by now.
            is_due = due is not None and (due <= now or grant.tokens.were_issued_ahead(now))
            return None if is_due and not spares_a_living_token else LeaveAlone()
        case _:
            assert_never(question)


def _is_refresh_wanted(grant: Kept, question: Question, policy: Policy, now: datetime) -> bool:
    """Whether a refresh is wanted even though there is an answer without one."""
    if not isinstance(question, TokenRequested) or _is_risky(grant, policy, now):
        return False
    if policy.provider.refresh_ends_access_token:
        return False
    return grant.tokens.is_near_end(policy.refresh_early, now) or grant.tokens.is_due(now)


def _is_risky(grant: Kept, policy: Policy, now: datetime) -> bool:
    """Whether a refresh may end everything, the living access token included.

    That is what providers make of a refresh token that was spent before (RFC 9700 §4.14.2),
    once no grace window covers it any more.
    """
    since = _doubt_of(grant)
    if since is None or policy.provider.replay_is_harmless:
        return False
    # Since an instant ahead means since some time before now.
    return policy.replay_until(since) <= now or since > now + policy.lease


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
    grant: Kept, question: Question, policy: Policy, now: datetime
) -> RefreshTokenRequest | Answer:
    if isinstance(grant, Refreshing):
        return Wait(until=policy.lands_by(grant.attempt))
    refresh_token = usable_refresh_token(grant.tokens, now)
    if isinstance(refresh_token, Cause):
        return AskForAuthorization(cause=refresh_token)
    if isinstance(grant, AuthorizationRequired) and _stands(grant, question, policy, now):
        return AskForAuthorization(cause=grant.cause, said=grant.said)
    setbacks = _setbacks_so_far(grant)
    if setbacks is not None and (at := _retry_at(setbacks, question, policy, now)) is not None:
        return TryLater(at=at, failure=setbacks.failure, said=setbacks.said)
    return RefreshTokenRequest(refresh_token=refresh_token)


def _stands(
    verdict: AuthorizationRequired, question: Question, policy: Policy, now: datetime
) -> bool:
    """Whether a final verdict is not to be asked for again by this question."""
    if verdict.client != policy.client:
        return policy.forbids(verdict.since + policy.other_client_wait, now)
    is_wanted = isinstance(question, RefreshRequested) and _may_pass(verdict)
    return not is_wanted or policy.forbids(verdict.since + policy.verdicts_apart, now)


def _may_pass(grant: Kept) -> bool:
    """Whether a final verdict may turn out to be none."""
    if not isinstance(grant, AuthorizationRequired):
        return False
    return grant.cause is Cause.REFRESH_TOKEN_REJECTED


def _retry_at(
    setbacks: Setbacks, question: Question, policy: Policy, now: datetime
) -> datetime | None:
    """Until when this question has to wait; None if it need not."""
    if setbacks.failure is not Failure.REFUSED:
        return setbacks.retry_at if policy.forbids(setbacks.retry_at, now) else None
    retry_at = setbacks.retry_at
    if isinstance(question, RefreshRequested):
        retry_at = min(retry_at, setbacks.at + policy.verdicts_apart)
    return retry_at if _binds(setbacks, now, policy) and now < retry_at else None


def _is_refused(grant: Kept, policy: Policy, now: datetime) -> bool:
    """Whether the provider has refused the refresh token, and it is not yet tried once more."""
    setbacks = _setbacks_so_far(grant)
    if setbacks is None or setbacks.failure is not Failure.REFUSED:
        return False
    return _binds(setbacks, now, policy) and now < setbacks.retry_at


def _binds(refusal: Setbacks, now: datetime, policy: Policy) -> bool:
    """Whether a refusal is to be believed; one that is ahead of now means a clock gone back.

    When it is tried again tells nothing: the end of an access token may be months ahead.
    """
    return now > refusal.at - policy.lease


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
    issued_at = min(_issued_at(attempt, grant, policy), now)
    tokens = before.refreshed(response, issued_at=issued_at, provider=policy.provider)
    if tokens.generation == before.generation and not _is_in_charge(grant, attempt):
        # The refresh token stays, and so does who is in charge; of two access tokens the one
        # that was asked for last wins.
        if issued_at <= before.issued_at and not before.were_issued_ahead(now):
            return grant
        return Authorized(tokens=tokens) if _may_pass(grant) else replace(grant, tokens=tokens)
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
        return refuse(grant, policy, now, said=said_by(outcome))
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
    if _is_late(grant, completed):
        return grant
    tokens = Tokens.first(
        completed.response,
        generation=0 if isinstance(grant, Tokenless) else grant.tokens.generation + 1,
        issued_at=min(completed.requested_at, now),
        provider=policy.provider,
        authorized_at=completed.authorized_at,
        place=max(place_of(grant), place_of(completed.read)) + 1,
        revoked=last_revocation(grant),
    )
    is_unwanted = _is_unwanted(tokens, grant, completed.precedence, policy, now)
    return grant if is_unwanted else Authorized(tokens=tokens)


def _is_late(grant: Grant, completed: LoginCompleted) -> bool:
    """Whether the login is there already, or a later one that was stored since it began.

    Counted by the tokens: a move does not end a login that was begun before it.
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
    there = take_back(grant)
    if precedence is Precedence.REPLACES or not isinstance(there, Authorized | Refreshing):
        return False
    # That an access token does not expire must have been declared, and not be merely assumed.
    is_endless = tokens.expires_at is None and policy.provider.access_token_lifetime is None
    lasts = tokens.refresh_token is not None or is_endless
    if there.tokens.can_refresh(now) and not lasts:
        return True
    works = there.tokens.freshness(now) is not Freshness.REFRESH_EXPIRED
    yields = precedence is Precedence.YIELDS
    return works and (yields or there.tokens.may_be_of_another(tokens.subject))


# Rule 9: rescue.


def _bring_back(grant: Grant, tokens: Tokens) -> Grant:
    if isinstance(grant, Tokenless) or tokens.are_newer_than(grant.tokens):
        brought = Authorized(tokens=tokens)
        if isinstance(grant, Moved) and grant.tokens.authorized_at == tokens.authorized_at:
            return replace(grant, grant=brought)
        return brought
    return grant

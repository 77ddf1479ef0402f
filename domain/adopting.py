"""Adoption of tokens that exist already: rules 16 and 17 of `decide.py`.

Another program got them. They are stored next to the grant that they are to replace, and replace it
once a refresh has proven them. So neither is lost, whenever this stops.
"""

from dataclasses import replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from domain.attempts import end_attempt
from domain.commands import Decision, Effect, NothingDue, Serve
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
from domain.failures import end_lapsed_lease
from domain.grant import (
    Active,
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Idle,
    Inactive,
    Moved,
    Proven,
    Refreshing,
    Revoked,
    Revoking,
    due_at,
    in_doubt_since,
    instant_after,
    last_revocation,
    place_of,
    tokens_of,
)
from domain.ledger import DONE, TOKENS_OF_ANOTHER_ACCOUNT, HistoryEvent, Note
from domain.logins import complete_login, keep_rescued
from domain.policy import Policy
from domain.provider import GrantType, Provider
from domain.question import Question, RefreshDue, RefreshRequested, TokenRequested
from domain.questions import answer_question, is_without_login
from domain.revoking import begin_revocation, end_revocation, late_tokens
from domain.token_endpoint import RevocationRequest, TokenResponse
from domain.tokens import Freshness, Tokens

# A refusal that proves that the refresh token was not used.
_UNUSED = frozenset({Failure.UNEXPLAINED, Failure.MISCONFIGURED})


class Obstacle(Enum):
    """Why tokens are not adopted."""

    # The grant works, or another adoption waits for its proof.
    IN_USE = "in-use"
    OTHER_ACCOUNT = "other-account"
    IN_FLIGHT = "in-flight"
    MOVED = "moved"


# Rule 16: adopt, and prove.


def adopt(grant: Grant, adopted: TokensAdopted, policy: Policy, now: datetime) -> Effect:
    """Store adopted tokens next to the grant, unless there is an obstacle (rule 16)."""
    if has_adopted(grant, adopted) or obstacle(grant, adopted, policy, now) is not None:
        return Effect(grant=grant)
    earlier = _idle(grant.earlier if isinstance(grant, Adopting) else grant, policy, now)
    if isinstance(earlier, Refreshing | Moved):
        raise AssertionError("an obstacle")  # noqa: TRY004 - a state, no wrong argument
    tokens = _unproven(adopted, grant, policy.provider, now)
    after = Adopting(grant=Authorized(tokens=tokens), earlier=earlier, replaces=adopted.replaces)
    note = Note(event=HistoryEvent.ADOPTED, generation=tokens.generation, outcome=DONE)
    return Effect(grant=after, note=note)


def has_adopted(grant: Grant, adopted: TokensAdopted) -> bool:
    """Whether the grant has this token, or tokens that came from it (rule 16)."""
    current = grant.grant if isinstance(grant, Adopting) else grant
    tokens = _active_tokens(current)
    came_from_it = tokens is not None and tokens.adopted == adopted.fingerprint
    return came_from_it or is_current(grant, adopted)


def is_current(grant: Grant, adopted: TokensAdopted) -> bool:
    """Whether the grant had this token already, without an adoption (rule 16)."""
    tokens = _active_tokens(grant)
    return (
        tokens is not None
        and tokens.refresh_token == adopted.refresh_token
        and tokens.adopted != adopted.fingerprint
    )


def _active_tokens(grant: Grant) -> Tokens | None:
    """Return the tokens of a grant that is used here, even if they were refused (rule 16).

    A token that was replaced must not be sent again: that may end the login (RFC 9700 §4.14.2).
    """
    return grant.tokens if isinstance(grant, Active) else None


def obstacle(
    grant: Grant, adopted: TokensAdopted, policy: Policy, now: datetime
) -> Obstacle | None:
    """Return why these tokens cannot be adopted now; None if they can (rule 16)."""
    if isinstance(grant, Moved):
        return Obstacle.MOVED
    if not adopted.replaces and _works(grant, now):
        return Obstacle.IN_USE
    if isinstance(grant, Adopting) and has_adopted(grant.earlier, adopted):
        # It may be spent, and the grant that came from it may be needed again.
        return Obstacle.IN_FLIGHT
    current = grant.grant if isinstance(grant, Adopting) else grant
    if isinstance(_idle(current, policy, now), Refreshing):
        return Obstacle.IN_FLIGHT
    return None if adopted.replaces else _account_obstacle(grant, adopted.subject)


def _account_obstacle(grant: Grant, subject: str | None) -> Obstacle | None:
    """Return whether another account is an obstacle (rule 16)."""
    tokens = tokens_of(grant)
    is_other = tokens is not None and tokens.belong_to_other_account(subject)
    return Obstacle.OTHER_ACCOUNT if is_other else None


def _works(grant: Grant, now: datetime) -> bool:
    """Whether a grant may not be replaced without `replaces` (rule 16)."""
    if isinstance(grant, Adopting):
        return True
    if not isinstance(grant, Authorized | Refreshing):
        return False
    if grant.tokens.grant_type is GrantType.CLIENT_CREDENTIALS:
        # No login is lost.
        return False
    return grant.tokens.freshness(now) is not Freshness.REFRESH_EXPIRED


def _idle(grant: Proven, policy: Policy, now: datetime) -> Proven:
    """End a lapsed lease: the unknown outcome stays with the grant (rule 16)."""
    return end_lapsed_lease(grant, policy, now) if isinstance(grant, Active) else grant


def _unproven(adopted: TokensAdopted, grant: Grant, provider: Provider, now: datetime) -> Tokens:
    """Return tokens whose access token has expired, so that it is never served (rule 16)."""
    before = tokens_of(grant)
    return Tokens(
        generation=0 if before is None else before.public_generation + 1,
        authorized_at=instant_after(grant, now),
        issued_at=now,
        access_token="",
        token_type="Bearer",
        scope=provider.scope if adopted.scope is None else adopted.scope,
        expires_at=now,
        refresh_token=adopted.refresh_token,
        # It was issued at an unknown time.
        refresh_token_expires_at=None,
        subject=adopted.subject,
        place=place_of(grant) + 1,
        revoked=last_revocation(grant),
        refresh_token_counted=provider.refresh_token_counted,
        adopted=adopted.fingerprint,
    )


def answer_adopting(grant: Adopting, question: Question, policy: Policy, now: datetime) -> Decision:
    """Serve the earlier access token while it is valid, or prove the adopted ones (rule 16)."""
    match question:
        case TokenRequested():
            if (tokens := _servable(grant.earlier, question, policy, now)) is not None:
                return Decision(grant=grant, command=Serve(tokens=tokens))
        case RefreshRequested(adopted=adopted):
            if adopted not in {None, grant.grant.tokens.adopted}:
                return Decision(grant=grant, command=NothingDue())
        case RefreshDue():
            if (due := due_at(grant)) is None or due > now:
                return Decision(grant=grant, command=NothingDue())
        case _:
            assert_never(question)
    proof = RefreshRequested(attempt_id=question.attempt_id, asked_at=now)
    decision = answer_question(grant.grant, proof, policy, now)
    return replace(decision, grant=_with(grant, decision.grant))


def answer_adoption(
    grant: Proven, question: RefreshRequested, policy: Policy, now: datetime
) -> Decision:
    """Answer a question about adopted tokens that are proven, or not in the record (rule 16)."""
    if not isinstance(grant, Active) or grant.tokens.adopted != question.adopted:
        return Decision(grant=grant, command=NothingDue())
    return answer_question(grant, TokenRequested(attempt_id=question.attempt_id), policy, now)


def _servable(
    earlier: Inactive | Idle, question: TokenRequested, policy: Policy, now: datetime
) -> Tokens | None:
    """Return the earlier tokens if they satisfy the caller; None if not (rule 16)."""
    if isinstance(earlier, Inactive) or is_without_login(earlier, policy.provider.grant_type):
        return None
    tokens = earlier.tokens
    failure_state = earlier.failure_state if isinstance(earlier, Authorized) else None
    lasts = tokens.outlives(question.min_ttl, now) and not tokens.may_have_expired(now)
    lasts = lasts and question.refused != tokens.public_generation
    return tokens if lasts and in_doubt_since(failure_state) is None else None


def _with(adopting: Adopting, grant: Grant) -> Grant:
    """Return the adoption with its own grant changed (rules 16 and 17)."""
    if grant is adopting.grant or not isinstance(grant, Authorized | Refreshing):
        return adopting
    return replace(adopting, grant=grant)


# Rule 17: the end of an adoption, and other events before it.


def apply_to_adoption(grant: Adopting, event: Event, policy: Policy, now: datetime) -> Effect:
    """Return the grant after an event before the proof (rule 17)."""
    match event:
        case AttemptEnded():
            return _end_proof(grant, event, policy, now)
        case LoginCompleted():
            return _log_in(grant, event, policy, now)
        case TokensRescued():
            return _keep_rescued(grant, event)
        case TokensAdopted():
            return adopt(grant, event, policy, now)
        case RevokeRequested():
            revoked = begin_revocation(grant.grant, now)
            return replace(revoked, to_revoke=_revocation_of(grant.earlier))
        case RevocationEnded():
            return Effect(grant=_with_earlier(grant, end_revocation(grant.earlier, event).grant))
        case MoveRequested() | ReturnRequested() | GrantArrived():
            # They wait for the proof.
            return Effect(grant=grant)
        case _:
            assert_never(event)


def _end_proof(grant: Adopting, ended: AttemptEnded, policy: Policy, now: datetime) -> Effect:
    """Replace the earlier grant by proven tokens, or keep it if they are refused (rule 17)."""
    effect = end_attempt(grant.grant, ended, policy, now)
    after = effect.grant
    if after is grant.grant:
        late = end_attempt(grant.earlier, ended, policy, now)
        return replace(late, grant=_with_earlier(grant, late.grant))
    if isinstance(ended.outcome, TokenResponse):
        is_wanted = grant.replaces or _account_obstacle(grant.earlier, _subject(after)) is None
        return effect if is_wanted else _refuse(grant, TOKENS_OF_ANOTHER_ACCOUNT)
    if isinstance(after, AuthorizationRequired):
        if after.cause is Cause.REFRESH_ANSWER_LOST and not _works(grant.earlier, now):
            # The lost answer may still come.
            return effect
        return _refuse(grant, after.cause.value, after.quote)
    if isinstance(after, Authorized) and (failed := after.failure_state) is not None:
        if failed.failure is Failure.REFUSED:
            # A last try waits for the end of the access token, which is over here.
            return _refuse(grant, Cause.REFRESH_TOKEN_REJECTED.value, failed.quote)
        if failed.failure in _UNUSED and failed.in_doubt_since is None:
            return _refuse(grant, failed.failure.value, failed.quote)
    return replace(effect, grant=_with(grant, after))


def _subject(grant: Grant) -> str | None:
    """Return the account of a grant, if it is known (rule 17)."""
    tokens = tokens_of(grant)
    return None if tokens is None else tokens.subject


def _refuse(grant: Adopting, outcome: str, quote: str | None = None) -> Effect:
    """Return to the earlier grant, and note why (rule 17)."""
    note = Note(
        event=HistoryEvent.ADOPTION_REFUSED,
        generation=grant.grant.tokens.generation,
        outcome=outcome,
        quote=quote,
    )
    return Effect(grant=grant.earlier, note=note)


def _log_in(grant: Adopting, completed: LoginCompleted, policy: Policy, now: datetime) -> Effect:
    """Start a new generation, if the login may replace both grants (rule 17)."""
    if complete_login(grant.earlier, completed, policy, now).grant is grant.earlier:
        return Effect(grant=grant)
    effect = complete_login(grant.grant, completed, policy, now)
    return Effect(grant=grant) if effect.grant is grant.grant else effect


def _keep_rescued(grant: Adopting, rescued: TokensRescued) -> Effect:
    """Store rescued tokens of the adoption, or of the earlier grant (rule 17)."""
    effect, earlier = keep_rescued(grant.grant, rescued.tokens), grant.earlier
    if effect.grant is not grant.grant:
        return effect
    if isinstance(earlier, Revoking | Revoked):
        return Effect(grant=grant, to_revoke=late_tokens(earlier, rescued))
    late = keep_rescued(earlier, rescued.tokens)
    return replace(late, grant=_with_earlier(grant, late.grant))


def _with_earlier(adopting: Adopting, earlier: Grant) -> Adopting:
    """Return the adoption with the earlier grant changed (rule 17)."""
    if earlier is adopting.earlier or not isinstance(earlier, Inactive | Idle):
        return adopting
    return replace(adopting, earlier=earlier)


def _revocation_of(earlier: Inactive | Idle) -> RevocationRequest | None:
    """Return the revocation of the earlier tokens, if there are any (rule 17)."""
    if isinstance(earlier, Inactive):
        return None
    tokens = earlier.tokens
    return RevocationRequest.for_tokens(
        access_token=tokens.access_token, refresh_token=tokens.refresh_token
    )

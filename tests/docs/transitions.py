"""Find how a grant changes state: drive `domain.decide` with all that happens, in every state.

Nothing here lists transitions. It begins with a connection to which nobody has logged in, applies
every question and event at instants that matter, and goes on from each grant that is new.
"""

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Question,
    RefreshDue,
    RefreshRequested,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokenRequested,
    TokensRescued,
)
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Moved,
    Refreshing,
    Revoking,
    Unauthorized,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import PRESETS
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
)
from domain.tokens import Tokens

Transitions: TypeAlias = Mapping[tuple[str, str], frozenset[str]]
"""From one state to another, by the names of their classes: what leads there, in words."""

_BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
_OURS = Policy(provider=PRESETS["digikey"], client="credentials")
# A verdict on a refresh token stands for the credentials that it was passed on.
POLICIES = (_OURS, replace(_OURS, client="other credentials"))
# At once; when a lease has run out; when an access token has expired; and a refresh token.
_LATER = (timedelta(0), timedelta(minutes=6), timedelta(hours=1), timedelta(days=91))

_RESPONSE = TokenResponse(
    access_token="access",
    token_type="Bearer",
    expires_in=timedelta(minutes=30),
    refresh_token="refresh",
    refresh_token_expires_in=timedelta(days=90),
    scope=None,
)
_OUTCOMES: Mapping[str, Outcome] = {
    "tokens": _RESPONSE,
    "no answer": NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout"),
    "not sent": NoAnswer(delivery=Delivery.NOT_SENT, reason="no route"),
    "unavailable": TokenErrorResponse(status=503, error=None),
    "refused": TokenErrorResponse(status=400, error="invalid_grant"),
}
# Enough for every state, after every other one.
_MOST_GRANTS = 2000


def members(union: object) -> tuple[type[Any], ...]:
    """Return the classes of a union of unions, in their order."""
    if get_origin(union) in {Union, UnionType}:
        return tuple(each for part in get_args(union) for each in members(part))
    assert isinstance(union, type)
    return (union,)


def name(event: Question | Event) -> str:
    """Say in words what happened: `TokenRequested` is "token requested"."""
    letters = (
        f" {letter.lower()}" if letter.isupper() else letter for letter in type(event).__name__
    )
    return "".join(letters).strip()


def transitions() -> Transitions:
    """Drive the domain; return each change of state, and by what it comes about."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for before, said, after in _walk():
        if type(before) is not type(after):
            found[type(before).__name__, type(after).__name__].add(said)
    return {states: frozenset(said) for states, said in found.items()}


def _walk() -> Iterator[tuple[Grant, str, Grant]]:
    """Yield each grant that was reached, an event, and what it makes of it."""
    begin: Grant = Unauthorized()
    waiting, known = deque([(begin, _BEGIN)]), {_kind(begin, _BEGIN)}
    while waiting:
        grant, then = waiting.popleft()
        for later in _LATER:
            now = then + later
            for said, event in events_for(grant, now):
                for policy in POLICIES:
                    after = taken(grant, event, policy, now)
                    yield grant, said, after
                    if (kind := _kind(after, now)) not in known:
                        assert len(known) < _MOST_GRANTS, "grants are told apart too finely"
                        known.add(kind)
                        waiting.append((after, now))


def taken(grant: Grant, event: Question | Event, policy: Policy, now: datetime) -> Grant:
    """Return what a question or an event makes of a grant."""
    if isinstance(event, Question):
        return decide(grant, event, policy, now).grant
    return apply(grant, event, policy, now).grant


def _kind(grant: Grant, now: datetime) -> tuple[object, ...]:
    """Tell grants apart by all that the rules look at, but not by every instant."""
    tokens = tokens_of(grant)
    kept = grant.grant if isinstance(grant, Moved) else grant
    failure_state = kept.failure_state if isinstance(kept, Authorized | Refreshing) else None
    return (
        type(grant),
        type(kept),
        kept.cause if isinstance(kept, AuthorizationRequired) else None,
        failure_state and (failure_state.failure, failure_state.in_doubt_since is None),
        tokens and (tokens.freshness(now), tokens.is_access_token_valid(now)),
    )


def events_for(grant: Grant, now: datetime) -> Iterator[tuple[str, Question | Event]]:
    """Yield all that can come to a grant, with its name and, of an attempt, its outcome."""
    for event in _plain_events(grant, now):
        yield name(event), event
    for attempt in _attempts(grant, now):
        for outcome_name, outcome in _OUTCOMES.items():
            ended = AttemptEnded(attempt=attempt, outcome=outcome)
            yield f"{name(ended)}: {outcome_name}", ended


def _plain_events(grant: Grant, now: datetime) -> Iterator[Question | Event]:
    yield TokenRequested(attempt_id="attempt")
    yield RefreshRequested(attempt_id="attempt", asked_at=now)
    yield RefreshDue(attempt_id="attempt")
    yield LoginCompleted(response=_RESPONSE, requested_at=now, read=grant)
    yield LoginCompleted(response=_RESPONSE, requested_at=now, read=Unauthorized())
    yield TokensRescued(tokens=_newer_tokens(grant, now))
    yield MoveRequested()
    yield ReturnRequested()
    for arrived in _arriving(_newer_tokens(grant, now), now):
        yield GrantArrived(moved=arrived, ledger=())
    yield RevokeRequested()
    request = grant.request if isinstance(grant, Revoking) else _REQUEST
    yield RevocationEnded(request=request, outcome=RevocationResult.REVOKED)
    yield RevocationEnded(request=request, outcome=_OUTCOMES["no answer"])  # type: ignore[arg-type]


_REQUEST = RevocationRequest.for_tokens(access_token="access", refresh_token="refresh")


def _newer_tokens(grant: Grant, now: datetime) -> Tokens:
    """Tokens of a later login than the grant's, as another place has them."""
    login = LoginCompleted(response=_RESPONSE, requested_at=now, read=grant)
    made = apply(grant, login, _OURS, now).grant
    tokens = tokens_of(made)
    if tokens is None or made is grant:
        tokens = tokens_of(apply(Unauthorized(), login, _OURS, now).grant)
    assert tokens is not None
    return tokens


def _arriving(tokens: Tokens, now: datetime) -> Iterator[Moved]:
    yield Moved(grant=Authorized(tokens=tokens), since=now, place=tokens.place + 9)
    refused = AuthorizationRequired(
        tokens=tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client=_OURS.client, since=now
    )
    yield Moved(grant=refused, since=now, place=tokens.place + 9)


def _attempts(grant: Grant, now: datetime) -> Iterator[Attempt]:
    """The attempt in flight, or one that has lost its lease and ends late."""
    if isinstance(grant, Refreshing):
        yield grant.attempt
    elif (tokens := tokens_of(grant)) is not None:
        yield Attempt(
            id="late",
            authorized_at=tokens.authorized_at,
            generation=tokens.generation,
            client=_OURS.client,
            started_at=now - timedelta(minutes=2),
        )

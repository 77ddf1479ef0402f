"""Find the transitions of a grant by applying every event to every state with `domain.decide`.

The search starts with a connection without a login. It applies every question and event at the
important times, and continues from each new grant.
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
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
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
    Requesting,
    Revoking,
    Unauthorized,
    tokens_of,
)
from domain.policy import Policy
from domain.provider import GrantType
from domain.providers.digikey import PROVIDER as DIGIKEY
from domain.question import Question, RefreshDue, RefreshRequested, TokenRequested
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
"""Pairs of states, by the names of their classes, with the events between them, in words."""

_BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
_OURS = Policy(provider=DIGIKEY, client="credentials")
# A refusal of a refresh token belongs to the credentials.
POLICIES = (
    _OURS,
    replace(_OURS, client="other credentials"),
    replace(_OURS, provider=replace(_OURS.provider, grant_type=GrantType.CLIENT_CREDENTIALS)),
)
# At once, and after the end of a lease, of an access token and of a refresh token.
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
# Enough for every state after every other one.
_MOST_GRANTS = 2000


def members(union: object) -> tuple[type[Any], ...]:
    """Return the classes of a union of unions, in their order."""
    if get_origin(union) in {Union, UnionType}:
        return tuple(each for part in get_args(union) for each in members(part))
    assert isinstance(union, type)
    return (union,)


def name(event: Question | Event) -> str:
    """Return an event in words: `TokenRequested` is "token requested"."""
    letters = (
        f" {letter.lower()}" if letter.isupper() else letter for letter in type(event).__name__
    )
    return "".join(letters).strip()


def transitions() -> Transitions:
    """Return each change of state, and the events that cause it."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for before, said, after in _walk():
        if type(before) is not type(after):
            found[type(before).__name__, type(after).__name__].add(said)
    return {states: frozenset(said) for states, said in found.items()}


def _walk() -> Iterator[tuple[Grant, str, Grant]]:
    """Yield each reached grant, an event, and the resulting grant."""
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
                        assert len(known) < _MOST_GRANTS, "_kind distinguishes too many grants"
                        known.add(kind)
                        waiting.append((after, now))


def taken(grant: Grant, event: Question | Event, policy: Policy, now: datetime) -> Grant:
    """Return the grant after a question or an event."""
    if isinstance(event, Question):
        return decide(grant, event, policy, now).grant
    return apply(grant, event, policy, now).grant


def _kind(grant: Grant, now: datetime) -> tuple[object, ...]:
    """Reduce a grant to what the rules distinguish, without its exact times."""
    tokens = tokens_of(grant)
    kept = grant.grant if isinstance(grant, Moved) else grant
    failing = Authorized | Refreshing | Unauthorized | Requesting
    failure_state = kept.failure_state if isinstance(kept, failing) else None
    return (
        type(grant),
        type(kept),
        kept.cause if isinstance(kept, AuthorizationRequired) else None,
        failure_state and (failure_state.failure, failure_state.in_doubt_since is None),
        tokens and (tokens.freshness(now), tokens.is_access_token_valid(now), tokens.grant_type),
    )


def events_for(grant: Grant, now: datetime) -> Iterator[tuple[str, Question | Event]]:
    """Yield every event for a grant, with its name and the outcome of an attempt."""
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
    """Return tokens of a later login than the grant's."""
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
    """Yield the attempt in flight, or one that lost its lease and ends late."""
    if isinstance(grant, Refreshing | Requesting):
        yield grant.attempt
    elif (tokens := tokens_of(grant)) is not None:
        yield Attempt(
            id="late",
            authorized_at=tokens.authorized_at,
            generation=tokens.generation,
            client=_OURS.client,
            started_at=now - timedelta(minutes=2),
        )

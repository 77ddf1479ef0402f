"""Values that the tests start from. Each test names only what it changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.commands import Decision, SendTokenRequest
from domain.decide import apply, decide
from domain.events import AttemptEnded
from domain.grant import Authorized, FailureState, Grant, Refreshing
from domain.ledger import Entry, HistoryEvent, Ledger
from domain.policy import Policy
from domain.provider import Provider, Rotation, RotationKind
from domain.providers.digikey import PROVIDER
from domain.question import TokenRequested
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse, TokenResponse
from domain.tokens import Tokens

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
# A short one, so that a boundary is a whole number of seconds away from everything else.
ACCESS_LIFE = timedelta(minutes=30)
REFRESH_LIFE = timedelta(days=90)

DIGIKEY = PROVIDER
POLICY = Policy(provider=DIGIKEY, client="client-1")

TOKENS = Tokens(
    generation=7,
    authorized_at=T0,
    issued_at=T0,
    access_token="access-7",
    token_type="Bearer",
    scope=None,
    expires_at=T0 + ACCESS_LIFE,
    refresh_token="refresh-7",
    refresh_token_expires_at=T0 + REFRESH_LIFE,
)
EXPIRED = T0 + ACCESS_LIFE
LEDGER: Ledger = (
    Entry(at=T0, event=HistoryEvent.LOGIN, generation=0, key_name=None, outcome="tokens"),
    Entry(
        at=T0 + SECOND, event=HistoryEvent.REFRESH, generation=1, key_name="ci", outcome="tokens"
    ),
)
RESPONSE = TokenResponse(
    access_token="access-8",
    token_type="Bearer",
    expires_in=ACCESS_LIFE,
    refresh_token="refresh-8",
    refresh_token_expires_in=REFRESH_LIFE,
    scope=None,
)


def provider(
    kind: RotationKind = RotationKind.ALWAYS, *, grace: timedelta = timedelta(0)
) -> Provider:
    """Return Digi-Key with another rotation."""
    return replace(DIGIKEY, rotation=Rotation(kind=kind, grace=grace))


def policy(kind: RotationKind = RotationKind.ALWAYS, *, grace: timedelta = timedelta(0)) -> Policy:
    """Return the policy for such a provider."""
    return replace(POLICY, provider=provider(kind, grace=grace))


def asked(*, id_: str = "attempt-1", min_ttl: timedelta = MINUTE) -> TokenRequested:
    """Return a program's request."""
    return TokenRequested(attempt_id=id_, min_ttl=min_ttl)


def begin(
    grant: Grant, now: datetime, by: Policy = POLICY, *, id_: str = "attempt-1"
) -> tuple[Refreshing, SendTokenRequest]:
    """Ask for a token where that must begin an attempt."""
    decision = decide(grant, asked(id_=id_), by, now)
    assert isinstance(decision.grant, Refreshing), decision
    assert isinstance(decision.command, SendTokenRequest), decision
    return decision.grant, decision.command


def end(
    grant: Grant, command: SendTokenRequest, outcome: Outcome, now: datetime, by: Policy = POLICY
) -> Grant:
    """Report the end of an attempt."""
    ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
    return apply(grant, ended, by, now).grant


def ask(grant: Grant, now: datetime, by: Policy = POLICY, *, id_: str = "attempt-2") -> Decision:
    """Ask for a token."""
    return decide(grant, asked(id_=id_), by, now)


def authorized(grant: Grant) -> Authorized:
    """Return the grant, which must have tokens and no attempt in flight."""
    assert isinstance(grant, Authorized), grant
    return grant


def failure_state_of(grant: Grant) -> FailureState:
    """Return the failures of a grant that has some."""
    failure_state = authorized(grant).failure_state
    assert failure_state is not None
    return failure_state


def fail(outcome: Outcome, at: datetime = EXPIRED, by: Policy = POLICY) -> Authorized:
    """Let an attempt begin when the access token expires, and end at `at`."""
    refreshing, command = begin(Authorized(tokens=TOKENS), EXPIRED, by)
    return authorized(end(refreshing, command, outcome, at, by))


TICK = timedelta(microseconds=1)
GRANT = Authorized(tokens=TOKENS)
UNKNOWN = NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout")
UNAVAILABLE = TokenErrorResponse(status=503, error=None)
NO_ROTATION = policy(RotationKind.NONE)
GRACE = policy(grace=10 * MINUTE)
SHORT_GRACE = policy(grace=30 * SECOND)

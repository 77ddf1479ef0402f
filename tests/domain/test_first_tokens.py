"""A client that needs no login (RFC 6749 §4.4): its first tokens, and those that follow."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import (
    AskForAuthorization,
    NothingDue,
    ReportMoved,
    SendTokenRequest,
    Serve,
    TryLater,
    Wait,
)
from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Precedence,
    RevocationEnded,
    RevokeRequested,
    TokensRescued,
)
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    Grant,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    last_revocation,
    place_of,
)
from domain.ledger import HistoryEvent, Note
from domain.policy import Policy
from domain.provider import AssumedLifetime, GrantType, LifetimeStart, RotationKind
from domain.question import Question, RefreshDue, RefreshRequested
from domain.questions import missing_authorization
from domain.token_endpoint import (
    ClientCredentialsRequest,
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenResponse,
    TokenTypeHint,
)
from domain.tokens import Freshness
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    EXPIRED,
    GRANT,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TICK,
    TOKENS,
    UNAVAILABLE,
    UNKNOWN,
    asked,
    authorized,
)

OWN_TYPE = GrantType.CLIENT_CREDENTIALS
# Digi-Key's refresh tokens rotate. That must not matter to client credentials.
OWN = replace(POLICY, provider=replace(DIGIKEY, grant_type=OWN_TYPE, scope="read"))
ENDS = replace(OWN, provider=replace(OWN.provider, refresh_ends_access_token=True))
REQUEST = ClientCredentialsRequest(scope="read")
ANSWER = replace(RESPONSE, refresh_token=None, refresh_token_expires_in=None)
INVALID_GRANT = TokenErrorResponse(status=400, error="invalid_grant", description="gone")
LEASE = OWN.lease
DEAD = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_ANSWER_LOST, client="client-1", since=EXPIRED
)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED, place=4)


def begin(grant: Grant, now: datetime, by: Policy = OWN) -> tuple[Requesting, SendTokenRequest]:
    """Ask for a token where that must begin a first request."""
    decision = decide(grant, asked(), by, now)
    assert isinstance(decision.grant, Requesting), decision
    assert isinstance(decision.command, SendTokenRequest), decision
    assert decision.command.request == ClientCredentialsRequest(scope=by.provider.scope)
    return decision.grant, decision.command


def end(grant: Grant, send: SendTokenRequest, outcome: Outcome, now: datetime) -> Grant:
    ended = AttemptEnded(attempt=send.attempt, outcome=outcome)
    return apply(grant, ended, OWN, now).grant


def started(now: datetime = T0, response: TokenResponse = ANSWER) -> Authorized:
    """Return a grant whose first tokens came at once."""
    return authorized(end(*begin(Unauthorized(), now), response, now))


def failed(outcome: Outcome) -> Unauthorized:
    """Return a grant whose first request failed at once."""
    grant = end(*begin(Unauthorized(), T0), outcome, T0)
    assert isinstance(grant, Unauthorized)
    return grant


def refresh(asked_at: datetime = T0) -> RefreshRequested:
    return RefreshRequested(attempt_id="attempt-2", asked_at=asked_at)


# Rules 2 and 3.


@pytest.mark.parametrize(
    ("grant", "place", "revoked"),
    [
        pytest.param(Unauthorized(), 0, 0, id="nothing yet"),
        pytest.param(REVOKED, 4, 4, id="revoked"),
        pytest.param(DEAD, 0, 0, id="login refused"),
        pytest.param(
            Authorized(tokens=replace(TOKENS, refresh_token=None, place=7, revoked=2)),
            7,
            2,
            id="login without a refresh token",
        ),
        pytest.param(
            Authorized(tokens=replace(TOKENS, refresh_token_expires_at=EXPIRED)),
            0,
            0,
            id="refresh token expired",
        ),
    ],
)
@pytest.mark.parametrize("question", [asked(), refresh(EXPIRED)], ids=["token", "refresh"])
def test_where_a_login_would_be_required_the_first_tokens_are_requested(
    grant: Grant, place: int, revoked: int, question: Question
) -> None:
    decision = decide(grant, question, OWN, EXPIRED + DAY)
    send, requesting = decision.command, decision.grant
    assert isinstance(send, SendTokenRequest)
    assert send.request == REQUEST
    assert send.send_by == EXPIRED + DAY + OWN.send_within
    assert requesting == Requesting(attempt=send.attempt)
    assert (send.attempt.started_at, send.attempt.generation) == (EXPIRED + DAY, 0)
    assert (send.attempt.client, send.attempt.id) == ("client-1", question.attempt_id)
    assert (place_of(requesting), last_revocation(requesting)) == (place, revoked)


@pytest.mark.parametrize("question", [asked(), refresh()], ids=["token", "refresh"])
def test_one_first_request_is_in_flight_and_others_wait(question: Question) -> None:
    requesting, _ = begin(Unauthorized(), T0)
    for now in (T0, T0 + LEASE - TICK, T0 - LEASE + TICK):
        decision = decide(requesting, question, OWN, now)
        assert decision.grant is requesting
        assert decision.command == Wait(until=T0 + LEASE)


def test_a_first_request_whose_lease_ran_out_is_repeated_at_once() -> None:
    requesting, _ = begin(Unauthorized(), T0)
    # A start far ahead is from a clock that was.
    for now in (T0 + LEASE, T0 - DAY):
        decision = decide(requesting, replace(asked(), attempt_id="attempt-2"), OWN, now)
        again = decision.grant
        assert isinstance(again, Requesting)
        assert again.attempt.id == "attempt-2"
        assert again.failure_state is not None
        assert again.failure_state.failure is Failure.UNKNOWN
        assert decision.note == Note(
            event=HistoryEvent.REFRESH_FAILED,
            generation=None,
            outcome="outcome-unknown",
            is_requested=False,
        )


@pytest.mark.parametrize(
    "grant",
    [Unauthorized(), REVOKED, begin(Unauthorized(), T0)[0], started(), DEAD],
    ids=lambda grant: type(grant).__name__,
)
def test_the_sweep_has_nothing_to_keep_alive(grant: Grant) -> None:
    decision = decide(grant, RefreshDue(attempt_id="attempt-2"), OWN, EXPIRED + 365 * DAY)
    assert decision.grant is grant
    assert decision.command == NothingDue()
    assert due_at(grant) is None


@pytest.mark.parametrize("outcome", [UNKNOWN, UNAVAILABLE, INVALID_GRANT])
def test_the_sweep_leaves_a_failed_refresh_alone(outcome: Outcome) -> None:
    refreshing = decide(started(), asked(), OWN, EXPIRED)
    assert isinstance(refreshing.command, SendTokenRequest)
    assert due_at(refreshing.grant) is None
    assert due_at(end(refreshing.grant, refreshing.command, outcome, EXPIRED)) is None


def test_a_grant_that_moved_only_reports_that() -> None:
    moved = apply(started(), MoveRequested(), OWN, T0).grant
    assert isinstance(moved, Moved)
    assert decide(moved, asked(), OWN, EXPIRED).command == ReportMoved(since=T0)
    requesting, _ = begin(Unauthorized(), T0)
    assert apply(requesting, MoveRequested(), OWN, T0).grant is requesting


# Rule 4.


def test_the_first_tokens_count_as_a_login_and_a_refresh_token_is_ignored() -> None:
    requesting, send = begin(REVOKED, T0 + DAY)
    effect = apply(
        requesting, AttemptEnded(attempt=send.attempt, outcome=RESPONSE), OWN, T0 + DAY + SECOND
    )
    tokens = authorized(effect.grant).tokens
    assert authorized(effect.grant).failure_state is None
    assert (tokens.refresh_token, tokens.refresh_token_expires_at) == (None, None)
    assert (tokens.access_token, tokens.grant_type) == ("access-8", OWN_TYPE)
    assert (tokens.issued_at, tokens.expires_at) == (T0 + DAY, T0 + DAY + ACCESS_LIFE)
    assert (tokens.authorized_at, tokens.generation) == (T0 + DAY, 0)
    assert (tokens.place, tokens.revoked, tokens.scope) == (5, 4, "read")
    assert effect.note == Note(event=HistoryEvent.REFRESH, generation=0, outcome="tokens")


def test_every_later_request_replaces_the_access_token_only() -> None:
    sliding = replace(
        OWN, provider=replace(OWN.provider, refresh_token_counted=LifetimeStart.USE, scope="new")
    )
    grant: Grant = started(response=RESPONSE)
    for number in range(1, 4):
        now = T0 + number * ACCESS_LIFE
        decision = decide(grant, asked(), sliding, now)
        assert isinstance(decision.command, SendTokenRequest)
        assert decision.command.request == ClientCredentialsRequest(scope="new")
        response = replace(RESPONSE, access_token=f"own-{number}")
        ended = AttemptEnded(attempt=decision.command.attempt, outcome=response)
        grant = apply(decision.grant, ended, sliding, now).grant
        tokens = authorized(grant).tokens
        assert (tokens.access_token, tokens.issued_at) == (f"own-{number}", now)
        assert (tokens.refresh_token, tokens.refresh_token_expires_at) == (None, None)
        assert (tokens.generation, tokens.authorized_at, tokens.place) == (0, T0, 1)
        assert (tokens.grant_type, tokens.scope) == (OWN_TYPE, "new")
        assert tokens.freshness(now + 365 * DAY) is Freshness.ACCESS_EXPIRED


def test_a_lifetime_is_assumed_where_the_provider_states_none() -> None:
    assumed = replace(
        OWN, provider=replace(OWN.provider, access_token_lifetime=AssumedLifetime(MINUTE))
    )
    requesting, send = begin(Unauthorized(), T0, assumed)
    ended = AttemptEnded(attempt=send.attempt, outcome=replace(ANSWER, expires_in=None))
    tokens = authorized(apply(requesting, ended, assumed, T0).grant).tokens
    assert tokens.expires_at == T0 + MINUTE


def test_first_tokens_that_have_expired_are_kept_and_not_served() -> None:
    requesting, send = begin(Unauthorized(), T0)
    ended = AttemptEnded(attempt=send.attempt, outcome=replace(ANSWER, expires_in=SECOND))
    effect = apply(requesting, ended, OWN, T0 + SECOND)
    failure_state = authorized(effect.grant).failure_state
    assert failure_state is not None
    assert failure_state.failure is Failure.EXPIRED_ON_ARRIVAL
    assert effect.note is not None
    assert effect.note.outcome == "expired-on-arrival"
    assert isinstance(decide(effect.grant, asked(), OWN, T0 + SECOND).command, SendTokenRequest)


@pytest.mark.parametrize("outcome", [ANSWER, UNKNOWN, INVALID_GRANT])
def test_only_the_first_request_in_flight_is_heard(outcome: Outcome) -> None:
    _, late = begin(Unauthorized(), T0)
    requesting = decide(Unauthorized(), asked(id_="attempt-2"), OWN, T0 + LEASE).grant
    assert end(requesting, late, outcome, T0 + LEASE) is requesting


def test_an_explicit_refresh_replaces_a_token_that_never_expires() -> None:
    endless = replace(OWN, provider=replace(OWN.provider, access_token_lifetime=None))
    requesting, send = begin(Unauthorized(), T0, endless)
    ended = AttemptEnded(attempt=send.attempt, outcome=replace(ANSWER, expires_in=None))
    grant = apply(requesting, ended, endless, T0).grant
    assert isinstance(decide(grant, asked(), endless, T0 + 999 * DAY).command, Serve)
    later = T0 + MINUTE
    assert isinstance(decide(grant, refresh(later), endless, later).command, SendTokenRequest)


def test_a_token_of_a_clock_that_was_ahead_is_replaced() -> None:
    grant = started(T0 + DAY)
    assert isinstance(decide(grant, asked(), OWN, T0).command, SendTokenRequest)


# Rules 6 and 7.


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        pytest.param(INVALID_GRANT, Failure.MISCONFIGURED, id="invalid_grant"),
        *(
            pytest.param(TokenErrorResponse(status=401, error=code), Failure.MISCONFIGURED, id=code)
            for code in ("invalid_client", "unauthorized_client", "invalid_scope", "invalid_token")
        ),
        pytest.param(TokenErrorResponse(status=400, error=None), Failure.UNEXPLAINED, id="silent"),
        pytest.param(UNAVAILABLE, Failure.UNAVAILABLE, id="503"),
        pytest.param(UNKNOWN, Failure.UNKNOWN, id="no answer"),
        pytest.param(
            NoAnswer(delivery=Delivery.NOT_SENT, reason="no"), Failure.NOT_SENT, id="not sent"
        ),
    ],
)
def test_no_failure_asks_for_a_login(outcome: Outcome, failure: Failure) -> None:
    first = failed(outcome)
    refreshing = decide(started(), asked(), OWN, EXPIRED)
    assert isinstance(refreshing.command, SendTokenRequest)
    second = authorized(end(refreshing.grant, refreshing.command, outcome, EXPIRED))
    for grant, now in ((first, T0), (second, EXPIRED)):
        assert grant.failure_state is not None
        assert grant.failure_state.failure is failure
        assert missing_authorization(grant, now, OWN_TYPE) is None
        command = decide(grant, asked(id_="attempt-2"), OWN, now).command
        waits = grant.failure_state.retry_at > now
        assert isinstance(command, TryLater if waits else SendTokenRequest)


def test_a_first_request_that_failed_backs_off_and_goes_on_afterwards() -> None:
    grant = failed(replace(INVALID_GRANT, retry_after=MINUTE))
    assert grant.failure_state is not None
    retry_at = grant.failure_state.retry_at
    assert retry_at == T0 + MINUTE
    for question in (asked(), refresh()):
        early = decide(grant, question, OWN, retry_at - TICK)
        assert early.grant is grant
        assert early.command == TryLater(
            at=retry_at, failure=Failure.MISCONFIGURED, quote="invalid_grant: gone"
        )
    requesting, send = begin(grant, retry_at)
    again = end(requesting, send, UNAVAILABLE, retry_at)
    assert isinstance(again, Unauthorized)
    assert again.failure_state is not None
    assert again.failure_state.failures == 2
    assert authorized(end(*begin(again, T0 + DAY), ANSWER, T0 + DAY)).failure_state is None


def test_the_note_on_a_failure_has_no_generation() -> None:
    requesting, send = begin(Unauthorized(), T0)
    effect = apply(requesting, AttemptEnded(attempt=send.attempt, outcome=INVALID_GRANT), OWN, T0)
    assert effect.note == Note(
        event=HistoryEvent.REFRESH_FAILED,
        generation=None,
        outcome="client-refused",
        quote="invalid_grant: gone",
    )


@pytest.mark.parametrize(
    ("policy", "wait"),
    [pytest.param(OWN, timedelta(0), id="harmless"), pytest.param(ENDS, LEASE, id="ends the old")],
)
def test_after_an_unknown_outcome_a_request_is_repeated_where_that_is_harmless(
    policy: Policy, wait: timedelta
) -> None:
    assert policy.provider.rotation.kind is RotationKind.ALWAYS
    refreshing = decide(started(), asked(), policy, EXPIRED)
    assert isinstance(refreshing.command, SendTokenRequest)
    ended = AttemptEnded(attempt=refreshing.command.attempt, outcome=UNKNOWN)
    grant = authorized(apply(refreshing.grant, ended, policy, EXPIRED).grant)
    assert grant.failure_state is not None
    assert grant.failure_state.retry_at == EXPIRED + wait


def test_a_login_in_use_keeps_its_own_rotation() -> None:
    decision = decide(GRANT, asked(), OWN, EXPIRED)
    assert isinstance(decision.command, SendTokenRequest)
    assert decision.command.request == RefreshTokenRequest(refresh_token="refresh-7")
    kept = authorized(end(decision.grant, decision.command, UNKNOWN, EXPIRED))
    assert kept.failure_state is not None
    assert kept.failure_state.retry_at == EXPIRED + LEASE


# Rules 8 and 9.


@pytest.mark.parametrize("precedence", [Precedence.RENEWS, Precedence.YIELDS])
@pytest.mark.parametrize("response", [RESPONSE, ANSWER], ids=["refresh token", "none"])
def test_any_login_replaces_tokens_of_client_credentials(
    response: TokenResponse, precedence: Precedence
) -> None:
    grant = started()
    completed = LoginCompleted(
        response=response, requested_at=T0 + SECOND, read=grant, precedence=precedence
    )
    after = authorized(apply(grant, completed, POLICY, T0 + SECOND).grant)
    assert after.tokens.grant_type is GrantType.AUTHORIZATION_CODE
    assert after.tokens.place == 2


@pytest.mark.parametrize(
    "grant",
    [started(), begin(Unauthorized(), T0)[0], failed(INVALID_GRANT)],
    ids=lambda grant: type(grant).__name__,
)
@pytest.mark.parametrize("now", [T0, EXPIRED], ids=["fresh", "expired"])
def test_with_logins_again_tokens_of_client_credentials_are_not_used(
    grant: Grant, now: datetime
) -> None:
    decision = decide(grant, asked(), POLICY, now)
    assert decision.grant is grant
    assert decision.command == AskForAuthorization(cause=Cause.NEVER_AUTHORIZED)
    cause = missing_authorization(grant, now, GrantType.AUTHORIZATION_CODE)
    assert cause is Cause.NEVER_AUTHORIZED


def test_rescued_tokens_and_a_grant_that_arrives_end_the_first_request() -> None:
    requesting, _ = begin(Unauthorized(), T0)
    own = started()
    assert apply(requesting, TokensRescued(tokens=own.tokens), OWN, T0).grant == own
    moved = apply(own, MoveRequested(), OWN, T0).grant
    assert isinstance(moved, Moved)
    arrived = GrantArrived(moved=moved, ledger=())
    assert apply(requesting, arrived, OWN, T0).grant == own
    later = apply(own, TokensRescued(tokens=replace(own.tokens, access_token="old")), OWN, T0)
    assert later.grant is own


# Rules 13 to 15.


def test_after_a_revocation_the_next_question_gets_new_tokens() -> None:
    revoking = apply(started(), RevokeRequested(), OWN, T0 + SECOND).grant
    assert isinstance(revoking, Revoking)
    assert revoking.request.token_type_hint is TokenTypeHint.ACCESS_TOKEN
    until = T0 + SECOND + LEASE
    waiting = decide(revoking, asked(), OWN, until - TICK)
    assert (waiting.grant, waiting.command) == (revoking, Wait(until=until))
    ended = RevocationEnded(request=revoking.request, outcome=RevocationResult.REVOKED)
    revoked = apply(revoking, ended, OWN, T0 + SECOND).grant
    tokens = authorized(end(*begin(revoked, T0 + SECOND), ANSWER, T0 + SECOND)).tokens
    assert (tokens.place, tokens.revoked) == (3, 2)
    assert tokens.authorized_at > T0 + SECOND
    # Its instance may have stopped.
    requesting, _ = begin(revoking, until)
    assert apply(requesting, ended, OWN, until).grant is requesting


def test_tokens_from_before_a_revocation_are_not_stored() -> None:
    refreshing = decide(started(), asked(id_="attempt-2"), OWN, EXPIRED)
    assert isinstance(refreshing.grant, Refreshing)
    assert isinstance(refreshing.command, SendTokenRequest)
    revoking = apply(refreshing.grant, RevokeRequested(), OWN, EXPIRED).grant
    late = AttemptEnded(attempt=refreshing.command.attempt, outcome=ANSWER)
    effect = apply(revoking, late, OWN, EXPIRED)
    assert effect.grant is revoking
    assert effect.to_revoke is not None
    assert effect.to_revoke.token == ANSWER.access_token
    requesting, _ = begin(REVOKED, EXPIRED)
    assert apply(requesting, late, OWN, EXPIRED).grant is requesting


def test_nothing_is_revoked_while_there_is_no_token() -> None:
    requesting, _ = begin(Unauthorized(), T0)
    for grant in (requesting, failed(UNAVAILABLE)):
        assert apply(grant, RevokeRequested(), OWN, T0).grant is grant

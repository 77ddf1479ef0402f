"""Tokens that exist already: they replace the earlier grant once a refresh has proven them."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.adopting import Obstacle, has_adopted, is_current, obstacle
from domain.commands import Decision, NothingDue, SendTokenRequest, Serve, TryLater, Wait
from domain.decide import apply, decide
from domain.error_meanings import quote_of
from domain.events import (
    AttemptEnded,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Precedence,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensAdopted,
    TokensRescued,
)
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Idle,
    Inactive,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
    due_at,
    last_revocation,
    place_of,
    tokens_of,
)
from domain.ledger import DONE, TOKENS_OF_ANOTHER_ACCOUNT, HistoryEvent, Note
from domain.policy import Policy
from domain.provider import GrantType, LifetimeStart
from domain.question import RefreshDue, RefreshRequested
from domain.questions import missing_authorization
from domain.token_endpoint import (
    Outcome,
    RefreshTokenRequest,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from tests.domain.examples import (
    DAY,
    EXPIRED,
    GRACE,
    GRANT,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    UNAVAILABLE,
    UNKNOWN,
    ask,
    asked,
)

NOW = T0 + MINUTE
ADOPTED = TokensAdopted(
    refresh_token="from-elsewhere", fingerprint="print", scope="a b", subject=None
)
REPLACING = replace(ADOPTED, replaces=True)
REFUSED = TokenErrorResponse(status=400, error="invalid_grant")
BAD_CLIENT = TokenErrorResponse(status=401, error="invalid_client")
NO_REASON = TokenErrorResponse(status=400, error=None)
RESULT = replace(RESPONSE, access_token="proven", refresh_token="proven-refresh")
DEAD = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client=POLICY.client, since=T0
)
REQUEST = RevocationRequest(token="last", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
REVOKING = Revoking(request=REQUEST, at=T0, place=3)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED, place=3)
OWN = Authorized(
    tokens=replace(TOKENS, refresh_token=None, grant_type=GrantType.CLIENT_CREDENTIALS)
)
EARLIER = [
    pytest.param(Unauthorized(), id="unauthorized"),
    pytest.param(REVOKED, id="revoked"),
    pytest.param(REVOKING, id="revoking"),
    pytest.param(DEAD, id="refused"),
    pytest.param(GRANT, id="works"),
    pytest.param(OWN, id="of client credentials"),
]


def adopt(
    grant: Grant, event: TokensAdopted = REPLACING, now: datetime = NOW, by: Policy = POLICY
) -> Adopting:
    """Adopt where nothing is in the way."""
    after = apply(grant, event, by, now).grant
    assert isinstance(after, Adopting), after
    return after


def prove(
    grant: Grant, now: datetime = NOW, by: Policy = POLICY, id_: str = "proof"
) -> tuple[Adopting, SendTokenRequest]:
    """Begin the proof."""
    question = RefreshRequested(attempt_id=id_, asked_at=now, adopted="print")
    decision = decide(grant, question, by, now)
    assert isinstance(decision.grant, Adopting), decision
    assert isinstance(decision.command, SendTokenRequest), decision
    return decision.grant, decision.command


def proven(grant: Grant, outcome: Outcome, now: datetime = NOW, by: Policy = POLICY) -> Grant:
    """Adopt, prove, and end the proof."""
    refreshing, command = prove(adopt(grant, now=now, by=by), now, by)
    return apply(refreshing, AttemptEnded(attempt=command.attempt, outcome=outcome), by, now).grant


# Rule 16: adopt.


@pytest.mark.parametrize("earlier", EARLIER)
def test_adopted_tokens_are_stored_next_to_the_earlier_grant(earlier: Inactive | Idle) -> None:
    effect = apply(earlier, REPLACING, POLICY, NOW)
    assert isinstance(effect.grant, Adopting)
    assert effect.grant.earlier is earlier
    tokens = effect.grant.grant.tokens
    assert effect.note == Note(
        event=HistoryEvent.ADOPTED, generation=tokens.generation, outcome=DONE
    )
    assert (tokens.refresh_token, tokens.scope) == ("from-elsewhere", "a b")
    # Never served.
    assert (tokens.access_token, tokens.token_type) == ("", "Bearer")
    before = tokens_of(earlier)
    assert tokens.generation == (0 if before is None else before.public_generation + 1)
    assert place_of(effect.grant) == place_of(earlier) + 1
    assert last_revocation(effect.grant) == last_revocation(earlier)
    assert due_at(effect.grant) == NOW
    assert missing_authorization(effect.grant, NOW, POLICY.provider.grant_type) is None


@pytest.mark.parametrize("earlier", EARLIER)
def test_the_next_refresh_sends_the_adopted_token_and_replaces_the_earlier_grant(
    earlier: Inactive | Idle,
) -> None:
    _, command = prove(adopt(earlier))
    assert command.request == RefreshTokenRequest(refresh_token="from-elsewhere")
    after = proven(earlier, RESULT)
    assert isinstance(after, Authorized)
    assert (after.tokens.access_token, after.tokens.refresh_token) == ("proven", "proven-refresh")
    assert after.tokens.scope == "a b"
    before = tokens_of(earlier)
    assert after.tokens.generation > (-1 if before is None else before.generation)
    assert has_adopted(after, ADOPTED)


LAPSED = Refreshing(
    tokens=TOKENS,
    attempt=prove(adopt(Unauthorized()))[1].attempt,
    failure_state=None,
)
MOVED = Moved(grant=GRANT, since=T0)
KNOWN = Authorized(tokens=replace(TOKENS, subject="alice", refresh_token_expires_at=EXPIRED))
OTHER = replace(ADOPTED, subject="bob")


@pytest.mark.parametrize(
    ("grant", "event", "now", "expected"),
    [
        pytest.param(GRANT, ADOPTED, NOW, Obstacle.IN_USE, id="works"),
        pytest.param(GRANT, ADOPTED, T0 + 90 * DAY, None, id="has expired"),
        pytest.param(GRANT, REPLACING, NOW, None, id="works, replaced"),
        pytest.param(DEAD, ADOPTED, NOW, None, id="refused"),
        pytest.param(OWN, ADOPTED, NOW, None, id="of client credentials"),
        pytest.param(LAPSED, ADOPTED, NOW, Obstacle.IN_USE, id="in flight, works"),
        pytest.param(LAPSED, REPLACING, NOW, Obstacle.IN_FLIGHT, id="in flight"),
        pytest.param(LAPSED, REPLACING, NOW + MINUTE, None, id="lapsed"),
        pytest.param(MOVED, REPLACING, NOW, Obstacle.MOVED, id="moved"),
        pytest.param(KNOWN, OTHER, EXPIRED, Obstacle.OTHER_ACCOUNT, id="another account"),
        pytest.param(KNOWN, replace(OTHER, replaces=True), EXPIRED, None, id="account, replaced"),
        pytest.param(KNOWN, ADOPTED, EXPIRED, None, id="account unknown"),
        pytest.param(KNOWN, replace(OTHER, subject="alice"), EXPIRED, None, id="same account"),
    ],
)
def test_an_obstacle_changes_nothing(
    grant: Grant, event: TokensAdopted, now: datetime, expected: Obstacle | None
) -> None:
    assert obstacle(grant, event, POLICY, now) is expected
    after = apply(grant, event, POLICY, now).grant
    assert (after is grant) is (expected is not None)


def test_the_scope_and_the_start_of_the_lifetime_are_the_provider_s() -> None:
    provider = replace(POLICY.provider, scope="c", refresh_token_counted=LifetimeStart.LOGIN)
    without = replace(ADOPTED, scope=None)
    tokens = adopt(Unauthorized(), without, by=replace(POLICY, provider=provider)).grant.tokens
    assert (tokens.scope, tokens.refresh_token_counted) == ("c", LifetimeStart.LOGIN)


def test_the_account_of_adopted_tokens_stays_with_them() -> None:
    assert adopt(Unauthorized(), OTHER).grant.tokens.subject == "bob"


def test_a_lapsed_attempt_of_the_earlier_grant_stays_in_doubt() -> None:
    after = adopt(LAPSED, now=NOW + MINUTE)
    assert isinstance(after.earlier, Authorized)
    assert after.earlier.failure_state is not None
    assert after.earlier.failure_state.in_doubt_since == NOW


def test_the_same_token_again_changes_nothing() -> None:
    waiting, after = adopt(GRANT), proven(GRANT, RESULT)
    for grant in (waiting, prove(waiting)[0], after):
        assert has_adopted(grant, REPLACING)
        assert apply(grant, REPLACING, POLICY, NOW).grant is grant
    current = replace(REPLACING, refresh_token="refresh-7")
    for grant in (GRANT, DEAD):
        assert apply(grant, current, POLICY, NOW).grant is grant
    assert isinstance(after, Authorized)
    refused = replace(DEAD, tokens=after.tokens)
    assert apply(refused, REPLACING, POLICY, NOW).grant is refused


def test_a_token_is_current_if_it_is_here_without_an_adoption() -> None:
    here = replace(ADOPTED, refresh_token="refresh-7")
    assert is_current(GRANT, here)
    assert not is_current(GRANT, ADOPTED)
    after = proven(GRANT, RESULT)
    # It came from the adopted one.
    assert not is_current(after, replace(ADOPTED, refresh_token="proven-refresh"))
    assert is_current(after, replace(ADOPTED, refresh_token="proven-refresh", fingerprint="other"))


def test_another_token_waits_for_the_proof_unless_it_replaces() -> None:
    waiting = adopt(GRANT)
    second = replace(ADOPTED, refresh_token="second", fingerprint="second print")
    assert obstacle(waiting, second, POLICY, NOW) is Obstacle.IN_USE
    replacing = replace(second, replaces=True)
    assert obstacle(prove(waiting)[0], replacing, POLICY, NOW) is Obstacle.IN_FLIGHT
    after = adopt(waiting, replacing)
    assert after.earlier is GRANT
    assert after.grant.tokens.refresh_token == "second"


SECOND_TOKEN = replace(REPLACING, refresh_token="second", fingerprint="second print")


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(REPLACING, id="the adopted token"),
        pytest.param(replace(REPLACING, refresh_token="proven-refresh", fingerprint="3"), id="its"),
    ],
)
@pytest.mark.parametrize("is_refused", [False, True], ids=["works", "refused"])
def test_a_token_that_the_earlier_grant_came_from_is_not_adopted_meanwhile(
    again: TokensAdopted, *, is_refused: bool
) -> None:
    earlier = proven(GRANT, RESULT)
    assert isinstance(earlier, Authorized)
    waiting = adopt(replace(DEAD, tokens=earlier.tokens) if is_refused else earlier, SECOND_TOKEN)
    assert obstacle(waiting, again, POLICY, NOW) is Obstacle.IN_FLIGHT
    assert apply(waiting, again, POLICY, NOW).grant is waiting


# Rule 16: questions before the proof.


def test_the_earlier_access_token_is_served_until_it_expires() -> None:
    waiting = adopt(GRANT)
    assert ask(waiting, NOW) == Decision(grant=waiting, command=Serve(tokens=TOKENS))
    assert ask(prove(waiting)[0], NOW).command == Serve(tokens=TOKENS)
    command = ask(waiting, EXPIRED).command
    assert isinstance(command, SendTokenRequest)
    assert command.request == RefreshTokenRequest(refresh_token="from-elsewhere")
    assert isinstance(ask(prove(waiting)[0], NOW + MINUTE - SECOND).command, Serve)


def test_the_access_token_of_a_refused_grant_is_served_until_it_expires() -> None:
    assert ask(adopt(DEAD), NOW).command == Serve(tokens=TOKENS)


def test_an_access_token_of_a_clock_that_was_ahead_is_not_served() -> None:
    assert isinstance(ask(adopt(GRANT), T0 - DAY).command, SendTokenRequest)


def test_an_earlier_access_token_in_doubt_is_not_served() -> None:
    doubt = FailureState(failures=1, failure=Failure.UNKNOWN, at=T0, retry_at=T0, in_doubt_since=T0)
    waiting = adopt(replace(GRANT, failure_state=doubt))
    assert isinstance(ask(waiting, NOW).command, SendTokenRequest)


def test_an_earlier_access_token_of_client_credentials_is_not_served() -> None:
    waiting = adopt(OWN)
    assert isinstance(ask(waiting, NOW).command, SendTokenRequest)
    by = replace(POLICY, provider=replace(POLICY.provider, grant_type=GrantType.CLIENT_CREDENTIALS))
    # The settings were changed meanwhile: it is in use again, and then the proof goes on.
    assert ask(waiting, NOW, by).command == Serve(tokens=OWN.tokens)
    assert isinstance(ask(waiting, EXPIRED, by).command, SendTokenRequest)


def test_a_first_request_in_flight_is_no_obstacle() -> None:
    attempt = prove(adopt(Unauthorized()))[1].attempt
    requesting = Requesting(attempt=attempt, place=2, revoked=1)
    waiting = adopt(requesting, ADOPTED)
    assert (waiting.earlier, place_of(waiting), last_revocation(waiting)) == (requesting, 3, 1)
    late = AttemptEnded(attempt=attempt, outcome=RESPONSE)
    assert apply(waiting, late, POLICY, NOW).grant is waiting


@pytest.mark.parametrize("within", [SECOND, 5 * MINUTE, DAY], ids=str)
def test_no_proof_is_too_early(within: timedelta) -> None:
    """The access token of an adoption counts as expired, also where providers refuse early ones."""
    by = replace(POLICY, provider=replace(POLICY.provider, refresh_only_within=within))
    waiting, command = prove(adopt(GRANT, by=by), by=by)
    refused = AttemptEnded(attempt=command.attempt, outcome=REFUSED)
    effect = apply(waiting, refused, by, NOW)
    assert effect.grant is GRANT
    assert effect.note is not None
    assert effect.note.outcome == Cause.REFRESH_TOKEN_REJECTED.value
    assert effect.note.quote == "invalid_grant"


def test_a_caller_without_an_earlier_token_waits_for_the_proof() -> None:
    refreshing, _ = prove(adopt(Unauthorized()))
    decision = ask(refreshing, NOW)
    assert isinstance(decision.command, Wait)
    assert decision.grant is refreshing


def test_the_sweep_proves_what_its_instance_did_not() -> None:
    waiting, due = adopt(GRANT), RefreshDue(attempt_id="sweep")
    assert isinstance(decide(waiting, due, POLICY, NOW).command, SendTokenRequest)
    early = decide(waiting, due, POLICY, NOW - SECOND)
    assert (early.grant, early.command) == (waiting, NothingDue())
    refreshing, _ = prove(waiting)
    assert due_at(refreshing) == NOW
    assert isinstance(decide(refreshing, due, POLICY, NOW + SECOND).command, Wait)


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param(GRANT, id="another grant"),
        pytest.param(Unauthorized(), id="none"),
        pytest.param(MOVED, id="moved"),
        pytest.param(adopt(GRANT, replace(REPLACING, fingerprint="other")), id="another adoption"),
    ],
)
def test_a_proof_of_tokens_that_are_not_in_the_record_is_not_due(grant: Grant) -> None:
    question = RefreshRequested(attempt_id="proof", asked_at=NOW, adopted="print")
    decision = decide(grant, question, POLICY, NOW)
    assert (decision.grant, decision.command) == (grant, NothingDue())


def test_a_repeated_proof_serves_what_the_first_one_brought() -> None:
    after = proven(GRANT, RESULT)
    question = RefreshRequested(attempt_id="proof", asked_at=NOW + 5 * MINUTE, adopted="print")
    command = decide(after, question, POLICY, NOW + 5 * MINUTE).command
    assert isinstance(command, Serve)
    assert command.tokens.access_token == "proven"
    later = decide(after, question, POLICY, NOW + DAY).command
    assert isinstance(later, SendTokenRequest)
    assert later.attempt.id == "proof"


# Rule 17: the end of the proof.


@pytest.mark.parametrize("earlier", EARLIER)
@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        pytest.param(REFUSED, Cause.REFRESH_TOKEN_REJECTED.value, id="refused"),
        pytest.param(BAD_CLIENT, Failure.MISCONFIGURED.value, id="bad client"),
        pytest.param(NO_REASON, Failure.UNEXPLAINED.value, id="no reason"),
    ],
)
def test_a_refusal_returns_to_the_earlier_grant(
    earlier: Inactive | Idle, outcome: TokenErrorResponse, word: str
) -> None:
    refreshing, command = prove(adopt(earlier))
    ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
    effect = apply(refreshing, ended, POLICY, NOW)
    assert effect.grant is earlier
    assert effect.note is not None
    assert (effect.note.event, effect.note.outcome) == (HistoryEvent.ADOPTION_REFUSED, word)
    assert effect.note.generation == refreshing.grant.tokens.generation
    assert effect.note.quote == quote_of(outcome)


@pytest.mark.parametrize("earlier", EARLIER)
@pytest.mark.parametrize("outcome", [UNKNOWN, UNAVAILABLE], ids=["unknown", "unavailable"])
def test_any_other_failure_keeps_both(earlier: Inactive | Idle, outcome: Outcome) -> None:
    after = proven(earlier, outcome)
    assert isinstance(after, Adopting)
    assert after.earlier is earlier
    question = RefreshRequested(attempt_id="again", asked_at=NOW, adopted="print")
    assert isinstance(decide(after, question, POLICY, NOW).command, TryLater)
    retried, command = prove(after, NOW + 5 * MINUTE)
    ended = AttemptEnded(attempt=command.attempt, outcome=RESULT)
    assert has_adopted(apply(retried, ended, POLICY, NOW + 5 * MINUTE).grant, ADOPTED)


@pytest.mark.parametrize(
    ("earlier", "stays"),
    [pytest.param(GRANT, True, id="works"), pytest.param(Unauthorized(), False, id="does not")],
)
def test_a_refusal_after_a_lost_answer_keeps_what_works(
    earlier: Inactive | Idle, *, stays: bool
) -> None:
    later = NOW + 5 * MINUTE
    refreshing, first = prove(adopt(earlier))
    retried, second = prove(refreshing, later, id_="second")
    after = apply(retried, AttemptEnded(attempt=second.attempt, outcome=REFUSED), POLICY, later)
    assert (after.grant is earlier) is stays
    if stays:
        assert after.note is not None
        assert after.note.outcome == Cause.REFRESH_ANSWER_LOST.value
        assert after.note.quote == "invalid_grant"
        return
    assert isinstance(after.grant, AuthorizationRequired)
    assert after.grant.cause is Cause.REFRESH_ANSWER_LOST
    # The answer of the first attempt comes late.
    ended = AttemptEnded(attempt=first.attempt, outcome=RESULT)
    revived = apply(after.grant, ended, POLICY, later).grant
    assert has_adopted(revived, ADOPTED)


def test_a_refusal_of_the_client_in_doubt_keeps_both() -> None:
    lost = proven(GRANT, UNKNOWN, by=GRACE)
    retried, command = prove(lost, NOW + 2 * MINUTE, GRACE)
    ended = AttemptEnded(attempt=command.attempt, outcome=BAD_CLIENT)
    assert isinstance(apply(retried, ended, GRACE, NOW + 2 * MINUTE).grant, Adopting)


@pytest.mark.parametrize(
    ("replaces", "subject", "is_adopted"),
    [
        pytest.param(False, "bob", False, id="another"),
        pytest.param(True, "bob", True, id="another, replaced"),
        pytest.param(False, "alice", True, id="same"),
        pytest.param(False, None, True, id="unknown"),
    ],
)
def test_the_account_of_the_proof_is_compared(
    *, replaces: bool, subject: str | None, is_adopted: bool
) -> None:
    waiting = adopt(KNOWN, replace(ADOPTED, replaces=replaces), EXPIRED)
    refreshing, command = prove(waiting, EXPIRED)
    response = replace(RESULT, subject=subject)
    ended = AttemptEnded(attempt=command.attempt, outcome=response)
    effect = apply(refreshing, ended, POLICY, EXPIRED)
    assert has_adopted(effect.grant, ADOPTED) is is_adopted
    assert effect.note is not None
    if not is_adopted:
        assert effect.grant is KNOWN
        assert effect.note.outcome == TOKENS_OF_ANOTHER_ACCOUNT


# Rule 17: other events before the proof.


def test_late_tokens_of_the_earlier_grant_stay_with_it() -> None:
    waiting = adopt(LAPSED, now=NOW + MINUTE)
    ended = AttemptEnded(
        attempt=replace(LAPSED.attempt, authorized_at=T0, generation=7), outcome=RESPONSE
    )
    after = apply(waiting, ended, POLICY, NOW + MINUTE).grant
    assert isinstance(after, Adopting)
    assert after.grant is waiting.grant
    assert after.tokens.refresh_token == "refresh-8"


def test_late_failures_change_nothing() -> None:
    waiting = adopt(GRANT)
    _, command = prove(waiting)
    ended = AttemptEnded(attempt=command.attempt, outcome=REFUSED)
    assert apply(waiting, ended, POLICY, NOW).grant is waiting


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_revocation_ends_both(earlier: Inactive | Idle) -> None:
    effect = apply(adopt(earlier), RevokeRequested(), POLICY, NOW)
    assert isinstance(effect.grant, Revoking)
    assert effect.grant.request.token == "from-elsewhere"
    # There is no access token before the proof, and some providers revoke by that one.
    assert effect.grant.request.access_token is None
    revoked = None if effect.to_revoke is None else effect.to_revoke.token
    before = tokens_of(earlier)
    assert revoked == (None if before is None else before.refresh_token or before.access_token)


def test_the_end_of_an_earlier_revocation_is_stored() -> None:
    waiting = adopt(REVOKING)
    ended = RevocationEnded(request=REQUEST, outcome=RevocationResult.REVOKED)
    after = apply(waiting, ended, POLICY, NOW).grant
    assert isinstance(after, Adopting)
    assert isinstance(after.earlier, Revoked)


@pytest.mark.parametrize(
    ("earlier", "precedence", "is_stored"),
    [
        pytest.param(GRANT, Precedence.YIELDS, False, id="works, yields"),
        pytest.param(GRANT, Precedence.RENEWS, True, id="works, renews"),
        pytest.param(KNOWN, Precedence.RENEWS, False, id="another account"),
        pytest.param(Unauthorized(), Precedence.REPLACES, True, id="replaces"),
    ],
)
def test_a_login_replaces_both_if_it_may_replace_each(
    earlier: Inactive | Idle, precedence: Precedence, *, is_stored: bool
) -> None:
    waiting = adopt(earlier)
    login = LoginCompleted(
        response=RESPONSE, requested_at=NOW + SECOND, precedence=precedence, read=waiting
    )
    after = apply(waiting, login, POLICY, NOW + SECOND).grant
    assert isinstance(after, Authorized) is is_stored
    if is_stored:
        assert place_of(after) == place_of(waiting) + 1
    else:
        assert after is waiting


def test_a_login_that_began_before_an_adoption_is_late() -> None:
    waiting = adopt(Unauthorized())
    login = LoginCompleted(response=RESPONSE, requested_at=T0, read=Unauthorized())
    assert apply(waiting, login, POLICY, NOW).grant is waiting


def test_rescued_tokens_go_where_they_belong() -> None:
    waiting = adopt(GRANT)
    after = proven(GRANT, RESULT)
    assert isinstance(after, Authorized)
    rescued = TokensRescued(tokens=after.tokens)
    assert apply(waiting, rescued, POLICY, NOW).grant == after
    earlier = TokensRescued(tokens=replace(TOKENS, generation=8))
    kept = apply(waiting, earlier, POLICY, NOW).grant
    assert isinstance(kept, Adopting)
    assert (kept.grant, kept.tokens.generation) == (waiting.grant, 8)
    late = apply(adopt(REVOKED), TokensRescued(tokens=TOKENS), POLICY, NOW)
    assert isinstance(late.grant, Adopting)
    assert late.to_revoke is not None
    assert late.to_revoke.token == "refresh-7"


@pytest.mark.parametrize(
    "event",
    [
        MoveRequested(),
        ReturnRequested(),
        GrantArrived(
            moved=Moved(grant=Authorized(tokens=replace(TOKENS, authorized_at=NOW)), since=NOW),
            ledger=(),
        ),
    ],
    ids=["move", "return", "arrival"],
)
def test_moves_wait_for_the_proof(event: MoveRequested | ReturnRequested | GrantArrived) -> None:
    waiting = adopt(GRANT)
    assert apply(waiting, event, POLICY, NOW).grant is waiting


def test_secrets_of_an_adoption_are_not_in_its_repr() -> None:
    assert "from-elsewhere" not in repr((ADOPTED, adopt(GRANT), asked()))

"""The note of each rule: one entry for each change, none for an attempt that begins."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import Decision, Effect
from domain.decide import apply, decide
from domain.events import (
    AttemptEnded,
    Event,
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    Precedence,
    ReturnRequested,
    RevocationEnded,
    RevokeRequested,
    TokensRescued,
)
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Moved,
    Refreshing,
    Revoked,
    Revoking,
    Unauthorized,
)
from domain.ledger import (
    MAX_OTHERS,
    NOT_DELIVERED,
    Entry,
    HistoryEvent,
    Ledger,
    Note,
    append_history,
)
from domain.outcomes import OUTCOMES
from domain.question import Question, RefreshDue, RefreshRequested
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    LEDGER,
    MINUTE,
    POLICY,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    asked,
    begin,
    end,
)
from tests.domain.provider_model import INVALID_GRANT

ASKED_AT = T0 + 31 * MINUTE
NOW = T0 + timedelta(minutes=40, microseconds=7)
WHOLE_SECOND = T0 + timedelta(minutes=40)
AUTHORIZED = Authorized(tokens=TOKENS)
OURS = Authorized(tokens=replace(TOKENS, subject="ours"))
BEGUN, COMMAND = begin(AUTHORIZED, ASKED_AT)
LOST = NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout")
NOT_SENT = NoAnswer(delivery=Delivery.NOT_SENT, reason="ConnectError")
MOVED = Moved(grant=AUTHORIZED, since=T0)
REQUEST = RevocationRequest(token="refresh-7", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=T0
)
REVOKING = Revoking(request=REQUEST, at=T0)
REVOKED = Revoked(at=T0, result=RevocationResult.REVOKED)

Told = tuple[str, str, int | None]


def note(before: Grant, event: Question | Event, ledger: Ledger = ()) -> Ledger:
    """Let something happen that changes a grant, and return what the ledger is then."""
    came: Decision | Effect
    if isinstance(event, Question):
        came = decide(before, event, POLICY, NOW)
    else:
        came = apply(before, event, POLICY, NOW)
    assert came.grant is not before
    if came.note is None:
        return ledger
    return append_history(ledger, came.note, now=NOW, key_name="ci")


def noted(note: Note | None, *, now: datetime = NOW) -> Ledger:
    """Return the ledger of a change that nobody has asked for."""
    assert note is not None
    return append_history((), note, now=now, key_name=None)


def told(before: Grant, event: Event) -> Told:
    [entry] = note(before, event)
    assert (entry.at, entry.key_name) == (WHOLE_SECOND, "ci")
    return entry.event.value, entry.outcome, entry.generation


def ended(outcome: Outcome) -> AttemptEnded:
    return AttemptEnded(attempt=COMMAND.attempt, outcome=outcome)


def login(subject: str | None = None) -> LoginCompleted:
    response = replace(RESPONSE, subject=subject)
    return LoginCompleted(response=response, requested_at=NOW, precedence=Precedence.REPLACES)


# The ends of attempts


ENDS: list[tuple[Outcome, Told]] = [
    (RESPONSE, ("refresh", "tokens", 8)),
    (replace(RESPONSE, refresh_token=None), ("refresh", "tokens", 7)),
    (replace(RESPONSE, expires_in=None), ("refresh", "tokens", 8)),
    (INVALID_GRANT, ("verdict", "refresh-token-rejected", 7)),
    (LOST, ("refresh-failed", "outcome-unknown", 7)),
    (NOT_SENT, ("refresh-failed", "not-sent", 7)),
    (TokenErrorResponse(status=503, error=None), ("refresh-failed", "provider-unavailable", 7)),
    (
        TokenErrorResponse(status=401, error="invalid_client"),
        ("refresh-failed", "client-refused", 7),
    ),
    # The provider's text, which may be anything, does not become an outcome.
    (
        TokenErrorResponse(status=418, error="refresh-7"),
        ("refresh-failed", "refused-without-reason", 7),
    ),
]


FOR_NOW: Told = ("refresh-failed", "refused-for-now", 7)


@pytest.mark.parametrize(("outcome", "expected"), ENDS, ids=str)
def test_the_note_on_an_attempt_has_its_outcome(outcome: Outcome, expected: Told) -> None:
    assert told(BEGUN, ended(outcome)) == expected


def test_a_refusal_that_is_not_final_is_noted_as_a_failure() -> None:
    early = T0 + 25 * MINUTE
    refreshing, command = begin(AUTHORIZED, early)
    event = AttemptEnded(attempt=command.attempt, outcome=INVALID_GRANT)
    assert told(refreshing, event) == FOR_NOW


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (RESPONSE, None),
        (INVALID_GRANT, "invalid_grant"),
        (TokenErrorResponse(status=400, error=None), None),
        (TokenErrorResponse(status=400, error=None, description="x" * 200), "x" * 120),
        (NoAnswer(delivery=Delivery.UNKNOWN, reason="ReadTimeout"), "ReadTimeout"),
    ],
    ids=str,
)
def test_the_end_of_an_attempt_quotes_the_provider(outcome: Outcome, said: str | None) -> None:
    event = ended(outcome)
    [entry] = noted(apply(BEGUN, event, POLICY, NOW).note)
    assert entry.quote == said


def test_a_refusal_after_a_lost_answer_is_noted_as_that() -> None:
    doubtful = end(BEGUN, COMMAND, LOST, ASKED_AT + SECOND)
    again, command = begin(doubtful, NOW - SECOND, id_="attempt-2")
    event = AttemptEnded(attempt=command.attempt, outcome=INVALID_GRANT)
    assert told(again, event) == ("verdict", "refresh-answer-lost", 7)


@pytest.mark.parametrize(
    ("late", "outcome"),
    [(-SECOND, "tokens"), (timedelta(0), "expired-on-arrival"), (SECOND, "expired-on-arrival")],
)
def test_tokens_that_expired_on_arrival_are_noted_as_that(late: timedelta, outcome: str) -> None:
    now = ASKED_AT + ACCESS_LIFE + late
    [entry] = noted(apply(BEGUN, ended(RESPONSE), POLICY, now).note, now=now)
    assert (entry.event, entry.outcome) == (HistoryEvent.REFRESH, outcome)
    assert (entry.generation, entry.key_name) == (8, None)


@pytest.mark.parametrize(
    "before",
    [end(BEGUN, COMMAND, INVALID_GRANT, NOW - SECOND), end(BEGUN, COMMAND, LOST, NOW - SECOND)],
    ids=["refused", "in doubt"],
)
def test_late_tokens_are_noted_as_a_refresh(before: Grant) -> None:
    assert told(before, ended(RESPONSE)) == ("refresh", "tokens", 8)


def test_tokens_after_a_move_are_noted_as_a_refresh() -> None:
    assert told(MOVED, ended(RESPONSE)) == ("refresh", "tokens", 8)


# Questions


@pytest.mark.parametrize(
    "question",
    [
        asked(id_="attempt-2"),
        RefreshRequested(attempt_id="attempt-2", asked_at=NOW),
        RefreshDue(attempt_id="attempt-2"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_attempt_is_noted_at_its_end_and_a_lapsed_one_at_the_next(
    question: Question,
) -> None:
    tokens = replace(TOKENS, issued_at=T0 - 60 * DAY, refresh_token_expires_at=NOW + DAY)
    due = Authorized(tokens=tokens)
    assert note(due, question, LEDGER) == LEDGER
    lapsed = Refreshing(tokens=tokens, attempt=BEGUN.attempt, failure_state=None)
    assert note(lapsed, question, LEDGER) == (
        *LEDGER,
        Entry(
            at=WHOLE_SECOND,
            event=HistoryEvent.REFRESH_FAILED,
            generation=7,
            # It does not belong to the key of this request.
            key_name=None,
            outcome="outcome-unknown",
        ),
    )


# Logins


LOGINS: list[tuple[Grant, str | None, Told]] = [
    (Unauthorized(), "ours", ("login", "tokens", 0)),
    (AUTHORIZED, None, ("login", "tokens", 8)),
    (AUTHORIZED, "ours", ("login", "tokens", 8)),
    (OURS, None, ("login", "tokens", 8)),
    (OURS, "ours", ("login", "tokens", 8)),
    (OURS, "another's", ("login", "tokens-of-another-account", 8)),
    (Moved(grant=OURS, since=T0), "another's", ("login", "tokens-of-another-account", 8)),
    (REVOKED, "another's", ("login", "tokens", 0)),
]


@pytest.mark.parametrize(("before", "subject", "expected"), LOGINS)
def test_the_note_on_a_login_names_another_account_if_it_is_known(
    before: Grant, subject: str | None, expected: Told
) -> None:
    assert told(before, login(subject)) == expected


# Requests of owners and operators


DEEDS: list[tuple[Grant, Event, Told]] = [
    (Unauthorized(), TokensRescued(tokens=TOKENS), ("rescued", "tokens", 7)),
    (AUTHORIZED, MoveRequested(), ("moved", "done", 7)),
    (MOVED, ReturnRequested(), ("taken-back", "done", 7)),
    (Unauthorized(), GrantArrived(moved=MOVED, ledger=()), ("imported", "done", 7)),
    (AUTHORIZED, RevokeRequested(), ("revoked", "done", 7)),
    (BEGUN, RevokeRequested(), ("revoked", "done", 7)),
    (REQUIRED, RevokeRequested(), ("revoked", "done", 7)),
]


@pytest.mark.parametrize(("before", "event", "expected"), DEEDS)
def test_what_is_done_to_a_grant_is_noted(before: Grant, event: Event, expected: Told) -> None:
    assert told(before, event) == expected


LATER = TokenErrorResponse(status=503, error=None, description="Later.")
ANSWERS: list[tuple[RevocationOutcome, str, str | None]] = [
    (RevocationResult.REVOKED, "done", None),
    (TokenErrorResponse(status=400, error="invalid_token"), "done", None),
    (RevocationResult.NOT_SUPPORTED, "not-supported", None),
    (TokenErrorResponse(status=400, error="unsupported_token_type"), "not-supported", None),
    (LATER, "provider-unavailable", "Later."),
    (TokenErrorResponse(status=401, error="invalid_client"), "client-refused", "invalid_client"),
    (TokenErrorResponse(status=400, error="refresh-7"), "refused-without-reason", "refresh-7"),
    (INVALID_GRANT, "refused-without-reason", "invalid_grant"),
    (LOST, "outcome-unknown", "ReadTimeout"),
    (NOT_SENT, "not-sent", "ConnectError"),
]


@pytest.mark.parametrize(("outcome", "expected", "quote"), ANSWERS, ids=str)
def test_the_answer_to_a_revocation_is_noted_and_quoted_if_it_failed(
    outcome: RevocationOutcome, expected: str, quote: str | None
) -> None:
    event = RevocationEnded(request=REQUEST, outcome=outcome)
    assert told(REVOKING, event) == ("provider-told", expected, None)
    [entry] = note(REVOKING, event)
    assert entry.quote == quote


# Events that change nothing

ANOTHER = replace(REQUEST, token="refresh-6")
NEWER = Authorized(tokens=replace(TOKENS, generation=8))
UNCHANGED: list[tuple[Grant, Event]] = [
    (Unauthorized(), ended(RESPONSE)),
    (NEWER, ended(RESPONSE)),
    (Moved(grant=NEWER, since=T0), ended(RESPONSE)),
    (NEWER, ended(INVALID_GRANT)),
    (MOVED, ended(LOST)),
    (Authorized(tokens=replace(TOKENS, authorized_at=NOW)), login()),
    (AUTHORIZED, replace(login("ours"), precedence=Precedence.YIELDS)),
    (AUTHORIZED, TokensRescued(tokens=TOKENS)),
    *((grant, MoveRequested()) for grant in (Unauthorized(), MOVED, REVOKING, REVOKED)),
    *((grant, ReturnRequested()) for grant in (Unauthorized(), AUTHORIZED, BEGUN, REQUIRED)),
    *((grant, ReturnRequested()) for grant in (REVOKING, REVOKED)),
    (AUTHORIZED, GrantArrived(moved=MOVED, ledger=LEDGER)),
    (MOVED, GrantArrived(moved=MOVED, ledger=LEDGER)),
    (replace(REVOKED, login=T0), GrantArrived(moved=MOVED, ledger=LEDGER)),
    *((grant, RevokeRequested()) for grant in (Unauthorized(), MOVED, REVOKING, REVOKED)),
    (AUTHORIZED, RevocationEnded(request=REQUEST, outcome=LOST)),
    (REVOKING, RevocationEnded(request=ANOTHER, outcome=LOST)),
    # Tokens to revoke leave no note: they are not stored.
    (REVOKED, ended(RESPONSE)),
]


@pytest.mark.parametrize(("grant", "event"), UNCHANGED)
def test_an_event_that_changes_nothing_is_not_noted(grant: Grant, event: Event) -> None:
    effect = apply(grant, event, POLICY, NOW)
    assert effect.grant is grant
    assert effect.note is None
    is_late = grant is REVOKED and isinstance(event, AttemptEnded)
    assert (effect.to_revoke is not None) is is_late


# The ledger


def test_a_tombstone_keeps_the_ledger_and_a_login_over_it_does_too() -> None:
    revoked = note(AUTHORIZED, RevokeRequested(), LEDGER)
    told_of = note(
        REVOKING, RevocationEnded(request=REQUEST, outcome=RevocationResult.REVOKED), revoked
    )
    after = note(REVOKED, login(), told_of)
    assert after[:2] == LEDGER
    assert [entry.event for entry in after[2:]] == [
        HistoryEvent.REVOKED,
        HistoryEvent.REVOCATION_ENDED,
        HistoryEvent.LOGIN,
    ]


def test_an_arriving_grant_brings_its_ledger() -> None:
    ours = Entry(at=T0 - DAY, event=HistoryEvent.MOVED, generation=1, key_name=None, outcome="done")
    both = LEDGER[0]
    event = GrantArrived(moved=MOVED, ledger=LEDGER)
    imported = Entry(
        at=WHOLE_SECOND, event=HistoryEvent.IMPORTED, generation=7, key_name="ci", outcome="done"
    )
    assert note(Unauthorized(), event, (ours, both)) == (ours, *LEDGER, imported)


def test_a_ledger_that_is_full_loses_its_oldest_entry() -> None:
    first = LEDGER[0]
    full = tuple(first._replace(generation=number) for number in range(MAX_OTHERS))
    assert note(AUTHORIZED, MoveRequested(), full)[:-1] == full[1:]


def test_every_noted_outcome_is_a_known_one_and_every_known_one_is_noted() -> None:
    come = {expected[1] for _, expected in ENDS} | {expected for _, expected, _ in ANSWERS}
    come |= {expected[1] for _, _, expected in (*LOGINS, *DEEDS)}
    come.add(FOR_NOW[1])
    # Alerts are noted by their delivery: `test_alert_delivery.py`.
    others = {"refresh-answer-lost", "expired-on-arrival", NOT_DELIVERED}
    assert come | others == set(OUTCOMES)
    assert len(OUTCOMES) == len(set(OUTCOMES))

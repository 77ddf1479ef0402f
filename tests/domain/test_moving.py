"""Moves of a grant: rules 10 to 12 of `decide.py`."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from domain.commands import Decision, ReportMoved
from domain.decide import apply, decide
from domain.events import (
    GrantArrived,
    LoginCompleted,
    MoveRequested,
    ReturnRequested,
    TokensRescued,
    Transfer,
)
from domain.grant import (
    Attempt,
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Refreshing,
    Unauthorized,
    due_at,
    place_of,
)
from domain.provider import RotationKind
from domain.question import Question, RefreshDue, RefreshRequested
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse
from domain.tokens import Tokens
from tests.domain.examples import (
    ACCESS_LIFE,
    DAY,
    DIGIKEY,
    MINUTE,
    POLICY,
    REFRESH_LIFE,
    RESPONSE,
    SECOND,
    T0,
    TOKENS,
    asked,
    authorized,
    begin,
    end,
    policy,
)

TICK = timedelta(microseconds=1)
EXPIRED = T0 + ACCESS_LIFE
GRANT = Authorized(tokens=TOKENS)
REQUIRED = AuthorizationRequired(
    tokens=TOKENS, cause=Cause.REFRESH_TOKEN_REJECTED, client="client-1", since=EXPIRED
)
REFRESHING, COMMAND = begin(GRANT, EXPIRED)
IN_DOUBT = FailureState(
    failures=1,
    failure=Failure.UNKNOWN,
    at=EXPIRED + MINUTE,
    retry_at=EXPIRED + MINUTE,
    in_doubt_since=EXPIRED,
    since=EXPIRED + MINUTE,
)
MOVED = Moved(grant=GRANT, since=EXPIRED)
NEWER = replace(TOKENS, generation=8, access_token="access-8", refresh_token="refresh-8")
OLDER = replace(TOKENS, generation=6)
LATER_LOGIN = replace(TOKENS, generation=0, authorized_at=T0 + TICK)
EARLIER_LOGIN = replace(TOKENS, generation=99, authorized_at=T0 - TICK)


def happens(grant: Grant, event: Transfer | TokensRescued, now: datetime = EXPIRED) -> Grant:
    effect = apply(grant, event, POLICY, now)
    assert effect.to_revoke is None
    return effect.grant


def arrives(grant: Grant, moved: Moved) -> Grant:
    return happens(grant, GrantArrived(moved=moved, ledger=()))


# 10. Handing over.


@pytest.mark.parametrize(
    "grant",
    [
        GRANT,
        Authorized(tokens=TOKENS, failure_state=IN_DOUBT),
        Authorized(tokens=replace(TOKENS, refresh_token_expires_at=T0)),
        REQUIRED,
    ],
)
def test_a_grant_is_handed_over_as_it_is(grant: Authorized | AuthorizationRequired) -> None:
    moved = happens(grant, MoveRequested())
    assert moved == Moved(grant=grant, since=EXPIRED)
    assert place_of(moved) == 1


def test_a_move_waits_for_the_attempt_in_flight_and_takes_its_doubt_along() -> None:
    over = EXPIRED + MINUTE
    assert happens(REFRESHING, MoveRequested(), over - TICK) is REFRESHING
    assert happens(REFRESHING, MoveRequested(), over) == Moved(
        grant=Authorized(tokens=TOKENS, failure_state=IN_DOUBT), since=over, place=1
    )


@pytest.mark.parametrize(
    "inside", [GRANT, REQUIRED, Authorized(tokens=NEWER, failure_state=IN_DOUBT)]
)
@pytest.mark.parametrize("now", [T0, EXPIRED - 2 * MINUTE, EXPIRED, T0 + 2 * REFRESH_LIFE])
@pytest.mark.parametrize(
    "question",
    [
        asked(),
        asked(min_ttl=timedelta(0)),
        RefreshRequested(attempt_id="a", asked_at=EXPIRED),
        RefreshDue(attempt_id="a"),
    ],
)
def test_every_question_to_a_moved_grant_reports_the_move_and_sends_nothing(
    inside: Authorized | AuthorizationRequired, now: datetime, question: Question
) -> None:
    moved = Moved(grant=inside, since=EXPIRED)
    decision = decide(moved, question, POLICY, now)
    assert decision == Decision(grant=moved, command=ReportMoved(since=EXPIRED))
    assert decision.grant is moved


def test_a_moved_grant_is_never_due() -> None:
    assert due_at(Moved(grant=Authorized(tokens=TOKENS, failure_state=IN_DOUBT), since=T0)) is None


@pytest.mark.parametrize("grant", [GRANT, REQUIRED])
def test_a_grant_that_is_taken_back_is_unchanged(grant: Authorized | AuthorizationRequired) -> None:
    moved = happens(grant, MoveRequested())
    assert happens(moved, ReturnRequested()) is grant


# 11. Tokens after a move.


def late(moved: Moved, outcome: Outcome, attempt: Attempt = COMMAND.attempt) -> Grant:
    return end(moved, replace(COMMAND, attempt=attempt), outcome, EXPIRED + 2 * MINUTE)


HANDED_OVER_IN_DOUBT = Moved(
    grant=Authorized(tokens=TOKENS, failure_state=IN_DOUBT), since=EXPIRED + MINUTE
)


@pytest.mark.parametrize(
    "moved", [HANDED_OVER_IN_DOUBT, Moved(grant=REQUIRED, since=EXPIRED + MINUTE)]
)
def test_late_tokens_are_stored_in_the_moved_grant(moved: Moved) -> None:
    after = late(moved, RESPONSE)
    assert isinstance(after, Moved)
    assert after.since == moved.since
    assert isinstance(after.grant, Authorized)
    assert after.grant.failure_state is None
    assert (after.tokens.generation, after.tokens.refresh_token) == (8, "refresh-8")
    assert isinstance(decide(after, asked(), POLICY, EXPIRED).command, ReportMoved)


def test_a_late_access_token_is_stored_in_the_moved_grant() -> None:
    again = replace(RESPONSE, refresh_token=None)
    after = late(HANDED_OVER_IN_DOUBT, again)
    assert isinstance(after, Moved)
    assert (after.tokens.generation, after.tokens.access_token) == (7, "access-8")


@pytest.mark.parametrize(
    "outcome",
    [
        TokenErrorResponse(status=400, error="invalid_grant"),
        TokenErrorResponse(status=503, error=None),
        NoAnswer(delivery=Delivery.UNKNOWN, reason="timeout"),
        NoAnswer(delivery=Delivery.NOT_SENT, reason="refused"),
    ],
)
def test_a_late_failure_changes_no_moved_grant(outcome: Outcome) -> None:
    assert late(HANDED_OVER_IN_DOUBT, outcome) is HANDED_OVER_IN_DOUBT


@pytest.mark.parametrize(
    "attempt",
    [
        replace(COMMAND.attempt, generation=6),
        replace(COMMAND.attempt, authorized_at=T0 - TICK),
        replace(COMMAND.attempt, authorized_at=T0 + TICK),
    ],
)
def test_tokens_of_another_generation_or_login_are_not_kept(attempt: Attempt) -> None:
    assert late(HANDED_OVER_IN_DOUBT, RESPONSE, attempt) is HANDED_OVER_IN_DOUBT


def log_in(grant: Grant, *, at: datetime = EXPIRED, refresh_token: str | None = "new") -> Grant:
    response = replace(RESPONSE, refresh_token=refresh_token)
    login = LoginCompleted(response=response, requested_at=at)
    return apply(grant, login, POLICY, EXPIRED).grant


def test_a_later_login_starts_a_new_grant() -> None:
    after = authorized(log_in(MOVED))
    assert (after.tokens.generation, after.tokens.refresh_token) == (8, "new")


def test_a_login_that_is_applied_twice_leaves_the_moved_grant_moved() -> None:
    assert log_in(MOVED, at=T0) is MOVED
    tokens = replace(TOKENS, authorized_at=EXPIRED + SECOND, place=2)
    later = replace(MOVED, grant=Authorized(tokens=tokens))
    assert log_in(later) is later


def test_a_login_without_a_refresh_token_does_not_replace_a_moved_grant() -> None:
    assert log_in(MOVED, refresh_token=None) is MOVED
    dead = Moved(grant=REQUIRED, since=EXPIRED)
    assert isinstance(log_in(dead, refresh_token=None), Authorized)


@pytest.mark.parametrize(
    ("tokens", "after"),
    [
        (NEWER, Moved(grant=Authorized(tokens=NEWER), since=EXPIRED)),
        (TOKENS, MOVED),
        (OLDER, MOVED),
        (EARLIER_LOGIN, MOVED),
        (LATER_LOGIN, Authorized(tokens=LATER_LOGIN)),
    ],
)
def test_rescued_tokens_of_the_login_that_was_handed_over_are_kept_in_it(
    tokens: Tokens, after: Grant
) -> None:
    assert happens(MOVED, TokensRescued(tokens=tokens)) == after


# 12. Taking over.


@pytest.mark.parametrize(
    "inside", [GRANT, REQUIRED, Authorized(tokens=TOKENS, failure_state=IN_DOUBT)]
)
def test_without_a_grant_an_arriving_one_is_stored_unchanged(
    inside: Authorized | AuthorizationRequired,
) -> None:
    assert arrives(Unauthorized(), Moved(grant=inside, since=T0)) is inside


@pytest.mark.parametrize("tokens", [OLDER, EARLIER_LOGIN])
@pytest.mark.parametrize("state", [GRANT, REFRESHING, REQUIRED])
def test_an_older_login_or_generation_is_replaced(
    tokens: Tokens, state: Authorized | Refreshing | AuthorizationRequired
) -> None:
    assert arrives(replace(state, tokens=tokens), MOVED) is GRANT


@pytest.mark.parametrize("tokens", [TOKENS, NEWER, LATER_LOGIN])
@pytest.mark.parametrize("state", [GRANT, REFRESHING, REQUIRED])
def test_a_grant_of_the_same_or_a_newer_age_is_never_replaced(
    tokens: Tokens, state: Authorized | Refreshing | AuthorizationRequired
) -> None:
    there = replace(state, tokens=tokens)
    assert arrives(there, MOVED) is there


def test_of_the_same_generation_the_stored_grant_stays() -> None:
    used = Authorized(tokens=replace(TOKENS, issued_at=EXPIRED, access_token="access-8"))
    by = policy(RotationKind.NONE)
    assert apply(used, GrantArrived(moved=MOVED, ledger=()), by, EXPIRED).grant is used


@pytest.mark.parametrize("since", [EXPIRED, EXPIRED - SECOND], ids=["the same", "an earlier"])
def test_the_same_or_an_earlier_move_does_not_bring_a_moved_grant_back(
    since: datetime,
) -> None:
    assert arrives(MOVED, Moved(grant=GRANT, since=since)) is MOVED
    assert arrives(MOVED, Moved(grant=Authorized(tokens=OLDER), since=since)) is MOVED


def test_newer_tokens_of_an_earlier_move_are_kept_to_be_handed_on() -> None:
    newer = Moved(grant=Authorized(tokens=NEWER), since=EXPIRED - SECOND)
    assert arrives(MOVED, newer) == Moved(grant=newer.grant, since=EXPIRED)


def test_a_grant_that_comes_back_is_used_again() -> None:
    for tokens in (TOKENS, replace(TOKENS, access_token="access-8"), NEWER, LATER_LOGIN):
        back = Moved(grant=Authorized(tokens=tokens), since=EXPIRED + SECOND)
        assert arrives(MOVED, back) is back.grant


@pytest.mark.parametrize(
    ("here", "there", "by", "is_later"),
    [
        # Both count.
        (3, 4, -DAY, True),
        (3, 2, DAY, False),
        # A release that did not count had it last, or the same number was counted twice.
        (3, 0, SECOND, True),
        (3, 0, -SECOND, False),
        (0, 3, SECOND, True),
        (0, 3, -SECOND, False),
        (3, 3, SECOND, True),
        (3, 3, -SECOND, False),
    ],
)
def test_the_move_with_the_higher_count_is_later_and_without_counts_the_instant_decides(
    here: int, there: int, by: timedelta, *, is_later: bool
) -> None:
    back = replace(MOVED, since=EXPIRED + by, place=there)
    after = arrives(replace(MOVED, place=here), back)
    assert isinstance(after, Authorized if is_later else Moved)


@pytest.mark.parametrize("tokens", [OLDER, EARLIER_LOGIN])
def test_a_grant_that_comes_back_keeps_late_tokens(tokens: Tokens) -> None:
    back = Moved(grant=Authorized(tokens=tokens), since=EXPIRED + SECOND)
    assert arrives(MOVED, back) is GRANT


def test_a_grant_goes_there_and_back_and_its_refresh_goes_with_it() -> None:
    away = happens(GRANT, MoveRequested(), EXPIRED)
    assert isinstance(away, Moved)
    there = arrives(Unauthorized(), away)
    refreshed = end(*begin(there, EXPIRED + SECOND), RESPONSE, EXPIRED + SECOND)
    back = happens(refreshed, MoveRequested(), EXPIRED + 2 * SECOND)
    assert isinstance(back, Moved)
    tokens = TOKENS.refreshed(RESPONSE, issued_at=EXPIRED + SECOND, provider=DIGIKEY)
    assert arrives(away, back) == Authorized(tokens=replace(tokens, place=2))


@pytest.mark.parametrize("by", [-1500 * DAY, 1500 * DAY])
def test_a_grant_comes_back_at_any_difference_of_clocks(by: timedelta) -> None:
    away = happens(GRANT, MoveRequested(), EXPIRED + by)
    assert isinstance(away, Moved)
    back = happens(arrives(Unauthorized(), away), MoveRequested(), EXPIRED)
    assert isinstance(back, Moved)
    here = arrives(away, back)
    assert here == Authorized(tokens=replace(TOKENS, place=2))
    # Neither file does any harm after that.
    assert arrives(here, away) is here
    assert arrives(back, away) is back
    gone = happens(here, MoveRequested(), EXPIRED)
    assert arrives(gone, back) is gone


def test_a_new_login_after_a_move_can_move_as_well() -> None:
    away = happens(GRANT, MoveRequested(), EXPIRED + 1500 * DAY)
    assert isinstance(away, Moved)
    there = arrives(Unauthorized(), away)
    login = LoginCompleted(response=RESPONSE, requested_at=EXPIRED, read=away)
    anew = apply(away, login, POLICY, EXPIRED).grant
    again = happens(anew, MoveRequested())
    assert isinstance(again, Moved)
    taken = authorized(arrives(there, again))
    assert taken.tokens.refresh_token == "refresh-8"
    assert arrives(taken, away) is taken


def test_an_arriving_grant_keeps_the_count_of_its_tokens_if_its_move_has_none() -> None:
    counted = Moved(grant=Authorized(tokens=replace(TOKENS, place=3)), since=EXPIRED)
    assert place_of(arrives(Unauthorized(), counted)) == 3


def test_an_arriving_grant_continues_the_count_of_this_deployment() -> None:
    old = replace(EARLIER_LOGIN, place=4, revoked=3)
    arrived = replace(MOVED, place=2)
    taken = arrives(Authorized(tokens=old), arrived)
    assert taken == Authorized(tokens=TOKENS)
    # Comparing tokens leaves out their place in the record.
    assert (taken.tokens.place, taken.tokens.revoked) == (5, 3)

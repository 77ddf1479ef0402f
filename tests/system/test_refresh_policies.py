"""One refresh, and nothing lost, with each refresh policy of django-oauth-toolkit."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

import pytest

from domain.grant import Cause, Failure
from functions.http.instants import rfc3339
from tests.system.deployment import (
    Answer,
    Connection,
    Deployment,
    authorization_required,
    authorized,
    counted,
    deployed,
    logged_in,
    only_token,
    refreshes,
)
from tests.system.peers import RefreshPolicy, django_oauth_toolkit
from tests.system.waiting import wait_until

CALLERS = 100
# In seconds. A lost answer is replayed after half of it; the other half is for the replay.
GRACE = 20
LEASE = timedelta(seconds=60)
# A refresh ends the old access token under every one of them.
ROTATION: Mapping[RefreshPolicy, str] = {
    RefreshPolicy.NO_ROTATION: "none;ends-access-token",
    RefreshPolicy.ROTATION: "always;ends-access-token",
    RefreshPolicy.ROTATION_WITH_GRACE: f"always;grace={GRACE}s;ends-access-token",
    RefreshPolicy.REUSE_PROTECTION: "always;ends-access-token",
}
WITHOUT_GRACE = [RefreshPolicy.ROTATION, RefreshPolicy.REUSE_PROTECTION]


@pytest.fixture(scope="module", params=RefreshPolicy, ids=lambda policy: policy.name)
def policy(request: pytest.FixtureRequest) -> RefreshPolicy:
    policy: RefreshPolicy = request.param
    return policy


@pytest.fixture(scope="module")
def deployment(policy: RefreshPolicy) -> Iterator[Deployment]:
    peer = partial(django_oauth_toolkit, policy=policy, grace=GRACE)
    with deployed(peer, rotation=ROTATION[policy], count=2) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def unrotating() -> Iterator[Deployment]:
    """A provider where a replay is harmless, even for a valid access token."""
    peer = partial(django_oauth_toolkit, policy=RefreshPolicy.NO_ROTATION)
    with deployed(peer, rotation="none", count=2) as deployment:
        yield deployment


def test_stampedes_cost_one_refresh_each(deployment: Deployment, policy: RefreshPolicy) -> None:
    with logged_in(deployment, "stampede") as connection:
        for rounds in range(1, 3):
            old = connection.tokens.access_token
            connection.expire_access_token()
            token = only_token(connection.ask(CALLERS))
            assert token != old
            assert connection.peer.stats() == refreshes(rounds, granted=rounds)
            assert connection.is_accepted(token)
        rotates = policy is not RefreshPolicy.NO_ROTATION
        assert connection.tokens.generation == (2 if rotates else 0)


def test_without_rotation_a_lost_answer_is_made_up_for_at_once(unrotating: Deployment) -> None:
    with logged_in(unrotating, "lost-answer") as connection:
        connection.expire_access_token()
        connection.peer.plan_faults("drop-answer")
        token = only_token(connection.ask(CALLERS))
        assert connection.peer.stats() == refreshes(2, granted=2)
        assert connection.is_accepted(token)


def test_without_rotation_a_second_lost_answer_is_made_up_for_after_a_pause(
    unrotating: Deployment,
) -> None:
    with logged_in(unrotating, "lost-answers") as connection:
        connection.expire_access_token()
        connection.peer.plan_faults("drop-answer", "drop-answer")
        assert_told_to_come_back(connection.ask(), within=1)
        assert connection.peer.stats() == refreshes(2, granted=2)
        connection.let_time_pass(timedelta(seconds=1))
        token = only_token(connection.ask(CALLERS))
        assert connection.peer.stats() == refreshes(3, granted=3)
        assert connection.is_accepted(token)


@pytest.mark.parametrize("policy", [RefreshPolicy.ROTATION_WITH_GRACE], indirect=True)
def test_lost_answer_is_made_up_for_within_the_grace_period(deployment: Deployment) -> None:
    with logged_in(deployment, "lost-answer") as connection:
        in_doubt_since = lose_an_answer(connection, retried_after=timedelta(seconds=GRACE / 2))
        wait_until(lambda: connection.ask()[0].status == 200, every=0.2)
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(2, granted=2)
        # The provider repeated the tokens of the first request, with their whole life.
        assert connection.tokens.issued_at == in_doubt_since
        assert connection.tokens.generation == 1
        connection.expire_access_token()
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(3, granted=3)


@pytest.mark.parametrize("policy", WITHOUT_GRACE, indirect=True)
def test_lost_answer_is_tried_again_once_and_then_a_login_is_asked_for(
    deployment: Deployment,
) -> None:
    with logged_in(deployment, "lost-answer") as connection:
        lose_an_answer(connection, retried_after=LEASE)
        connection.let_time_pass(LEASE)
        for _ in range(2):
            assert_login_asked_for(connection.ask(50))
            assert connection.peer.stats() == refreshes(2, granted=1, refused=1)
        verdict = connection.verify()
        assert (verdict.status, verdict.members["cause"]) == (404, "refresh-answer-lost")
        assert authorization_required(connection.record()).cause is Cause.REFRESH_ANSWER_LOST
        assert_login_brings_back(connection)


@pytest.mark.parametrize("policy", WITHOUT_GRACE, indirect=True)
def test_lost_request_is_tried_again_once_and_nothing_is_lost(deployment: Deployment) -> None:
    with logged_in(deployment, "lost-request") as connection:
        lose_an_answer(connection, fault="drop-request", retried_after=LEASE)
        connection.let_time_pass(LEASE)
        token = only_token(connection.ask(CALLERS))
        assert connection.peer.stats() == refreshes(2, granted=1)
        assert connection.is_accepted(token)


@pytest.mark.parametrize("policy", WITHOUT_GRACE, indirect=True)
def test_request_that_lands_late_is_not_overtaken(deployment: Deployment) -> None:
    with logged_in(deployment, "late-commit") as connection:
        connection.expire_access_token()
        connection.peer.plan_faults("late-commit:1")
        assert_told_to_come_back(connection.ask(), within=60)
        wait_until(lambda: connection.peer.stats() == refreshes(1, granted=1))
        connection.let_time_pass(LEASE)
        assert_login_asked_for(connection.ask(50))
        assert connection.peer.stats() == refreshes(2, granted=1, refused=1)


def test_tokens_that_are_served_near_their_end_are_accepted(deployment: Deployment) -> None:
    # This provider ends the old access token with the refresh, under each policy.
    with logged_in(deployment, "near-end") as connection:
        connection.bring_access_token_near_its_end()
        answers = connection.ask(CALLERS)
        assert counted(answers) == {(200, ""): CALLERS}
        connection.wait_for_the_refresh()
        served = Counter(answer.token for answer in answers)
        refused = [served[token] for token in served if not connection.is_accepted(token)]
        assert not refused, f"{sum(refused)} of {CALLERS} callers got a refused token"


@pytest.mark.parametrize("policy", [RefreshPolicy.NO_ROTATION], indirect=True)
def test_without_rotation_a_request_that_lands_late_ends_no_token_that_is_served(
    deployment: Deployment,
) -> None:
    with logged_in(deployment, "late-commit") as connection:
        connection.expire_access_token()
        connection.peer.plan_faults("late-commit:1")
        connection.ask()
        wait_until(lambda: connection.peer.stats().granted > 0)
        wait_until(lambda: connection.peer.stats().in_flight == 0)
        for answer in connection.ask(CALLERS):
            assert answer.status == 503 or connection.is_accepted(answer.token), answer.status


def lose_an_answer(
    connection: Connection, *, retried_after: timedelta, fault: str = "drop-answer"
) -> datetime:
    """Spoil a refresh of an expired token; return since when its outcome is unknown.

    Nobody asks the provider again before the time, however many callers there are.
    """
    connection.expire_access_token()
    connection.peer.plan_faults(fault)
    seconds = int(retried_after.total_seconds())
    assert_told_to_come_back(connection.ask(), within=seconds)
    failure_state = authorized(connection.record()).failure_state
    assert failure_state is not None
    assert failure_state.failure is Failure.UNKNOWN
    assert failure_state.in_doubt_since is not None
    assert failure_state.retry_at == failure_state.in_doubt_since + retried_after
    assert_outcome_unknown(connection, next_try_at=rfc3339(failure_state.retry_at))
    assert_told_to_come_back(connection.ask(50), within=seconds)
    assert connection.peer.stats().arrived == {"refresh_token": 1}
    return failure_state.in_doubt_since


def assert_outcome_unknown(connection: Connection, *, next_try_at: str | None) -> None:
    standing = connection.verify()
    assert standing.status == 202
    assert standing.members["state"] == "access-expired"
    assert standing.members["last_refresh"]["outcome"] == "outcome-unknown"
    assert standing.members["next_try_at"] == next_try_at


def assert_told_to_come_back(answers: list[Answer], *, within: int) -> None:
    assert counted(answers) == {(503, "provider-unavailable"): len(answers)}
    pauses = {int(answer.headers["retry-after"]) for answer in answers}
    assert pauses <= set(range(1, within + 1))


def assert_login_asked_for(answers: list[Answer]) -> None:
    assert counted(answers) == {(401, "authorization-required"): len(answers)}
    assert {answer.members["cause"] for answer in answers} == {"refresh-answer-lost"}


def assert_login_brings_back(connection: Connection) -> None:
    connection.log_in()
    assert connection.is_accepted(only_token(connection.ask(CALLERS)))
    connection.expire_access_token()
    assert connection.is_accepted(only_token(connection.ask(CALLERS)))
    assert connection.peer.stats() == refreshes(1, granted=1)

"""Tokens while workers crash or stop, and while the provider is away.

oidc-provider revokes the whole grant when it sees a refresh token twice, so a second request would
fail the test.
"""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from domain.grant import Attempt, Authorized, Failure, Grant, Refreshing
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
    refreshing,
)
from tests.system.peers import oidc_provider
from tests.system.waiting import wait_until

LEASE = timedelta(seconds=60)
CALLERS = 50
# All workers but the one that is killed or stopped.
OTHERS = [1, 2]
NO_ANSWER = {(0, ""): 1}

numbers = count()


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(oidc_provider, count=3) as deployment:
        yield deployment


@contextmanager
def new_connection(deployment: Deployment) -> Iterator[Connection]:
    """Log in to a connection of its own. Restart the first worker in the end, if need be."""
    with logged_in(deployment, f"test-{next(numbers)}") as connection:
        yield connection
    if len(deployment.workers.pids) <= len(OTHERS):
        deployment.workers.start(0)


# Killed


def test_worker_killed_during_its_refresh_leaves_the_valid_token_to_others(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.bring_access_token_near_its_end()
        old = connection.tokens.access_token
        assert only_token(ask_for_a_slow_refresh(connection).result()) == old
        connection.workers.kill(0)
        assert only_token(connection.ask(CALLERS, workers=OTHERS)) == old
        assert_first_request_was_the_only_one(connection)
        connection.workers.start(0)
        connection.let_time_pass(LEASE)
        assert only_token(connection.ask(CALLERS, min_ttl=0)) == old
        assert connection.is_accepted(old)
        assert connection.peer.stats() == refreshes(1, granted=1)
        connection.expire_access_token()
        assert_one_retry_and_then_no_more(connection)


def test_worker_killed_during_its_refresh_makes_others_wait_and_come_back(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.expire_access_token()
        asked = ask_for_a_slow_refresh(connection)
        connection.workers.kill(0)
        assert counted(asked.result()) == NO_ANSWER
        answers = connection.ask(CALLERS, workers=OTHERS)
        assert counted(answers) == {(503, "refresh-in-progress"): CALLERS}
        assert {int(answer.headers["retry-after"]) for answer in answers} == {5}
        assert_first_request_was_the_only_one(connection)
        connection.workers.start(0)
        connection.let_time_pass(LEASE)
        assert_one_retry_and_then_no_more(connection)


def test_worker_that_crashed_before_it_sent_anything_costs_no_login(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.expire_access_token()
        connection.rewrite(intent)
        connection.let_time_pass(LEASE)
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(1, granted=1)


# Stopped


@pytest.mark.parametrize("caller", ["waits", "has hung up", "has the old token"])
def test_worker_stopped_during_its_refresh_finishes_it(deployment: Deployment, caller: str) -> None:
    with new_connection(deployment) as connection:
        if caller == "has the old token":
            connection.bring_access_token_near_its_end()
        else:
            connection.expire_access_token()
        old = connection.tokens.access_token
        asked = ask_for_a_slow_refresh(connection, leave=caller == "has hung up")
        if caller == "has the old token":
            assert only_token(asked.result()) == old
        assert connection.peer.stats().in_flight == 1
        connection.workers.terminate(0)
        connection.workers.wait(0)
        stored = authorized(connection.record())
        assert (stored.tokens.generation, stored.failure_state) == (1, None)
        new = stored.tokens.access_token
        if caller == "waits":
            assert only_token(asked.result()) == new
        if caller == "has hung up":
            assert counted(asked.result()) == NO_ANSWER
        assert only_token(connection.ask(CALLERS, workers=OTHERS)) == new
        assert connection.is_accepted(new)
        assert connection.peer.stats() == refreshes(1, granted=1)


# The provider is away


def test_provider_that_is_away_is_asked_once_a_pause_while_the_old_token_is_served(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.bring_access_token_near_its_end(left=timedelta(minutes=4))
        old = connection.tokens.access_token
        connection.peer.plan_faults(*["refuse-503"] * 6)
        for probes in range(1, 7):
            # The first pauses are so short that a second one could begin while many ask.
            for callers in [1] if probes < 4 else [CALLERS, CALLERS]:
                assert only_token(connection.ask(callers)) == old
                connection.wait_for_the_refresh()
            assert connection.peer.stats() == refreshes(probes, granted=0, refused=probes)
            pass_the_pause(connection, failures=probes)
        answers = connection.ask(CALLERS)
        assert counted(answers) == {(200, ""): CALLERS}
        connection.wait_for_the_refresh()
        new = connection.tokens.access_token
        assert {answer.token for answer in answers} <= {old, new}
        assert connection.is_accepted(new)
        assert connection.peer.stats() == refreshes(7, granted=1, refused=6)
        assert authorized(connection.record()).failure_state is None


def test_provider_that_is_away_when_the_token_has_expired_is_waited_for(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.expire_access_token()
        connection.peer.plan_faults("refuse-503")
        [answer] = connection.ask()
        assert (answer.status, answer.problem) == (503, "provider-unavailable")
        assert answer.headers["retry-after"] == "1"
        status = connection.verify()
        assert status.status == 202
        assert status.members["last_refresh"]["outcome"] == "provider-unavailable"
        pass_the_pause(connection, failures=1)
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))
        assert connection.peer.stats() == refreshes(2, granted=1, refused=1)


def test_access_token_is_served_to_its_end_after_a_lost_answer(
    deployment: Deployment,
) -> None:
    with new_connection(deployment) as connection:
        connection.bring_access_token_near_its_end()
        old = connection.tokens.access_token
        connection.peer.plan_faults("drop-answer")
        assert only_token(connection.ask(CALLERS)) == old
        connection.wait_for_the_refresh()
        connection.let_time_pass(LEASE)
        # A retry could revoke the token that is valid for another minute.
        assert only_token(connection.ask(CALLERS, min_ttl=0)) == old
        assert connection.is_accepted(old)
        assert connection.peer.stats() == refreshes(1, granted=1)
        connection.expire_access_token()
        assert_one_retry_and_then_no_more(connection)


def ask_for_a_slow_refresh(connection: Connection, *, leave: bool = False) -> Future[list[Answer]]:
    """Let a caller ask the first worker. Return once its refresh is at the provider."""
    connection.peer.plan_faults("delay:5")
    return connection.ask_in_background(worker=0, leave=leave)


def assert_first_request_was_the_only_one(connection: Connection) -> None:
    refreshing(connection.record())
    wait_until(lambda: connection.peer.stats().in_flight == 0)
    assert connection.peer.stats() == refreshes(1, granted=1)
    assert connection.verify(worker=1).members["last_refresh"]["outcome"] == "in-progress"


def assert_one_retry_and_then_no_more(connection: Connection) -> None:
    """Expect one refused retry: the provider granted the first request, and its answer was lost."""
    for _ in range(2):
        answers = connection.ask(CALLERS)
        assert counted(answers) == {(401, "authorization-required"): CALLERS}
        assert {answer.members["cause"] for answer in answers} == {"refresh-answer-lost"}
        assert connection.peer.stats() == refreshes(2, granted=1, refused=1)
    authorization_required(connection.record())


def intent(grant: Grant) -> Grant:
    """Return the intent that a worker stores before it sends a request."""
    assert isinstance(grant, Authorized)
    tokens = grant.tokens
    return Refreshing(
        tokens=tokens,
        attempt=Attempt(
            id="an attempt",
            authorized_at=tokens.authorized_at,
            generation=tokens.generation,
            client="a client",
            started_at=datetime.now(UTC),
        ),
        failure_state=None,
    )


def pass_the_pause(connection: Connection, *, failures: int) -> None:
    """Let the pause before the next request pass, which doubles each time."""
    failure_state = authorized(connection.record()).failure_state
    assert failure_state is not None
    assert (failure_state.failures, failure_state.failure) == (failures, Failure.UNAVAILABLE)
    pause = failure_state.retry_at - failure_state.at
    longest = timedelta(seconds=2 ** (failures - 1))
    # The provider asks for a second, with Retry-After.
    assert max(longest / 2, timedelta(seconds=1)) <= pause <= longest
    connection.let_time_pass(pause)

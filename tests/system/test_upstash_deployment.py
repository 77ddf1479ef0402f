"""Three workers with Upstash in front of a real Redis, which goes away and comes back: one refresh.

oidc-provider revokes the whole grant when it sees a refresh token twice, so a second request would
fail the test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TypeAlias

import pytest

from tests.system.deployment import (
    Asked,
    Connection,
    Deployment,
    authorized,
    counted,
    deployed,
    logged_in,
    only_token,
    refreshes,
    refreshing,
)
from tests.system.peers import oidc_provider
from tests.system.redis_peer import RedisPeer
from tests.system.stores import rest_store
from tests.system.upstash_front import UpstashPeer
from tests.system.waiting import wait_until

CALLERS = 200
# Of the recorder, while its callers wait: the first one, and `SWAP_RETRIES`.
TRIES_BEFORE_ANSWERING = 4
# A word that is in the script of the swaps, and in no other.
SWAPS = "conflict"
# All workers but the first one.
OTHERS = [1, 2]

Stoppable: TypeAlias = RedisPeer | UpstashPeer

pytestmark = pytest.mark.usefixtures("plain_loopback")

numbers = count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A deployment, and the store that it has somewhere else."""

    redis: RedisPeer
    front: UpstashPeer
    deployment: Deployment


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with (
        rest_store() as store,
        deployed(oidc_provider, count=3, store=store.front.environ) as deployment,
    ):
        yield Cloud(redis=store.redis, front=store.front, deployment=deployment)


@pytest.fixture
def connection(cloud: Cloud) -> Iterator[Connection]:
    """A connection that no other test uses, over a store that does nothing wrong yet."""
    cloud.front.clear_faults()
    with logged_in(cloud.deployment, f"test-{next(numbers)}") as connection:
        yield connection


@pytest.fixture(params=["redis", "front"])
def stoppable(cloud: Cloud, request: pytest.FixtureRequest) -> Stoppable:
    """The server that has the data, or the way to it."""
    return cloud.redis if request.param == "redis" else cloud.front


# The store is away


def test_store_that_is_away_has_the_tokens_when_it_is_back(
    connection: Connection, stoppable: Stoppable
) -> None:
    rescued = rescue_lines(connection)
    asked = ask_for_a_slow_refresh(connection)
    with away(stoppable):
        wait_for_the_answer(connection)
        # The other workers have no tokens, and report that the store is away.
        answers = connection.ask(len(OTHERS), workers=OTHERS)
        assert counted(answers) == {(503, "store-unavailable"): len(OTHERS)}
        # The first worker has the tokens, and serves its callers.
        token = only_token(asked.result())
        assert rescue_lines(connection) == rescued + 1
        assert connection.is_accepted(token)
    wait_until_stored(connection, token)
    assert only_token(connection.ask(CALLERS)) == token
    assert_one_refresh_and_one_more(connection)


def test_store_that_hangs_has_the_tokens_when_it_goes_on(
    cloud: Cloud, connection: Connection
) -> None:
    asked = ask_for_a_slow_refresh(connection)
    cloud.redis.pause()
    wait_for_the_answer(connection)
    token = only_token(asked.result())
    cloud.redis.resume()
    wait_until_stored(connection, token)
    assert_one_refresh_and_one_more(connection)


def test_store_that_crashes_after_it_took_the_intent_still_knows_it(
    cloud: Cloud, connection: Connection
) -> None:
    asked = ask_for_a_slow_refresh(connection)
    cloud.redis.kill()
    cloud.redis.start()
    refreshing(connection.record())
    token = only_token(asked.result())
    wait_until_stored(connection, token)
    assert_one_refresh_and_one_more(connection)


def test_tokens_that_were_lost_with_their_worker_while_the_store_was_away_are_in_its_log(
    cloud: Cloud, connection: Connection
) -> None:
    asked = ask_for_a_slow_refresh(connection)
    with away(cloud.redis):
        wait_for_the_answer(connection)
        token = only_token(asked.result())
        connection.workers.kill(0)
    connection.workers.start(0)
    refreshing(connection.record())
    for result in ("applied", "already there"):
        recovered = connection.workers.administer("recover", text=connection.workers.log(0))
        assert recovered[-1] == f"{connection.name}: {result}"
        wait_until_stored(connection, token)
    assert only_token(connection.ask(CALLERS)) == token
    assert_one_refresh_and_one_more(connection)


# Something gets lost on the way


@pytest.mark.parametrize("fault", ["drop-answer", "drop-request", "html-502-after"])
def test_swaps_that_fail_at_first_cost_nothing(
    cloud: Cloud, connection: Connection, fault: str
) -> None:
    rescued = rescue_lines(connection)
    connection.expire_access_token()
    spoil_swaps(cloud, fault, TRIES_BEFORE_ANSWERING - 1)
    connection.peer.plan_faults("delay:4")
    asked = connection.ask_in_background(worker=0)
    assert not cloud.front.stats().faults
    spoil_swaps(cloud, fault, TRIES_BEFORE_ANSWERING - 1)
    token = only_token(asked.result())
    assert not cloud.front.stats().faults
    assert connection.tokens.access_token == token
    assert rescue_lines(connection) == rescued
    assert_one_refresh_and_one_more(connection)


@pytest.mark.parametrize("fault", ["drop-answer", "delay:4"])
def test_tokens_whose_swaps_all_fail_are_served_and_stored_later(
    cloud: Cloud, connection: Connection, fault: str
) -> None:
    rescued = rescue_lines(connection)
    asked = ask_for_a_slow_refresh(connection)
    spoil_swaps(cloud, fault, TRIES_BEFORE_ANSWERING + 1)
    token = only_token(asked.result())
    assert rescue_lines(connection) == rescued + 1
    wait_until_stored(connection, token)
    assert only_token(connection.ask(CALLERS)) == token
    cloud.front.clear_faults()
    assert_one_refresh_and_one_more(connection)


def test_stampede_whose_swaps_are_answered_to_nobody_costs_one_refresh(
    cloud: Cloud, connection: Connection
) -> None:
    connection.expire_access_token()
    # As many as one instance can bear, should it be alone in trying to be first.
    spoil_swaps(cloud, "drop-answer", TRIES_BEFORE_ANSWERING - 1)
    token = only_token(connection.ask(CALLERS))
    wait_until_stored(connection, token)
    cloud.front.clear_faults()
    assert_one_refresh_and_one_more(connection)


def ask_for_a_slow_refresh(connection: Connection) -> Asked:
    """Let a caller ask the first worker; return when its refresh is at the provider."""
    connection.expire_access_token()
    connection.peer.plan_faults("delay:4")
    return connection.ask_in_background(worker=0)


@contextmanager
def away(stoppable: Stoppable) -> Iterator[None]:
    stoppable.stop()
    try:
        yield
    finally:
        stoppable.start()


def wait_for_the_answer(connection: Connection) -> None:
    wait_until(lambda: connection.peer.stats() == refreshes(1, granted=1))


def spoil_swaps(cloud: Cloud, fault: str, number: int) -> None:
    for _ in range(number):
        cloud.front.plan_fault(fault, matching=SWAPS)


def wait_until_stored(connection: Connection, token: str) -> None:
    connection.wait_for_the_refresh()
    stored = authorized(connection.record())
    assert (stored.tokens.access_token, stored.failure_state) == (token, None)


def rescue_lines(connection: Connection) -> int:
    """How many the first worker has written so far, for any connection."""
    return connection.workers.log(0).count("oauth-callback-rescue ")


def assert_one_refresh_and_one_more(connection: Connection) -> None:
    for refreshed in (1, 2):
        assert connection.peer.stats() == refreshes(refreshed, granted=refreshed)
        assert connection.tokens.generation == refreshed
        if refreshed == 1:
            connection.expire_access_token()
            assert connection.is_accepted(only_token(connection.ask()))

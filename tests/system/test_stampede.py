"""Many callers of many processes ask at once: one refresh, and one token for all."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from math import log2
from time import monotonic

import pytest

from tests.system.account import RecordProperty, accounted
from tests.system.deployment import (
    Answer,
    Connection,
    Deployment,
    connected,
    counted,
    deployed,
    logged_in,
    only_token,
    refreshes,
    single_connection,
)
from tests.system.peers import oidc_provider
from tests.system.stores import WorkersStore
from tests.system.waiting import wait_until
from tests.thorough import times

ROUNDS = times(50, usually=4)
CALLERS = 200
# In seconds. Half of it must be much more than it takes to answer all callers on a busy machine.
SHORT_LIFE = 24


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Workers that opened a store at the same instant, before it existed."""
    with deployed(oidc_provider) as deployment:
        with connected(deployment) as connection:
            assert counted(connection.verify_everywhere()) == {(404, "not-authorized"): 4}
        yield deployment


def test_checklist_45_stampedes_cost_one_refresh_each(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    number = store.rounds(ROUNDS)
    with (
        single_connection(oidc_provider, count=4, store=store.environ) as connection,
        accounted(record_property, "kills") as account,
    ):
        for rounds in range(1, number + 1):
            connection.expire_access_token()
            if rounds % 2 == 0:
                # Long enough that everybody has to wait for the one answer.
                connection.peer.plan_faults("delay:0.5")
            answers = assert_one_refresh_for_all(connection, rounds)
            account.rounds += 1
            account.calls = connection.peer.stats().arrived.total()
            account.answered(answers, refused=connection.refused(answers))
        assert_one_more_refresh_works(connection, number)


def test_stampedes_cost_one_refresh_each_where_tokens_expire_by_themselves() -> None:
    # With the other way of client authentication too.
    peer = partial(oidc_provider, access_lifetime=SHORT_LIFE, auth_method="client_secret_basic")
    with single_connection(peer) as connection:
        wait_until_expired_everywhere(connection)
        assert_one_refresh_for_all(connection, 1)
        assert_one_more_refresh_works(connection, 1)


def test_token_near_its_end_is_served_to_all_while_one_refresh_replaces_it(
    deployment: Deployment,
) -> None:
    with logged_in(deployment, "near-its-end") as connection:
        connection.bring_access_token_near_its_end()
        old = connection.tokens.access_token
        answers = connection.ask(CALLERS)
        assert counted(answers) == {(200, ""): CALLERS}
        connection.wait_for_the_refresh()
        new = connection.tokens.access_token
        assert {answer.token for answer in answers} <= {old, new}
        assert new != old
        assert connection.peer.stats() == refreshes(1, granted=1)
        assert connection.is_accepted(new)


def test_api_that_refuses_every_token_costs_one_refresh_for_all_and_few_in_a_row(
    deployment: Deployment,
) -> None:
    with logged_in(deployment, "refused") as connection:
        old, began_at = connection.tokens, monotonic()
        # Long enough that all callers have to wait for the one answer.
        connection.peer.plan_faults("delay:0.5")
        answers = connection.ask(CALLERS, refused=old.generation)
        token = only_token(answers)
        assert token != old.access_token
        assert connection.is_accepted(token)
        assert connection.peer.stats() == refreshes(1, granted=1)
        for _ in range(3):
            answers = connection.ask(CALLERS // 4, refused=connection.tokens.generation)
            assert set(counted(answers)) <= {(200, ""), (503, "token-refused-again")}
        # The second one after 10 s, the third after 20 more, however slow this machine is.
        most = 1 + int(log2((monotonic() - began_at) / 10 + 1))
        done = connection.peer.stats().granted
        assert connection.tokens.generation == old.generation + done
        assert done <= most


def test_connections_are_refreshed_once_each(deployment: Deployment) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(logged_in(deployment, name)) for name in "abc"]
        for connection in connections:
            connection.expire_access_token()
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda connection: connection.ask(60), connections))
        assert len({only_token(group) for group in answers}) == 3
        assert deployment.peer.stats() == refreshes(3, granted=3)


def test_uvicorn_with_four_workers_refreshes_once_and_loses_nothing_when_it_stops() -> None:
    deployment_of_four = deployed(oidc_provider, count=1, arguments=["--workers", "4"])
    with deployment_of_four as deployment, logged_in(deployment) as connection:
        connection.expire_access_token()
        assert_one_refresh_for_all(connection, 1)
        connection.expire_access_token()
        connection.peer.plan_faults("delay:2")
        asked = connection.ask_in_background(worker=0)
        deployment.workers.terminate(0)
        deployment.workers.wait(0)
        assert only_token(asked.result()) == connection.tokens.access_token
        assert connection.peer.stats() == refreshes(2, granted=2)


def assert_one_refresh_for_all(connection: Connection, rounds: int) -> list[Answer]:
    """Count from the login on, which finds late requests as well."""
    old = connection.tokens.access_token
    answers = connection.ask(CALLERS)
    token = only_token(answers)
    assert token == connection.tokens.access_token
    assert token != old
    assert connection.peer.stats() == refreshes(rounds, granted=rounds)
    assert connection.is_accepted(token)
    return answers


def assert_one_more_refresh_works(connection: Connection, rounds: int) -> None:
    assert connection.tokens.generation == rounds
    connection.expire_access_token()
    assert connection.is_accepted(only_token(connection.ask()))
    assert connection.peer.stats() == refreshes(rounds + 1, granted=rounds + 1)


def wait_until_expired_everywhere(connection: Connection) -> None:
    """Wait until the access token is over for the application and the provider."""
    access_token = connection.tokens.access_token
    wait_until(lambda: connection.verify().status == 202, every=0.2)
    wait_until(lambda: not connection.is_accepted(access_token), every=0.2)

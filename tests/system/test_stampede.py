"""However many ask at once, over however many processes: one refresh, and one token for all."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from tests.system.account import RecordProperty, accounted
from tests.system.deployment import (
    Answer,
    Connection,
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

ROUNDS = times(50)
CALLERS = 200
# In seconds. A token is served to everybody in the first half of its life: that must be much more
# than what it takes to answer all callers, on a machine that is busy with other things.
SHORT_LIFE = 12


def test_checklist_45_stampedes_cost_one_refresh_each(
    store: WorkersStore, record_property: RecordProperty
) -> None:
    number = store.rounds(ROUNDS)
    with (
        single_connection(oidc_provider, store=store.environ) as connection,
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
    # The other way of client authentication, too: it makes no difference to the rest.
    peer = partial(oidc_provider, access_lifetime=SHORT_LIFE, auth_method="client_secret_basic")
    with single_connection(peer) as connection:
        for rounds in range(1, 4):
            wait_until_expired_everywhere(connection)
            assert_one_refresh_for_all(connection, rounds)
        assert_one_more_refresh_works(connection, 3)


def test_token_near_its_end_is_served_to_all_while_one_refresh_replaces_it() -> None:
    with single_connection(oidc_provider) as connection:
        for rounds in range(1, 4):
            connection.bring_access_token_near_its_end()
            old = connection.tokens.access_token
            answers = connection.ask(CALLERS)
            assert counted(answers) == {(200, ""): CALLERS}
            connection.wait_for_the_refresh()
            new = connection.tokens.access_token
            assert {answer.token for answer in answers} <= {old, new}
            assert new != old
            assert connection.peer.stats() == refreshes(rounds, granted=rounds)
            assert connection.is_accepted(new)


def test_connections_are_refreshed_once_each() -> None:
    names = ["a", "b", "c"]
    with deployed(oidc_provider) as deployment, ExitStack() as stack:
        connections = [stack.enter_context(logged_in(deployment, name)) for name in names]
        for connection in connections:
            connection.expire_access_token()
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda connection: connection.ask(60), connections))
        assert len({only_token(group) for group in answers}) == 3
        assert deployment.peer.stats() == refreshes(3, granted=3)


def test_uvicorn_with_four_workers_refreshes_once_and_loses_nothing_when_it_stops() -> None:
    deployment_of_four = deployed(oidc_provider, count=1, arguments=["--workers", "4"])
    with deployment_of_four as deployment, logged_in(deployment) as connection:
        for rounds in range(1, 4):
            connection.expire_access_token()
            assert_one_refresh_for_all(connection, rounds)
        connection.expire_access_token()
        connection.peer.plan_faults("delay:2")
        asked = connection.ask_in_background(worker=0)
        deployment.workers.terminate(0)
        deployment.workers.wait(0)
        assert only_token(asked.result()) == connection.tokens.access_token
        assert connection.peer.stats() == refreshes(4, granted=4)


def test_workers_open_a_store_that_does_not_exist_yet_at_the_same_instant() -> None:
    with deployed(oidc_provider) as deployment, connected(deployment) as connection:
        answers = connection.verify_everywhere()
        assert counted(answers) == {(404, "not-authorized"): 4}


def assert_one_refresh_for_all(connection: Connection, rounds: int) -> list[Answer]:
    """Counted from the login on, so that a request that comes too late is found as well."""
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
    """Wait until the application and the provider agree that the access token is dead."""
    access_token = connection.tokens.access_token
    wait_until(lambda: connection.verify().status == 202)
    wait_until(lambda: not connection.is_accepted(access_token))

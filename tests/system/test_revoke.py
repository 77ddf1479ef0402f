"""A connection is revoked at real authorization servers, while processes are at work on it."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random

import pytest

from domain.grant import Cause, Revoked
from tests.system.deployment import (
    Connection,
    Deployment,
    StartPeer,
    counted,
    deployed,
    logged_in,
    only_token,
)
from tests.system.loopback import http
from tests.system.peers import Peer, RefreshPolicy, django_oauth_toolkit, oidc_provider
from tests.thorough import times

PEERS: Mapping[str, StartPeer] = {
    "oidc-provider": oidc_provider,
    "django-oauth-toolkit": partial(django_oauth_toolkit, policy=RefreshPolicy.ROTATION),
}
ROUNDS = times(15, usually=5)
CALLERS = 12
SEED = 5
# In seconds: before, while and after the refresh that everybody waits for.
LATEST = 0.25


@pytest.fixture(scope="module", params=PEERS)
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    with deployed(PEERS[request.param], rotation="always;ends-access-token") as deployment:
        yield deployment


def is_dead(peer: Peer, refresh_token: str | None) -> bool:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": peer.client_id,
        "client_secret": peer.client_secret,
    }
    answer = http.post(peer.token_endpoint, data=form)
    assert answer.status_code in {200, 400}, answer.text
    return bool(answer.json().get("error") == "invalid_grant")


def assert_over(connection: Connection) -> None:
    assert isinstance(connection.record().grant, Revoked)
    answers = connection.ask(CALLERS)
    assert {answer.members["cause"] for answer in answers} == {Cause.REVOKED.value}
    assert counted(answers) == {(401, "authorization-required"): CALLERS}


def test_the_refresh_token_is_refused_and_a_new_login_works(deployment: Deployment) -> None:
    with logged_in(deployment, "alone") as connection:
        token, old = only_token(connection.ask(CALLERS)), connection.tokens
        assert connection.is_accepted(token)
        members = connection.revoke()
        assert (members["forgotten"], members["revoked"]) == (True, "yes")
        assert_over(connection)
        assert not connection.is_accepted(token)
        assert is_dead(connection.peer, old.refresh_token)
        assert connection.revoke(worker=1) == members
        connection.log_in()
        assert connection.is_accepted(only_token(connection.ask(CALLERS)))


def test_requests_in_flight_in_other_processes_do_not_undo_it(
    deployment: Deployment,
) -> None:
    random, refreshed = Random(SEED), 0  # noqa: S311 - a seed is the point
    for number in range(ROUNDS):
        with logged_in(deployment, f"in-flight-{number}") as connection:
            old = connection.tokens
            connection.expire_access_token()
            connection.peer.plan_faults(f"delay:{random.uniform(0, LATEST):.3f}")
            asked = connection.ask_meanwhile(CALLERS, workers=[0, 1, 2])
            time.sleep(random.uniform(0, LATEST))
            assert connection.revoke(worker=3)["forgotten"]
            served = {answer.token for answer in asked.result() if answer.status == 200}
            refreshed += len(served)
            assert_over(connection)
            assert not [token for token in served if connection.is_accepted(token)]
            assert is_dead(connection.peer, old.refresh_token)
            connection.peer.reset_stats()
    print(f"revoked after its refresh was served: {refreshed} of {ROUNDS}")  # noqa: T201 - how it met

"""Client credentials (RFC 6749 §4.4) at real servers: nobody logs in, and one request for all."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import httpx
import pytest

from tests.system.account import RecordProperty, accounted
from tests.system.deployment import (
    API_KEY,
    Connection,
    StartPeer,
    connected,
    counted,
    deployed,
    only_token,
)
from tests.system.peers import RefreshPolicy, Stats, django_oauth_toolkit, oidc_provider
from tests.thorough import times

CALLERS = 200
ROUNDS = times(20, usually=4)
PEERS: Mapping[str, StartPeer] = {
    "oidc-provider": partial(oidc_provider, own=True),
    "oidc-provider, Basic": partial(oidc_provider, own=True, auth_method="client_secret_basic"),
    "django": partial(django_oauth_toolkit, own=True, policy=RefreshPolicy.NO_ROTATION),
}
at_each_peer = pytest.mark.parametrize("start_peer", PEERS.values(), ids=PEERS)


@contextmanager
def own_connection(
    start_peer: StartPeer, *, count: int = 4, by_issuer: bool = False, **settings: str
) -> Iterator[Connection]:
    """Deploy with the client's own credentials; nobody logs in."""
    # A rotation concerns logins. It must not matter here.
    more = {"GRANT": "client_credentials", "AUTHORIZATION_ENDPOINT": "", "PUBLIC_URL": ""}
    started = deployed(start_peer, count=count, by_issuer=by_issuer, settings=more | settings)
    with started as deployment, connected(deployment) as connection:
        yield connection


def requests(number: int, *, refused: int = 0) -> Stats:
    """Return the provider's counts after so many requests and nothing else."""
    arrived = Counter({"client_credentials": number})
    return Stats(arrived=arrived, granted=number - refused, refused=refused, in_flight=0)


def is_active(connection: Connection, token: str) -> bool:
    """Ask the provider about an access token (RFC 7662)."""
    peer = connection.peer
    answer = httpx.post(
        peer.introspection_endpoint,
        data={"token": token, "client_id": peer.client_id, "client_secret": peer.client_secret},
    )
    return bool(answer.json()["active"])


@pytest.mark.parametrize("start_peer", [PEERS["oidc-provider"], PEERS["django"]], ids=["o", "d"])
def test_stampedes_of_four_processes_cost_one_request_each(
    start_peer: StartPeer, record_property: RecordProperty
) -> None:
    with own_connection(start_peer) as connection, accounted(record_property, "own") as account:
        served = set()
        for rounds in range(1, ROUNDS + 1):
            if rounds % 2 == 0:
                connection.peer.plan_faults("delay:0.5")
            answers = connection.ask(CALLERS)
            token = only_token(answers)
            assert token not in served
            served.add(token)
            assert token == connection.tokens.access_token
            assert connection.tokens.refresh_token is None
            assert connection.peer.stats() == requests(rounds)
            account.rounds += 1
            account.calls = connection.peer.stats().arrived.total()
            refused = 0 if is_active(connection, token) else len(answers)
            account.answered(answers, refused=refused)
            assert refused == 0
            connection.expire_access_token()


@at_each_peer
def test_a_token_works_and_ends_with_its_revocation(start_peer: StartPeer) -> None:
    with own_connection(start_peer, count=2) as connection:
        before = connection.verify()
        assert (before.status, before.members["state"]) == (202, "unauthorized")
        first = only_token(connection.ask(4))
        if connection.peer.auth_method == "client_secret_post":
            assert is_active(connection, first)
        verified = connection.verify(worker=1)
        assert verified.status == 200
        assert verified.members["grant"] == "client_credentials"
        assert verified.members["refresh_token_expires_at"] is None
        assert connection.revoke()["revoked"] == "yes"
        assert connection.verify().members["state"] == "revoked"
        second = only_token(connection.ask(40))
        assert second != first
        if connection.peer.auth_method == "client_secret_post":
            assert not is_active(connection, first)
            assert is_active(connection, second)
        assert connection.peer.stats() == requests(2)


@at_each_peer
def test_a_wrong_secret_is_a_fault_of_the_settings_and_asks_nobody_to_log_in(
    start_peer: StartPeer,
) -> None:
    with own_connection(start_peer, count=2, CLIENT_SECRET="a-wrong-secret") as connection:
        answers = connection.ask()
        # The next try must not come due while a busy machine asks again.
        connection.let_time_pass(-timedelta(minutes=1))
        answers += connection.ask(40)
        assert counted(answers) == {(502, "client-refused"): 41}
        assert all(answer.headers["retry-after"] for answer in answers)
        assert all("login" not in answer.members for answer in answers)
        assert connection.peer.stats().arrived.total() == 1
        verified = connection.verify()
        assert (verified.status, verified.members["cause"]) == (202, "client-refused")
        assert verified.members["action_required"] is True
        login = httpx.post(
            f"{connection.workers.urls[0]}/api/login", headers={"x-api-key": API_KEY}
        )
        assert login.status_code == 409
        assert login.json()["type"].endswith(":login-not-needed")


@pytest.mark.parametrize("fault", ["drop-answer", "drop-request", "refuse-503"])
def test_an_answer_that_is_lost_costs_one_more_request(fault: str) -> None:
    with own_connection(PEERS["oidc-provider"], count=2) as connection:
        for number in (1, 2):
            connection.peer.plan_faults(fault)
            answers = connection.ask()
            while answers[0].status == 503:
                answers = connection.ask()
            only_token(answers)
            arrived = connection.peer.stats().arrived
            assert arrived == Counter({"client_credentials": 2 * number})
            connection.expire_access_token()


def test_the_endpoints_are_discovered() -> None:
    with own_connection(PEERS["oidc-provider"], count=2, by_issuer=True) as connection:
        only_token(connection.ask(CALLERS))
        assert connection.peer.stats() == requests(1)

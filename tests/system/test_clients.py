"""Three clients in one deployment, each with a real provider of its own, and the unnamed one."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from tests.functions.doctors import encryption_key
from tests.system.browser import authorize
from tests.system.deployment import (
    API_KEY,
    Connection,
    Deployment,
    counted,
    deployed,
    only_token,
    refreshes,
)
from tests.system.loopback import http
from tests.system.peers import Peer, oidc_provider

CALLERS = 200
# By the method of its authentication.
CLIENTS = {
    "one": "client_secret_post",
    "two": "client_secret_basic",
    "three": "client_secret_post",
}


class Providers:
    """The provider of the unnamed client, which starts those of the others as well."""

    def __init__(self) -> None:
        self.named: Mapping[str, Peer] = {}

    @contextmanager
    def start(self, *, redirect_uri: str) -> Iterator[Peer]:
        """Start all. The variable CLIENTS comes with the unnamed client's provider."""
        with ExitStack() as stack:
            self.named = {
                name: stack.enter_context(
                    oidc_provider(redirect_uri=f"{redirect_uri}/{name}", auth_method=method)
                )
                for name, method in CLIENTS.items()
            }
            own = stack.enter_context(oidc_provider(redirect_uri=redirect_uri))
            yield replace(
                own,
                client_variables={
                    "CLIENTS": json.dumps(dict(map(entry, self.named.items()))),
                    "ENCRYPTION_KEYS": encryption_key("deployment"),
                },
            )


def entry(named: tuple[str, Peer]) -> tuple[str, Mapping[str, object]]:
    """Describe a client: the last one by its issuer, the others by their endpoints."""
    name, peer = named
    endpoints = {
        "authorization_endpoint": peer.authorization_endpoint,
        "token_endpoint": peer.token_endpoint,
        "token_endpoint_auth_method": peer.auth_method,
    }
    return name, {
        "provider": "custom",
        "client_id": peer.client_id,
        "client_secret": peer.client_secret,
        "scope": peer.scope,
        "authorization_params": dict(peer.authorization_params),
        "rotation": "always",
        **({"issuer": peer.issuer} if name == "three" else endpoints),
    }


@pytest.fixture(scope="module")
def providers() -> Providers:
    """The providers of the deployment."""
    return Providers()


@pytest.fixture(scope="module")
def deployment(providers: Providers) -> Iterator[Deployment]:
    """A deployment of four workers with four clients."""
    with deployed(providers.start) as deployment:
        yield deployment


def connection_of(deployment: Deployment, providers: Providers, name: str) -> Connection:
    connection = Connection(deployment, name)
    connection.peer = providers.named.get(name.partition(":")[0], deployment.peer)
    return connection


def test_a_stampede_on_three_clients_costs_one_refresh_at_each(
    deployment: Deployment, providers: Providers
) -> None:
    names = ["one", "two:alice", "three"]
    connections = [connection_of(deployment, providers, name) for name in names]
    for connection in connections:
        connection.log_in()
        connection.expire_access_token()
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda connection: connection.ask(CALLERS), connections))
    for connection, group in zip(connections, answers, strict=True):
        assert counted(group) == {(200, ""): CALLERS}
        assert connection.is_accepted(only_token(group))
        assert connection.peer.stats() == refreshes(1, granted=1)
    assert len({only_token(group) for group in answers}) == len(names)


def test_a_code_at_another_client_s_callback_is_refused_and_sent_nowhere(
    deployment: Deployment, providers: Providers
) -> None:
    for peer in (deployment.peer, *providers.named.values()):
        peer.reset_stats()
    url = deployment.workers.urls[0]
    begun = http.post(f"{url}/api/login?connection=one:bob", headers={"x-api-key": API_KEY})
    callback = authorize(begun.json()["authorization_url"], redirect_uri=f"{url}/api/callback")
    assert callback.startswith(f"{url}/api/callback/one?")
    for path in ("/api/callback/two?", "/api/callback?"):
        answer = http.get(callback.replace("/api/callback/one?", path))
        assert answer.status_code == 400, answer.text
    assert http.get(callback).status_code == 400
    for peer in (deployment.peer, *providers.named.values()):
        assert peer.stats() == refreshes(0, granted=0)
    assert connection_of(deployment, providers, "one:bob").verify().status == 404


def test_the_unnamed_client_keeps_its_connections(
    deployment: Deployment, providers: Providers
) -> None:
    connection = connection_of(deployment, providers, "alice")
    connection.log_in()
    assert connection.is_accepted(only_token(connection.ask(4)))

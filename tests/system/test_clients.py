"""Three clients in one deployment, and the unnamed one, at a server each and at one for all."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeAlias

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
)
from tests.system.loopback import http
from tests.system.peers import (
    Application,
    Peer,
    RefreshPolicy,
    django_oauth_toolkit,
    oidc_provider,
)

CALLERS = 200
NAMES = ("one", "two", "three")
# By the method of its authentication.
METHODS = ("client_secret_post", "client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client at a provider. `members`: more of its entry in CLIENTS."""

    peer: Peer
    members: Mapping[str, object] = field(default_factory=dict)

    @property
    def needs_login(self) -> bool:
        """Whether its tokens come from a login."""
        return "grant" not in self.members

    def entry(self) -> Mapping[str, object]:
        """Return its entry in CLIENTS."""
        peer = self.peer
        return {
            "provider": "custom",
            "client_id": peer.client_id,
            "client_secret": peer.client_secret,
            "scope": peer.scope,
            "rotation": "always",
            **self.members,
        }


Clients: TypeAlias = Mapping[str, Client]
"""By name. The unnamed client has the empty name."""


@contextmanager
def at_a_server_each(redirect_uri: str) -> Iterator[Clients]:
    """Run oidc-provider for each client. The last one is described by its issuer."""
    with ExitStack() as stack:
        own = stack.enter_context(oidc_provider(redirect_uri=redirect_uri))
        peers = {
            name: stack.enter_context(
                oidc_provider(redirect_uri=f"{redirect_uri}/{name}", auth_method=method)
            )
            for name, method in zip(NAMES, METHODS, strict=True)
        }
        consent: dict[str, object] = {"authorization_params": dict(own.authorization_params)}
        yield {
            "": Client(peer=own),
            "one": Client(peer=peers["one"], members=consent | login_endpoints(peers["one"])),
            "two": Client(peer=peers["two"], members=consent | login_endpoints(peers["two"])),
            "three": Client(
                peer=peers["three"], members={**consent, "issuer": peers["three"].issuer}
            ),
        }


@contextmanager
def at_one_server(redirect_uri: str) -> Iterator[Clients]:
    """Run django-oauth-toolkit for all: they differ in their scopes, and in their grants."""
    others = [
        Application(
            client_id=f"client-{name}",
            client_secret=f"not-a-real-secret-of-{name}",
            redirect_uri=f"{redirect_uri}/{name}",
            own=name == "three",
        )
        for name in NAMES
    ]
    policy = RefreshPolicy.REUSE_PROTECTION
    with django_oauth_toolkit(redirect_uri=redirect_uri, policy=policy, others=others) as own:
        one, two, three = (
            replace(own, client_id=other.client_id, client_secret=other.client_secret, scope=scope)
            for other, scope in zip(others, ("read", "read write", "write"), strict=True)
        )
        alone = {"grant": "client_credentials", "token_endpoint": own.token_endpoint}
        yield {
            "": Client(peer=own),
            "one": Client(peer=one, members=login_endpoints(one)),
            "two": Client(peer=two, members=login_endpoints(two)),
            "three": Client(peer=three, members=alone),
        }


def login_endpoints(peer: Peer) -> dict[str, object]:
    """Return the members that a client with logins needs without an issuer."""
    return {
        "authorization_endpoint": peer.authorization_endpoint,
        "token_endpoint": peer.token_endpoint,
        "token_endpoint_auth_method": peer.auth_method,
    }


@dataclass
class Providers:
    """The providers of all clients. That of the unnamed client starts the others as well."""

    run: Callable[[str], AbstractContextManager[Clients]]
    clients: Clients = field(default_factory=dict)

    @contextmanager
    def start(self, *, redirect_uri: str) -> Iterator[Peer]:
        """Start all. The variable CLIENTS comes with the unnamed client's provider."""
        with self.run(redirect_uri) as self.clients:
            named = {name: client.entry() for name, client in self.clients.items() if name}
            variables = {
                "CLIENTS": json.dumps(named),
                "ENCRYPTION_KEYS": encryption_key("deployment"),
            }
            yield replace(self.clients[""].peer, client_variables=variables)

    def client_of(self, connection: str) -> Client:
        """Return the client of a connection."""
        return self.clients.get(connection.partition(":")[0], self.clients[""])

    def arrived(self) -> Mapping[str, Counter[str]]:
        """Return the token requests by server and grant type. Servers without one are left out."""
        found = {client.peer.issuer: client.peer.stats() for client in self.clients.values()}
        assert not any(stats.refused for stats in found.values())
        return {issuer: stats.arrived for issuer, stats in found.items() if stats.arrived}

    def reset_stats(self) -> None:
        """Count from zero."""
        for client in self.clients.values():
            client.peer.reset_stats()


@pytest.fixture(scope="module", params=[at_a_server_each, at_one_server])
def providers(request: pytest.FixtureRequest) -> Providers:
    """The providers of the deployment."""
    return Providers(run=request.param)


@pytest.fixture(scope="module")
def deployment(providers: Providers) -> Iterator[Deployment]:
    """A deployment of four workers with four clients."""
    with deployed(providers.start) as deployment:
        yield deployment


def connection_of(deployment: Deployment, providers: Providers, name: str) -> Connection:
    connection = Connection(deployment, name)
    connection.peer = providers.client_of(name).peer
    return connection


def test_a_stampede_on_three_clients_costs_one_request_for_each(
    deployment: Deployment, providers: Providers
) -> None:
    names = ["one", "two:alice", "three"]
    connections = [connection_of(deployment, providers, name) for name in names]
    expected: dict[str, Counter[str]] = {}
    for connection in connections:
        client = providers.client_of(connection.name)
        if client.needs_login:
            connection.log_in()
        only_token(connection.ask())
        connection.expire_access_token()
        kind = "refresh_token" if client.needs_login else "client_credentials"
        expected.setdefault(connection.peer.issuer, Counter())[kind] += 1
    providers.reset_stats()
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda connection: connection.ask(CALLERS), connections))
    for connection, group in zip(connections, answers, strict=True):
        assert counted(group) == {(200, ""): CALLERS}
        assert connection.is_accepted(only_token(group))
        assert sorted(group[0].members["scope"].split()) == sorted(connection.peer.scope.split())
    assert len({only_token(group) for group in answers}) == len(names)
    assert providers.arrived() == expected


def test_a_code_at_another_client_s_callback_is_refused_and_sent_nowhere(
    deployment: Deployment, providers: Providers
) -> None:
    providers.reset_stats()
    url = deployment.workers.urls[0]
    begun = http.post(f"{url}/api/login?connection=one:bob", headers={"x-api-key": API_KEY})
    callback = authorize(begun.json()["authorization_url"], redirect_uri=f"{url}/api/callback")
    assert callback.startswith(f"{url}/api/callback/one?")
    for path in ("/api/callback/two?", "/api/callback?"):
        answer = http.get(callback.replace("/api/callback/one?", path))
        assert answer.status_code == 400, answer.text
    assert http.get(callback).status_code == 400
    assert providers.arrived() == {}
    assert connection_of(deployment, providers, "one:bob").verify().status == 404


def test_the_unnamed_client_keeps_its_connections(
    deployment: Deployment, providers: Providers
) -> None:
    connection = connection_of(deployment, providers, "alice")
    connection.log_in()
    assert connection.is_accepted(only_token(connection.ask(4)))

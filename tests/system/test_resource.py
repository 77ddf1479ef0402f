"""RFC 8707 at a real server: the access token is for the resource that the client's variables name.

All clients are registrations at one server, so that one deployment has each way to name it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.functions.doctors import encryption_key
from tests.system.deployment import Connection, Deployment, connected, deployed, only_token
from tests.system.loopback import http
from tests.system.peers import Peer, oidc_provider

RESOURCE, ANOTHER = "https://api.example/orders?of=all", "https://other.example/"
# The members of each client, and the audience of its tokens: of the first one, and after a refresh.
CLIENTS: Mapping[str, tuple[Mapping[str, object], str | None, str | None]] = {
    "all-token-requests": (
        {
            "authorization_params": {"prompt": "consent", "resource": RESOURCE},
            "token_params": {"resource": RESOURCE},
        },
        RESOURCE,
        RESOURCE,
    ),
    "each-by-its-own": (
        {
            "authorization_params": {"prompt": "consent", "resource": RESOURCE},
            "code_params": {"resource": RESOURCE},
            "refresh_params": {"resource": RESOURCE},
        },
        RESOURCE,
        RESOURCE,
    ),
    "exchange-only": (
        {
            "authorization_params": {"prompt": "consent", "resource": RESOURCE},
            "code_params": {"resource": RESOURCE},
        },
        RESOURCE,
        None,
    ),
    "login-only": (
        {"authorization_params": {"prompt": "consent", "resource": RESOURCE}},
        None,
        None,
    ),
    "own-credentials": (
        {"grant": "client_credentials", "token_params": {"resource": ANOTHER}, "scope": "read"},
        ANOTHER,
        ANOTHER,
    ),
    "without": ({"authorization_params": {"prompt": "consent"}}, None, None),
}


@contextmanager
def provider(*, redirect_uri: str) -> Iterator[Peer]:
    """Run the server, where one registration serves all clients: each has its redirect URI."""
    registered = {
        "redirect_uris": [redirect_uri, *(f"{redirect_uri}/{name}" for name in CLIENTS)],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    }
    with oidc_provider(redirect_uri=redirect_uri, registered=registered) as peer:
        clients = {name: _entry(peer, members) for name, (members, _, _) in CLIENTS.items()}
        more = {"CLIENTS": json.dumps(clients), "ENCRYPTION_KEYS": encryption_key("deployment")}
        yield replace(peer, client_variables=more)


def _entry(peer: Peer, members: Mapping[str, object]) -> Mapping[str, object]:
    login = {"authorization_endpoint": peer.authorization_endpoint}
    return {
        "provider": "custom",
        "client_id": peer.client_id,
        "client_secret": peer.client_secret,
        "token_endpoint": peer.token_endpoint,
        "scope": f"{peer.scope} read",
        "rotation": "always",
        **({} if "grant" in members else login),
        **members,
    }


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """A deployment with all clients."""
    with deployed(provider, count=1) as deployment:
        yield deployment


@pytest.mark.parametrize("name", CLIENTS)
def test_tokens_are_for_the_resource_of_their_client(deployment: Deployment, name: str) -> None:
    members, first, refreshed = CLIENTS[name]
    with connected(deployment, name) as connection:
        if "grant" not in members:
            connection.log_in()
        token = only_token(connection.ask())
        assert audience(connection, token) == first
        connection.expire_access_token()
        another = only_token(connection.ask())
        assert another != token
        assert audience(connection, another) == refreshed


def audience(connection: Connection, token: str) -> str | None:
    """Return the audience of an access token, as a resource server gets it (RFC 7662 §2.2)."""
    peer = connection.peer
    answer = http.post(
        peer.introspection_endpoint,
        data={"token": token, "client_id": peer.client_id, "client_secret": peer.client_secret},
    ).json()
    assert answer["active"] is True, answer
    found: str | None = answer.get("aud")
    return found

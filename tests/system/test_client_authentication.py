"""A real provider accepts a client without a secret: a public one, and one with a private key."""

from collections.abc import Iterator, Mapping
from functools import partial

import pytest

from tests.client_keys import jwk_of, pem_of
from tests.functions.doctors import encryption_key
from tests.system.deployment import (
    API_KEY,
    Connection,
    StartPeer,
    connected,
    deployed,
    logged_in,
    only_token,
    refreshes,
)
from tests.system.loopback import http
from tests.system.peers import oidc_provider


def by_key(kind: str, *, algorithm: str | None = None, own: bool = False) -> StartPeer:
    """Return the peer whose client has a key of a kind."""
    asked = {} if algorithm is None else {"TOKEN_ENDPOINT_AUTH_SIGNING_ALG": algorithm}
    return peer_of(
        "private_key_jwt",
        registered={"jwks": {"keys": [jwk_of(kind, kid="key-1")]}}
        | ({} if algorithm is None else {"token_endpoint_auth_signing_alg": algorithm}),
        own=own,
        CLIENT_PRIVATE_KEY=pem_of(kind).replace("\n", "\\n"),
        CLIENT_KEY_ID="key-1",
        **asked,
    )


def peer_of(
    method: str,
    *,
    registered: Mapping[str, object] | None = None,
    own: bool = False,
    **variables: str,
) -> StartPeer:
    return partial(
        oidc_provider,
        auth_method=method,
        registered=registered or {},
        own=own,
        client_variables={
            "TOKEN_ENDPOINT_AUTH_METHOD": method,
            "ENCRYPTION_KEYS": encryption_key("deployment"),
            "CLIENT_SECRET": "",
            **variables,
        },
    )


@pytest.fixture(
    params=[
        pytest.param((peer_of("none"), False), id="none"),
        pytest.param((by_key("p256"), False), id="ES256"),
        pytest.param((by_key("p256"), True), id="ES256-by-issuer"),
        pytest.param((by_key("rsa", algorithm="PS256"), False), id="PS256"),
        pytest.param((by_key("ed25519"), False), id="EdDSA"),
    ]
)
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A login of each kind of client."""
    start_peer, by_issuer = request.param
    with (
        deployed(start_peer, count=1, by_issuer=by_issuer) as deployment,
        logged_in(deployment) as connection,
    ):
        yield connection


def test_login_refresh_and_revocation_work(connection: Connection) -> None:
    first = only_token(connection.ask())
    assert connection.is_accepted(first)
    connection.expire_access_token()
    second = only_token(connection.ask(5))
    assert second != first
    assert connection.is_accepted(second)
    assert connection.peer.stats() == refreshes(1, granted=1)
    url = connection.workers.urls[0]
    revoked = http.post(f"{url}/api/revoke", headers={"x-api-key": API_KEY})
    assert revoked.json()["revoked"] == "yes"
    assert not connection.is_accepted(second)


def test_a_private_key_serves_the_own_credentials_of_a_client() -> None:
    own = {"GRANT": "client_credentials", "AUTHORIZATION_ENDPOINT": "", "PUBLIC_URL": ""}
    with (
        deployed(by_key("p256", own=True), count=1, settings=own) as deployment,
        connected(deployment) as connection,
    ):
        assert only_token(connection.ask(5))
        stats = connection.peer.stats()
        assert (stats.arrived["client_credentials"], stats.granted) == (1, 1)

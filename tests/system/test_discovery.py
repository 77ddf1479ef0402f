"""With nothing but the issuer of a real provider, logins and refreshes work."""

from collections.abc import Iterator

import pytest

from tests.system.deployment import (
    API_KEY,
    Connection,
    Deployment,
    deployed,
    logged_in,
    only_token,
    refreshes,
)
from tests.system.loopback import http
from tests.system.peers import oidc_provider


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed(oidc_provider, by_issuer=True, count=2) as deployment:
        yield deployment


@pytest.fixture
def connection(deployment: Deployment) -> Iterator[Connection]:
    with logged_in(deployment) as connection:
        yield connection


def test_login_and_refresh_work_with_nothing_but_the_issuer(connection: Connection) -> None:
    first = only_token(connection.ask())
    assert connection.is_accepted(first)
    connection.expire_access_token()
    # By both workers, of which one has not asked the issuer for anything yet.
    second = only_token(connection.ask(20))
    assert second != first
    assert connection.is_accepted(second)
    assert connection.peer.stats() == refreshes(1, granted=1)


def test_pkce_is_used_because_the_issuer_has_it(deployment: Deployment) -> None:
    begun = http.post(f"{deployment.workers.urls[0]}/api/login", headers={"x-api-key": API_KEY})
    url = str(begun.json()["authorization_url"])
    assert url.startswith(deployment.peer.authorization_endpoint)
    assert "code_challenge_method=S256" in url

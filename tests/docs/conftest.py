"""The server that the pages' commands run against: `make run`, as a newcomer has it."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.system.local_server import LocalServer, local_server
from tests.system.simulated_digikey import press


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A new server: nobody has logged in."""
    with local_server(tmp_path_factory.mktemp("newcomer")) as running:
        yield running


@pytest.fixture(scope="module")
def logged_in(server: LocalServer) -> LocalServer:
    """The server after a login."""
    log_in(server)
    return server


def log_in(server: LocalServer) -> None:
    """Log in as a person does."""
    begun = httpx.post(f"{server.address}/api/login", headers={"x-api-key": server.api_key})
    callback = press(begun.raise_for_status().json()["authorization_url"], "allow")
    page = httpx.get(callback, headers={"accept": "text/html"})
    assert "Logged in" in page.text, page.text


def let_expire(server: LocalServer, *, fault: str) -> None:
    """Log in, and wait until the access token has expired. The next refresh has a fault."""
    _control(server, {"lifetimes": {"access_token": 2}, "clear_faults": True})
    log_in(server)
    _control(server, {"lifetimes": {"access_token": 1800}, "faults": [fault]})
    time.sleep(2.1)


def _control(server: LocalServer, change: dict[str, object]) -> None:
    answer = httpx.post(f"{server.address}/simulated-digikey/_control", json=change)
    assert answer.status_code == httpx.codes.OK, answer.text

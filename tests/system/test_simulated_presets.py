"""`make run PROVIDER=NAME`: the product and the simulated provider, from a login to its end."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.client_keys import pem_of
from tests.system.local_server import ROOT, LocalServer, local_server
from tests.system.loopback import free_port, http
from tests.system.simulated_digikey import press
from tests.system.waiting import wait_until

TITLES = {"digikey-sandbox": "Digi-Key sandbox"}
# Seconds. Providers report one less.
SHORT, LONG = 2, 3600
BY_KEY = {
    "TOKEN_ENDPOINT_AUTH_METHOD": "private_key_jwt",
    "CLIENT_PRIVATE_KEY": pem_of("p256").replace("\n", "\\n"),
}
# The form of a key is checked first, and this has it.
NO_KEY = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----"
PRESETS = [
    pytest.param("digikey-sandbox", id="another-digi-key"),
    pytest.param("custom", id="no-differences"),
    pytest.param("github-app", id="another-word-for-a-dead-token-and-ends-the-access-token"),
    pytest.param("google", id="keeps-the-refresh-token-and-requires-a-scope"),
    pytest.param("quickbooks", id="basic-and-a-refresh-token-that-is-replaced-by-turns"),
    pytest.param("slack", id="another-token-type"),
    pytest.param("square", id="an-instant-as-lifetime"),
]


@pytest.mark.parametrize("name", PRESETS)
def test_product_keeps_a_login_at_the_simulated_preset(name: str, tmp_path: Path) -> None:
    with local_server(tmp_path, variables={"PROVIDER": name}) as server:
        assert f"provider: a simulated {TITLES.get(name, name)}\n" in server.greeting
        there = f"{server.address}/simulated-{name}"
        _change(there, lifetimes={"access_token": SHORT})
        first = _log_in(server)
        assert _accepts(there, first)
        _wait_for_the_end(there, first)
        second = _token(server)
        assert _accepts(there, second)
        _wait_for_the_end(there, second)
        _change(there, revoke_grants=True)
        refused = _ask(server, "GET", "/api/token")
        assert refused.status_code == 401
        assert refused.json()["type"].endswith("authorization-required"), refused.text
        assert _accepts(there, _log_in(server))


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        pytest.param("keycloak", BY_KEY, id="the-token-endpoint-as-audience"),
        pytest.param(
            "okta",
            {
                **BY_KEY,
                "CLIENT_PRIVATE_KEY": pem_of("rsa"),
                "CLIENT_ASSERTION_AUDIENCE": "https://login.example",
                "TOKEN_ENDPOINT_AUTH_SIGNING_ALG": "PS256",
            },
            id="another-audience-and-algorithm",
        ),
    ],
)
def test_product_authenticates_by_a_private_key(
    name: str, variables: Mapping[str, str], tmp_path: Path
) -> None:
    with local_server(tmp_path, variables={"PROVIDER": name, **variables}) as server:
        there = f"{server.address}/simulated-{name}"
        _change(there, lifetimes={"access_token": SHORT})
        _press_allow(server)
        _change(there, lifetimes={"access_token": LONG})
        wait_until(lambda: _ask(server, "GET", "/api/token").json()["expires_in"] > SHORT)
        refreshed = _token(server)
        assert _accepts(there, refreshed)
        assert _ask(server, "POST", "/api/revoke").json()["revoked"] == "yes"
        assert not _accepts(there, refreshed)


def test_another_preset_answers_while_the_deployment_runs(tmp_path: Path) -> None:
    with local_server(tmp_path, variables={"PROVIDER": "custom"}) as server:
        there = f"{server.address}/simulated-custom"
        _change(there, lifetimes={"access_token": SHORT})
        first = _log_in(server)
        _change(there, preset="github-app")
        _wait_for_the_end(there, first)
        token = _ask(server, "GET", "/api/token").json()
        # GitHub's lifetime.
        assert 28_000 < token["expires_in"] <= 28_800
        assert _accepts(there, token["access_token"])


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        pytest.param({"PROVIDER": "gogle"}, "similar to google", id="unknown-preset"),
        pytest.param(
            {**BY_KEY, "CLIENT_PRIVATE_KEY": NO_KEY},
            "Cannot start: CLIENT_PRIVATE_KEY cannot be read: store it again.",
            id="key-that-is-none",
        ),
    ],
)
def test_wrong_setting_ends_the_start_with_a_reason(
    variables: Mapping[str, str], reason: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "infra.local.run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PORT": str(free_port()), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert reason in ended.stderr


def _log_in(server: LocalServer) -> str:
    _press_allow(server)
    return _token(server)


def _press_allow(server: LocalServer) -> None:
    begun = _ask(server, "POST", "/api/login").raise_for_status()
    page = http.get(press(begun.json()["authorization_url"], "allow"))
    assert page.is_success, page.text


def _token(server: LocalServer) -> str:
    answer = _ask(server, "GET", "/api/token")
    assert answer.is_success, answer.text
    return str(answer.json()["access_token"])


def _ask(server: LocalServer, method: str, path: str) -> httpx.Response:
    return http.request(method, server.address + path, headers={"x-api-key": server.api_key})


def _wait_for_the_end(there: str, access_token: str) -> None:
    wait_until(lambda: not _accepts(there, access_token))


def _accepts(there: str, access_token: str) -> bool:
    headers = {"authorization": f"Bearer {access_token}"}
    return http.get(f"{there}/_resource", headers=headers).is_success


def _change(there: str, **change: object) -> None:
    http.post(f"{there}/_control", json=change).raise_for_status()

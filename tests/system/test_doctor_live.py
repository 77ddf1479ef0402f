"""`doctor --live URL`: a deployment that runs is asked as its callers ask it."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from functions.endpoints.promises.document import text
from tests.functions.deployment import API_KEY
from tests.functions.doctors import (
    Wrong,
    findings,
    healthy,
    http_date,
    keep,
    run_doctor,
    said,
    wrong,
)
from tests.ports.scripted_server import Connection, Script, ScriptedServer, answer, serving, stall
from tests.system.certificates import server_certificate
from tests.system.guarded_process import guarded_process
from tests.system.loopback import free_port, http
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey
from tests.system.stores import rest_store
from tests.system.workers import doors, public_url, running

OK_BODY = b'{"status":"ok"}'
NO_STORE = "Cache-Control: no-store"


@pytest.fixture(autouse=True)
def _loopback(plain_loopback: None) -> None:
    """Use no proxy."""


class Live:
    """A deployment that runs, and the environment it was started with."""

    def __init__(self, url: str, provider: SimulatedDigiKeyPeer, folder: Path) -> None:
        self.url = url
        self._provider = provider
        self._folder = folder

    def environ(self, **changes: str | None) -> dict[str, str]:
        """The deployment's environment, with some changes."""
        return healthy(self._provider, self._folder, **{"PUBLIC_URL": self.url, **changes})


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("deployment")
    with doors(1) as opened:
        url = public_url(opened)
        with simulated_digikey(redirect_uri=f"{url}/api/callback") as provider:
            there = Live(url, provider, folder)
            keep(there.environ())
            with running(opened, there.environ(), folder):
                yield there


def test_nothing_is_wrong_with_a_deployment_that_runs(live: Live) -> None:
    found = findings(live.environ(), live=live.url)
    assert wrong(found) == []
    assert {"live", "openapi", "API key", "login"} <= {each.about for each in found}


def test_command_reports_it_and_succeeds(live: Live) -> None:
    status, out, error = run_doctor(live.environ(), "--live", live.url)
    assert (status, error) == (0, "")
    assert out.count("\n") == out.count("ok  ")


KEYS_ALONE = {"API_KEY": None, "API_KEYS": json.dumps([{"name": "ci", "sha256": "ab" * 32}])}
LIVE = ("fault", "live")
LOGIN = ("fault", "login")


@pytest.mark.parametrize(
    ("changes", "address", "expected", "text"),
    [
        ({"API_KEY": "another-key-than-the-deployment's"}, "", ("fault", "API key"), "not know"),
        ({"CLIENT_ID": "another"}, "", LOGIN, "its client_id is"),
        ({"PUBLIC_URL": "http://localhost:1"}, "", LOGIN, "its redirect_uri is"),
        ({"PUBLIC_URL": "https://old.test"}, "", LOGIN, "https://old.test/api/callback"),
        ({"REDIRECT_URI": "a-name"}, "", LOGIN, "by this environment's REDIRECT_URI it is a-name"),
        (KEYS_ALONE, "", ("unknown", "API key"), ""),
        *(
            ({}, path, LIVE, "a path too many: use its PUBLIC_URL")
            for path in ("/api/callback", "/api", "/api/health")
        ),
        # No key may be sent there.
        ({}, "http://example.org", LIVE, "https URL"),
        ({}, "https://user@example.org", LIVE, "https URL"),
        ({}, "https://example.org/?x", LIVE, "https URL"),
        ({}, "example.org", LIVE, "https URL"),
        # No server listens there.
        ({}, "http://127.0.0.1:9", LIVE, ""),
    ],
    ids=str,
)
def test_environment_or_address_of_another_deployment_is_found(
    live: Live, changes: Mapping[str, str | None], address: str, expected: Wrong, text: str
) -> None:
    url = f"{live.url}{address}" if address.startswith("/") else address or live.url
    found = findings(live.environ(**changes), live=url)
    assert wrong(found) == [expected]
    assert text in said(found, expected[1])


def test_deployment_that_sends_browsers_to_another_provider_is_found(live: Live) -> None:
    here = live.environ()["AUTHORIZATION_ENDPOINT"]
    found = findings(live.environ(AUTHORIZATION_ENDPOINT=f"{here}2"), live=live.url)
    assert wrong(found) == [("fault", "login")]
    assert f"it sends the browser to {here}, " in said(found, "login")


def test_deployment_without_its_variables_is_found(live: Live) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "functions.asgi:app", "--port", str(port)]
    environ = {"PATH": os.environ["PATH"], **live.environ(CLIENT_ID="…")}
    with guarded_process(command, is_ready=lambda _: answers(url), environ=environ):
        found = findings(live.environ(), live=url)
    assert wrong(found) == [("fault", "live")]
    assert "CLIENT_ID is still the placeholder … of the example" in said(found, "live")


def test_deployment_where_nobody_has_logged_in_is_found(live: Live, tmp_path: Path) -> None:
    with doors(1) as opened:
        url = public_url(opened)
        environ = live.environ(SQLITE_PATH=str(tmp_path / "new.sqlite"), PUBLIC_URL=url)
        with running(opened, environ, tmp_path):
            found = findings(environ, live=url)
            assert wrong(found) == [("unknown", "SQLITE_PATH"), ("warning", "verify")]
            # By now there is a file.
            found = findings(environ, live=url)
            assert wrong(found) == [("warning", "connections"), ("warning", "verify")]


def test_deployment_whose_store_is_away_is_found(live: Live, tmp_path: Path) -> None:
    with doors(1) as opened, rest_store() as rest:
        environ = {**live.environ(SQLITE_PATH=None), **rest.front.environ}
        with running(opened, environ, tmp_path):
            rest.front.stop()
            found = findings(live.environ(), live=public_url(opened))
    assert wrong(found) == [("fault", "verify"), ("fault", "login")]
    assert "503 store-unavailable" in said(found, "verify")


# Servers that are not the deployment.


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (answer("200 OK", OK_BODY), "no-store"),
        (answer("200 OK", b"<p>Welcome", NO_STORE, content_type="text/html"), "not this app"),
        (answer("302 Found", b"", "Location: https://sso.example/"), "sign in"),
        (answer("401 Unauthorized"), "401"),
        (stall, "no answer within"),
        (lambda connection: connection.reset(), "does not answer"),
    ],
    ids=["may-be-cached", "a-page", "a-redirect", "protected", "hangs", "resets"],
)
def test_a_server_other_than_a_deployment_is_found_and_gets_no_key(
    live: Live, script: Script, text: str
) -> None:
    with serving(script) as server:
        found = findings(live.environ(), live=base(server))
        assert wrong(found) == [("fault", "live")]
        assert text in said(found, "live")
        assert keys_sent_to(server) == set()


def test_a_server_that_accepts_a_wrong_key_is_found_and_gets_no_right_one(live: Live) -> None:
    with serving(alive()) as server:
        found = findings(live.environ(), live=base(server))
        assert wrong(found) == [("fault", "openapi"), ("fault", "API key")]
        assert "a wrong one is not refused" in said(found, "API key")
        assert len(keys_sent_to(server)) == 1


def test_clock_that_is_not_the_deployments_is_found(live: Live) -> None:
    date = http_date(datetime.now(UTC) - timedelta(hours=1))
    with serving(answer("200 OK", OK_BODY, NO_STORE, date)) as server:
        found = findings(live.environ(), live=base(server))
    assert ("fault", "clock") in wrong(found)


def test_another_version_is_found(live: Live) -> None:
    document = json.loads(text())
    document["paths"].pop("/api/verify")
    body = json.dumps(document | {"status": "ok"}).encode()
    with serving(alive(body)) as server:
        found = findings(live.environ(), live=base(server))
    assert wrong(found) == [("warning", "openapi"), ("fault", "API key")]


def test_certificate_that_nobody_vouches_for_is_found(live: Live, tmp_path: Path) -> None:
    with serving(
        answer("200 OK", OK_BODY, NO_STORE), tls=server_certificate(tmp_path, "127.0.0.1")
    ) as server:
        found = findings(live.environ(), live=base(server))
    assert wrong(found) == [("fault", "live")]
    assert "certificate verify failed" in said(found, "live")


@pytest.mark.parametrize(
    ("days", "expected"), [(13, [("warning", "live")]), (15, [])], ids=["near", "far"]
)
def test_certificate_that_was_not_renewed_is_found(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, expected: list[Wrong]
) -> None:
    tls = server_certificate(tmp_path, "127.0.0.1", days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with serving(alive(), tls=tls) as server:
        found = findings(live.environ(), live=base(server))
    assert [each for each in wrong(found) if each[1] == "live"] == expected


def test_deployment_with_another_store_is_found(live: Live, tmp_path: Path) -> None:
    other = live.environ(SQLITE_PATH=str(tmp_path / "other.sqlite"))
    assert wrong(findings(other, live=live.url)) == [
        ("unknown", "SQLITE_PATH"),
        ("unknown", "same store"),
    ]
    keep(other)
    assert wrong(findings(other, live=live.url)) == [("fault", "same store")]


def test_login_that_was_begun_is_taken_back(live: Live) -> None:
    before = begun_logins(live)
    findings(live.environ(), live=live.url)
    assert begun_logins(live) == before


def begun_logins(live: Live) -> int:
    """How many logins wait for a browser."""
    with closing(sqlite3.connect(live.environ()["SQLITE_PATH"])) as database:
        query = "SELECT count(*) FROM logins WHERE taker IS NULL"
        return int(database.execute(query).fetchone()[0])


def test_command_ends_though_all_that_it_asks_hangs(live: Live) -> None:
    with rest_store() as rest, serving(stall) as provider, serving(stall) as there:
        rest.redis.pause()
        environ = live.environ(SQLITE_PATH=None, TOKEN_ENDPOINT=provider.endpoint)
        status, out, error = run_doctor(environ | rest.front.environ, "--live", base(there))
        rest.redis.resume()
    assert status == 1
    assert error == "Faults: 3; warnings: 0.\n"
    for about in ("store", "provider", "live"):
        assert f"\nfault    {about}: " in out
    assert API_KEY not in out


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        http.get(f"{url}/api/health")
    except httpx.TransportError:
        return False
    return True


def alive(body: bytes = OK_BODY) -> Script:
    """Answer every request as a deployment answers for its health."""

    def script(connection: Connection) -> None:
        answer("200 OK", body, NO_STORE, http_date(datetime.now(UTC)))(connection)

    return script


def base(server: ScriptedServer) -> str:
    return server.endpoint.removesuffix("/token")


def keys_sent_to(server: ScriptedServer) -> set[str]:
    """The API keys that came; never the deployment's own."""
    keys = {key for request in server.requests for key in request.all("x-api-key")}
    assert API_KEY not in keys
    return keys

"""A real Prometheus reads a running server, set up as docs/metrics.md has it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.grant import AuthorizationRequired, Cause
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.grants import over
from tests.functions.hosts import server_process
from tests.infra.promtool import ROOT, prometheus
from tests.infra.test_prometheus import FOLDER
from tests.records import record_of
from tests.system.certificates import server_certificate
from tests.system.loopback import free_port, http
from tests.system.waiting import wait_until

pytestmark = pytest.mark.anyio

ALERT = "OAuthCallbackLoginNeeded"
NEEDED = 'oauth_callback_connection_login_needed{job="oauth-callback",connection="lost"}'
KEYS = "-m functions.admin keys new prometheus --endpoints metrics"
LOST = AuthorizationRequired(
    tokens=over().tokens,
    cause=Cause.REFRESH_TOKEN_REJECTED,
    client="client",
    since=datetime.now(UTC),
)


def made_key() -> tuple[str, str]:
    """Return the key that the documented command prints, and its entry of API_KEYS."""
    assert f".venv/bin/python {KEYS}" in (ROOT / "docs/metrics.md").read_text()
    done = subprocess.run(
        [sys.executable, *KEYS.split()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip(), done.stderr.splitlines()[-1]


def set_up(folder: Path, *, key: str, port: int) -> Path:
    """Copy the documented files, and follow the steps; in a hurry. Return the configuration."""
    shutil.copytree(FOLDER, folder)
    (folder / "oauth-callback-key").write_text(key)
    config = folder / "prometheus.yaml"
    text = config.read_text()
    for documented, ours in (
        ("targets: [callback.example.org]", f"targets: ['localhost:{port}']"),
        ("scrape_interval: 2m", "scrape_interval: 200ms\n  evaluation_interval: 200ms"),
    ):
        assert text.count(documented) == 1
        text = text.replace(documented, ours)
    config.write_text(text)
    return config


@contextmanager
def running_prometheus(config: Path, authority: Path) -> Iterator[str]:
    """Run Prometheus, which trusts one certificate; yield the address of its API."""
    port = free_port()
    command = [prometheus(), f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"]
    command += [f"--storage.tsdb.path={config.parent / 'data'}", "--log.level=warn"]
    with (config.parent / "log").open("wb") as log:
        process = subprocess.Popen(command, env={"SSL_CERT_FILE": str(authority)}, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}/api/v1"
        finally:
            process.terminate()
            process.wait()


def asked(url: str, **parameters: str) -> Any:
    """Return the data of an answer; None before Prometheus listens."""
    try:
        answer = http.get(url, params=parameters)
    except httpx.TransportError:
        return None
    return answer.json()["data"] if answer.is_success else None


async def test_a_real_prometheus_scrapes_a_server_and_its_rules_see_what_they_should(
    tmp_path: Path,
) -> None:
    key, entry = made_key()
    server_certificate(tmp_path, "localhost")
    environ = {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "client-secret",
        "API_KEYS": f"[{entry}]",
        "PUBLIC_URL": "https://callback.example.org",
        "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
    }
    wiring = Wiring(Settings.from_environ(environ))
    await wiring.store.swap("lost", record_of(LOST, "first"), expected_etag=None)
    await wiring.close()
    command = ["-m", "uvicorn", "functions.asgi:app"]
    command += [f"--ssl-certfile={tmp_path}/certificate.pem", f"--ssl-keyfile={tmp_path}/key.pem"]
    with server_process(command, environ, port_option="--port") as server:
        config = set_up(tmp_path / "prometheus", key=key, port=int(server.base_url.split(":")[-1]))
        with running_prometheus(config, tmp_path / "certificate.pem") as api:
            wait_until(lambda: bool((asked(f"{api}/query", query=NEEDED) or {}).get("result")))
            [found] = asked(f"{api}/query", query=NEEDED)["result"]
            assert found["value"][1] == "1"
            wait_until(lambda: ALERT in json.dumps(asked(f"{api}/alerts")))
            alerts = asked(f"{api}/alerts")["alerts"]
    [alert] = [each for each in alerts if each["labels"]["alertname"] == ALERT]
    assert (alert["labels"]["connection"], alert["state"]) == ("lost", "pending")
    assert key not in (tmp_path / "prometheus/log").read_text()

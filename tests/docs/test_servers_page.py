"""docs/servers.md: its steps lead to a server on one machine."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from functions.settings.settings import Settings, SettingsError
from infra.local.environment import load_secret
from tests.docs.pages import ROOT, block, page
from tests.system.loopback import free_port, http
from tests.system.waiting import wait_until

PAGE = page("servers.md")
VARIABLES = block("sh", PAGE, having="# From the provider.")
SERVER = block("sh", PAGE, having="export CLIENT_ID")
KEY = "the-api-key-of-this-test"


def test_the_variables_of_the_file_can_be_used_once_they_are_filled_in(tmp_path: Path) -> None:
    written = dict(re.findall(r"^([A-Z_]+)=(.*)$", VARIABLES, re.MULTILINE))
    written = {name: value.strip("'") for name, value in written.items()}
    filled_in = {name: value.replace("…", "from-the-provider") for name, value in written.items()}
    added = {"API_KEY": KEY, "SQLITE_PATH": str(tmp_path / "grants.sqlite")}
    settings = Settings.from_environ({**filled_in, **added})
    assert settings.redirect_uri(settings.clients.get(None)) == "https://example.org/api/callback"
    with pytest.raises(SettingsError, match="still the placeholder … of the example"):
        Settings.from_environ({**written, **added})


def test_another_server_serves_several_processes(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    load_secret(tmp_path / ".local/encryption-key")
    key = load_secret(tmp_path / ".local/api-key")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    script = SERVER.replace("PUBLIC_URL=…", "PUBLIC_URL=")
    script = script.replace("CRON_SECRET=…", "CRON_SECRET=the-cron-secret-of-this-test")
    script = re.sub("=…", "=from-the-provider", script)
    command = f"exec {sys.executable} -m uvicorn"
    script = script.strip().replace(".venv/bin/uvicorn", command) + f" --port {port}"
    process = subprocess.Popen(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    try:
        wait_until(lambda: answers(address))
        verified = http.get(f"{address}/api/verify", headers={"x-api-key": key})
        assert verified.json()["state"] == "unauthorized"
        assert (tmp_path / ".local/grants.sqlite").exists()
    finally:
        process.terminate()
        process.wait()


def answers(address: str) -> bool:
    try:
        return http.get(f"{address}/api/health").is_success
    except httpx.TransportError:
        return False

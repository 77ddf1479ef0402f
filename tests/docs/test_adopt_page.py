"""docs/adopt.md: its commands adopt tokens, and its example is read."""

import json
import os
import subprocess
import sys
from pathlib import Path

from functions.login.adopted_body import read_text
from functions.login.adoptions import STOP_USING
from tests.docs.pages import ROOT, blocks, page
from tests.functions.commands import environ_in
from tests.functions.deployment import query_of
from tests.functions.token_endpoint import token_endpoint
from tests.system.local_server import LocalServer, local_server
from tests.system.loopback import http
from tests.system.simulated_digikey import press

PAGE = page("adopt.md")
CURL, COMMAND = blocks("sh", PAGE)
SECRET_FILE = ".local/simulated-client-secret"


def test_the_example_is_read() -> None:
    (example,) = blocks("json", PAGE)
    assert read_text(example.encode()).refresh_token == "a-refresh-token"


def test_the_request_adopts_a_file(tmp_path: Path) -> None:
    with local_server(tmp_path) as server:
        form = {
            "grant_type": "authorization_code",
            "code": _code(server),
            "client_id": "simulated-client",
            "client_secret": (tmp_path / SECRET_FILE).read_text().strip(),
            "redirect_uri": f"{server.address}/api/callback",
        }
        answer = http.post(f"{server.address}/simulated-digikey/v1/oauth2/token", data=form)
        (tmp_path / "token_storage.json").write_text(answer.raise_for_status().text)
        environ = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
        assert json.loads(server.shell(CURL, environ))["state"] == "fresh"


def _code(server: LocalServer) -> str:
    begun = http.post(f"{server.address}/api/login", headers={"x-api-key": server.api_key})
    return query_of(press(begun.json()["authorization_url"], "allow"))["code"]


def test_the_command_adopts_a_file(tmp_path: Path) -> None:
    (tmp_path / "token_storage.json").write_text('{"refresh_token": "from-elsewhere"}')
    with token_endpoint() as endpoint:
        environ = {**environ_in(tmp_path), **endpoint.environ, "PYTHONPATH": str(ROOT)}
        command = COMMAND.replace(".venv/bin/python", sys.executable)
        printed = subprocess.check_output(
            ["bash", "-c", command], cwd=tmp_path, text=True, env={**os.environ, **environ}
        )
        assert [seen.form["refresh_token"] for seen in endpoint.seen] == ["from-elsewhere"]
    assert printed == f"default: {STOP_USING}\n"

"""`python -m oauth_callback.shims` without a token, without a program, and with a wrong one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oauth_callback.testing import FakeKeeper
from tests.docs.pages import ROOT

STARTED = "print('started')"
# As digikey_mcp: a token at the start, headers at each call.
MCP_SERVER = """
import json, os, requests
def get_access_token():
    answer = requests.post("https://api.digikey.com/v1/oauth2/token", data={}, headers={})
    answer.raise_for_status()
    return answer.json()["access_token"]
access_token = get_access_token()
def _get_headers(customer_id="0"):
    return {"Authorization": f"Bearer {access_token}", "X-DIGIKEY-Customer-Id": customer_id}
def main():
    print(json.dumps(_get_headers("7")), bool(os.environ["CLIENT_SECRET"]))
"""
SERVER_WITHOUT_MAIN = "def _get_headers(): return {}\n"


def shims(keeper: FakeKeeper, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a Python that has none of the programs."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "client/src")}
    done = subprocess.run(
        [sys.executable, "-m", "oauth_callback.shims", *arguments],
        cwd=folder,
        env=environ | keeper.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert keeper.key not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("problem", "code", "message"),
    [
        pytest.param("authorization-required", 77, "needs a login", id="login-required"),
        pytest.param("api-key-invalid", 78, "A scripted failure.", id="wrong-key"),
        pytest.param("token-refused-again", 75, "A scripted failure.", id="refused"),
    ],
)
def test_program_does_not_start_without_a_token(
    tmp_path: Path, problem: str, code: int, message: str
) -> None:
    (tmp_path / "script.py").write_text(STARTED)
    with FakeKeeper() as keeper:
        if problem == "authorization-required":
            keeper.require_login()
        else:
            keeper.fail(problem)
        done = shims(keeper, tmp_path, "digikey-api", "script.py")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "a-link" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        pytest.param(["kicost", "-i", "x.csv"], 78, "kicost-digikey-api-v3 or", id="kicost"),
        pytest.param(["digikey-api", "script.py"], 78, "digikey is not installed", id="digikey"),
        pytest.param(["inventree-part-import"], 78, "-import is not installed", id="inventree"),
        pytest.param(["digikey-mcp"], 2, "Name the server", id="mcp-without-a-path"),
        pytest.param(["digikey-mcp", "x.py"], 127, "x.py: no such file", id="mcp-missing"),
        pytest.param(["digikey-mcp", "server.py"], 78, "is not digikey_mcp", id="another-server"),
        pytest.param(["another"], 2, "invalid choice", id="another-program"),
        pytest.param([], 2, "required", id="no-program"),
    ],
)
def test_wrong_program_is_named(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (tmp_path / "script.py").write_text(STARTED)
    (tmp_path / "server.py").write_text(SERVER_WITHOUT_MAIN)
    with FakeKeeper() as keeper:
        done = shims(keeper, tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_mcp_server_gets_tokens_at_each_call_and_none_at_its_start(tmp_path: Path) -> None:
    pytest.importorskip("requests", reason="requests is missing: make test")
    (tmp_path / "digikey_mcp_server.py").write_text(MCP_SERVER)
    with FakeKeeper() as keeper:
        done = shims(keeper, tmp_path, "digikey-mcp", "digikey_mcp_server.py")
    headers = '{"Authorization": "Bearer token-1", "X-DIGIKEY-Customer-Id": "7"} True'
    assert (done.returncode, done.stdout) == (0, f"{headers}\n"), done.stderr


@pytest.mark.parametrize("arguments", [["script.py", "a", "-b"], ["-m", "script", "a", "-b"]])
def test_script_gets_its_own_arguments(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint(__name__, sys.argv[1:])")
    _write_handler(tmp_path / "digikey")
    with FakeKeeper() as keeper:
        done = shims(keeper, tmp_path, "digikey-api", *arguments)
    assert (done.returncode, done.stdout) == (0, "__main__ ['a', '-b']\n"), done.stderr


def _write_handler(package: Path) -> None:
    """Write as much of digikey-api as the shim looks for."""
    (package / "oauth").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "exceptions.py").touch()
    (package / "oauth/oauth2.py").write_text("class TokenHandler: ...\n")

"""The wheel in an empty environment of the oldest Python: it needs nothing else, and is typed."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from infra.interpreters import interpreter
from tests.docs.pages import ROOT
from tests.needs import cannot_run

# All that a program uses first, against a keeper over HTTP.
PROGRAM = """
import asyncio, sys
from oauth_callback import LoginNeeded, TokenSource
from oauth_callback import adapters
from oauth_callback.testing import FakeKeeper

with FakeKeeper() as keeper:
    source = TokenSource(keeper.url, keeper.key)
    assert source.token() == asyncio.run(source.atoken()) == "token-1"
    assert source.get(refused="token-1").authorization == "Bearer token-2"
    keeper.require_login()
    try:
        TokenSource(keeper.url, keeper.key, "crm").get(refused="token-2")
        TokenSource(keeper.url, keeper.key).token()
    except LoginNeeded as error:
        assert error.cause == "refresh-token-rejected"
print(sys.version_info[:2])
"""


_UV = str(ROOT / ".venv" / "bin" / "uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, as a release does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [_UV, "build", "--no-config", "--wheel", "-q", "--out-dir", str(folder), "client"]
    subprocess.run(command, cwd=ROOT, check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()
        metadata = opened.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    tops = {name.partition("/")[0].partition("-")[0] for name in names}
    assert tops == {"oauth_callback", "oauth_callback_client"}
    assert "oauth_callback/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)
    assert (ROOT / "client" / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert "Requires-Dist" not in metadata
    assert "Requires-Python: >=3.9" in metadata


@pytest.mark.parametrize("minor", [9, 13])
def test_the_wheel_works_alone(minor: int, wheel: Path, tmp_path: Path) -> None:
    python = interpreter(minor)
    if python is None:
        cannot_run(f"Python 3.{minor} is not installed")
    environment = tmp_path / "environment"
    uv = [_UV, "--no-config", "-q", "--offline"]
    subprocess.run([*uv, "venv", "--python", str(python), str(environment)], check=True)
    target = str(environment / "bin" / "python")
    subprocess.run([*uv, "pip", "install", "--python", target, str(wheel)], check=True)
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [target, "-X", "dev", "-W", "error", "-c", PROGRAM]
    printed = subprocess.check_output(command, cwd=tmp_path, env=environ, text=True)
    assert printed.strip() == f"(3, {minor})"

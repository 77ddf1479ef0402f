"""docs/client-authentication.md: its commands make keys, and its blocks can be used."""

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from adapters.client_assertion import _BY_CURVE, _OF_RSA
from functions.settings.settings import Settings
from tests.docs.pages import block, blocks, page
from tests.functions.doctors import encryption_key

PAGE = page("client-authentication.md")
INI = blocks("ini", PAGE)


def settings_of(text: str, key: str = "") -> Settings:
    """Read the settings of a deployment with a block's variables; `key` is its private key."""
    given = {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}
    if given.get("ENCRYPTION_KEYS"):
        given["ENCRYPTION_KEYS"] = encryption_key("deployment")
    if key:
        given["CLIENT_PRIVATE_KEY"] = key
    return Settings.from_environ(
        {
            "CLIENT_ID": "client",
            "API_KEY": "the-api-key-of-this-test",
            "SQLITE_PATH": "grants.sqlite",
            "PROVIDER": "custom",
            "ISSUER": "https://login.example",
            **given,
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the keys of the page's commands."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(
        ["sh", "-c", block("sh", PAGE, having="genpkey")], check=True, capture_output=True
    )
    return tmp_path


@pytest.mark.parametrize("text", INI, ids=lambda text: text.partition("=")[0])
def test_each_block_can_be_used(text: str, folder: Path) -> None:
    key = (folder / "client-key.pem").read_text() if "PRIVATE_KEY" in text else ""
    client = settings_of(text, key).clients.get(None)
    assert (client.private_key is not None) == bool(key)


def test_the_base64_of_the_page_is_read(folder: Path) -> None:
    command = block("sh", PAGE, having="base64")
    encoded = subprocess.check_output(["sh", "-c", command], text=True)
    client = settings_of(block("ini", PAGE, having="PRIVATE"), encoded).clients.get(None)
    assert client.private_key is not None
    assert client.private_key.pem == (folder / "client-key.pem").read_text()


@pytest.mark.usefixtures("folder")
def test_the_program_prints_a_public_jwk_set() -> None:
    program = block("python", PAGE, having="to_jwk")
    printed = subprocess.check_output([sys.executable, "-c", program], text=True)
    (key,) = json.loads(printed)["keys"]
    assert (key["kty"], key["crv"], key["kid"], key["use"]) == ("EC", "P-256", "key-1", "sig")
    assert "d" not in key


def test_the_algorithms_are_those_of_the_code() -> None:
    assert all(f"`{name}`" in PAGE for name in (*_OF_RSA, *_BY_CURVE.values(), "EdDSA"))

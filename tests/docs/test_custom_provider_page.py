"""docs/custom-provider.md: each block can be used, and every variable of a provider is in one."""

import re
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values

from domain.provider import ClientAuthentication
from domain.wire_format import RevocationStyle
from functions.settings.settings import Settings
from tests.docs.pages import blocks, page

PAGE, CONFIGURATION = page("custom-provider.md"), page("configuration.md")
BLOCKS = blocks("ini", PAGE)
ENDPOINTS = {
    "PROVIDER": "custom",
    "AUTHORIZATION_ENDPOINT": "https://login.example/authorize",
    "TOKEN_ENDPOINT": "https://login.example/token",
}


def variables_of(block: str) -> dict[str, str]:
    """Read a block as `make run` reads `.env`."""
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(block)).items()}


def settings_of(block: str, folder: Path) -> Settings:
    """Read the settings of a deployment with a block's variables."""
    given = variables_of(block)
    return Settings.from_environ(
        {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "secret",
            "API_KEY": "the-api-key-of-this-test",
            "SQLITE_PATH": str(folder / "grants.sqlite"),
            **({} if "PROVIDER" in given else ENDPOINTS),
            **given,
        }
    )


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: next(iter(variables_of(block))))
def test_each_block_can_be_used(block: str, tmp_path: Path) -> None:
    provider = settings_of(block, tmp_path).clients.get(None).provider
    assert "{" not in f"{provider.authorization_endpoint}{provider.token_endpoint}"


def test_every_variable_of_a_provider_is_in_a_block() -> None:
    shown = {name for block in BLOCKS for name in variables_of(block)}
    section = CONFIGURATION.split("## Provider\n", 1)[1].split("## Proxies", 1)[0]
    rows = re.findall(r"^\| (`[A-Z][^|]*) \|", section, re.MULTILINE)
    described = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    # These have pages of their own.
    others = {"GRANT", *(name for name in described if name.startswith("ALERT"))}
    assert shown == described - others
    assert "(client-credentials.md)" in PAGE


def test_the_styles_and_methods_are_those_of_the_code() -> None:
    section = PAGE.split("## Revocation\n", 1)[1]
    table = re.findall(r"^\| `([a-z0-9-]+)`", section, re.MULTILINE)
    assert table == [style.value for style in RevocationStyle]
    assert all(f"`{method.value}`" in PAGE for method in ClientAuthentication)
    assert all(f"`{style.value}`" in CONFIGURATION for style in RevocationStyle)

"""README.md: its tables and figures match the code."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.authorization import LOGIN_LIFETIME
from domain.login_link import LINK_LIFETIME
from domain.providers.digikey import PROVIDER as DIGIKEY
from domain.token_endpoint import TokenResponse
from domain.tokens import Tokens
from functions.refresh.status import LONG_FAILURE
from functions.settings.settings import Settings
from infra.local.simulated.paths import prefix_of
from tests.docs.pages import README, all_first_cells, first_cells, page
from tests.presets import NAMES


def test_the_page_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_times_are_those_of_the_code() -> None:
    begin = datetime(2026, 6, 1, tzinfo=UTC)
    response = TokenResponse(
        access_token="access",
        token_type="Bearer",
        expires_in=None,
        refresh_token="refresh",
        refresh_token_expires_in=None,
        scope=None,
    )
    digikey = DIGIKEY
    tokens = Tokens.first(response, generation=0, issued_at=begin, provider=digikey)
    assert tokens.keep_alive_at() == begin + timedelta(days=90 - 30)
    assert "it refreshes when 30 days are left" in README
    assert timedelta(hours=1) == LONG_FAILURE
    assert "after one hour without tokens" in README
    assert timedelta(minutes=10) == LOGIN_LIFETIME
    assert "valid for ten minutes" in README
    assert timedelta(hours=24) == LINK_LIFETIME
    assert "single use, valid for 24 hours" in README


def test_the_variables_of_each_provider_can_be_used(tmp_path: Path) -> None:
    table = README.split("## Your provider\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| ([^|`]+) \| (.*) \|$", table, re.MULTILINE)
    settings = {name.strip(): settings_of(row, tmp_path) for name, row in rows[1:]}
    presets = "[over 80 presets](docs/providers.md)"
    assert list(settings) == ["Digi-Key", "Google", presets, "any other"]
    assert len(NAMES) > 80
    assert settings["Digi-Key"].clients.get(None).provider.name == "digikey-sandbox"
    assert settings[presets].clients.get(None).provider.refresh_ends_access_token
    assert settings["Google"].clients.get(None).provider.replay_is_harmless


def settings_of(row: str, folder: Path) -> Settings:
    given = dict(re.findall(r"`([A-Z_]+)=([^`]+)`", row))
    given = {name: value.replace("…", "read") for name, value in given.items()}
    if "`ISSUER`" in row:
        given["ISSUER"] = "https://login.example"
    return Settings.from_environ(
        {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "secret",
            "API_KEY": "the-api-key-of-this-test",
            "SQLITE_PATH": str(folder / "grants.sqlite"),
            **given,
        }
    )


def test_the_variables_are_those_that_most_deployments_need() -> None:
    named = set(first_cells("## Environment variables", README))
    assert named < set(all_first_cells(page("configuration.md")))


def test_the_simulation_is_where_the_page_of_servers_says() -> None:
    assert f"http://localhost:8000{prefix_of('digikey')}/" in page("servers.md")

"""What `make run` fills in, and what it leaves to its caller."""

from pathlib import Path

import pytest

from functions.settings.settings import Settings
from functions.settings.store import SqliteSettings, UpstashSettings
from infra.local.environment import LocalEnvironment

REDIS = {"KV_REST_API_URL": "https://eu1.upstash.io", "KV_REST_API_TOKEN": "not-a-real-token"}
CLIENT = {"CLIENT_ID": "client", "CLIENT_SECRET": "not-a-real-secret"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(environ: dict[str, str]) -> Settings:
    return Settings.from_environ(LocalEnvironment.complete(environ).variables)


def test_without_a_store_grants_are_kept_in_a_file() -> None:
    assert settings(CLIENT).store == SqliteSettings(Path(".local/grants.sqlite"))


@pytest.mark.parametrize("store", [{}, {"SQLITE_PATH": ".local/grants.sqlite"}])
def test_the_first_start_with_every_value_given_makes_the_folder(store: dict[str, str]) -> None:
    key = {"API_KEY": "5f1d9c3b7a2e4860b9d7c1f3"}
    assert settings(CLIENT | key | store).store == SqliteSettings(Path(".local/grants.sqlite"))
    assert Path(".local").stat().st_mode & 0o777 == 0o700


def test_a_store_that_is_given_is_the_only_one() -> None:
    assert isinstance(settings(CLIENT | REDIS).store, UpstashSettings)
    given = settings(CLIENT | {"SQLITE_PATH": "mine.sqlite"})
    assert given.store == SqliteSettings(Path("mine.sqlite"))


@pytest.mark.parametrize(
    "given", [{}, REDIS, {"SQLITE_PATH": "mine.sqlite"}, {"DYNAMODB_TABLE": "mine"}]
)
def test_the_simulation_never_touches_a_store_that_is_given(given: dict[str, str]) -> None:
    local = LocalEnvironment.complete(given)
    assert local.is_simulated
    found = Settings.from_environ(local.variables).store
    assert found == SqliteSettings(Path(".local/simulated.sqlite"))

"""The local defaults of `make run`, and the variables that the caller keeps."""

from pathlib import Path

import pytest

from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from functions.settings.settings import Settings
from functions.settings.store import SqliteSettings, UpstashSettings
from functions.wiring import keys_of
from infra.local.environment import LocalEnvironment, LocalEnvironmentError
from tests.functions.grants import fresh
from tests.records import record_of

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


def records(settings: Settings) -> SealedRecords:
    return SealedRecords(KeyRing(keys_of(settings)))


def test_records_stay_readable_with_another_client_secret() -> None:
    record = record_of(fresh(), "written")
    sealed = records(settings(CLIENT)).seal_record("c", record)
    changed = records(settings(CLIENT | {"CLIENT_SECRET": "another-secret"}))
    assert changed.open_record("c", "written", sealed) == record
    assert Path(".local/encryption-key").stat().st_mode & 0o777 == 0o600


def test_records_of_before_the_key_file_stay_readable() -> None:
    record = record_of(fresh(), "written")
    before = Settings.from_environ(
        CLIENT | {"SQLITE_PATH": "grants.sqlite", "API_KEY": "5f1d9c3b7a2e4860b9d7c1f3"}
    )
    assert not before.encryption_keys
    sealed = records(before).seal_record("c", record)
    assert records(settings(CLIENT)).open_record("c", "written", sealed) == record


def test_encryption_keys_that_are_given_are_the_only_ones() -> None:
    keys = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    found = settings(CLIENT | {"ENCRYPTION_KEYS": keys})
    assert found.encryption_keys == (b"01234567890123456789012345678901",)
    assert not Path(".local/encryption-key").exists()


def test_a_store_that_others_may_share_gets_no_key_of_this_folder() -> None:
    found = settings(CLIENT | {"SQLITE_PATH": "shared.sqlite"})
    assert not found.encryption_keys
    assert not Path(".local/encryption-key").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe"])
def test_a_damaged_key_file_is_refused(content: bytes) -> None:
    Path(".local").mkdir()
    Path(".local/encryption-key").write_bytes(content)
    with pytest.raises(LocalEnvironmentError, match=r"encryption-key is damaged"):
        settings(CLIENT)

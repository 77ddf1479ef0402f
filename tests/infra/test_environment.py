"""The local defaults of `make run`, and the variables that the caller keeps."""

from pathlib import Path

import pytest

from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from functions.settings.presets import load, names
from functions.settings.settings import Settings, SettingsError
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
    "given",
    [
        {},
        REDIS,
        {"SQLITE_PATH": "mine.sqlite"},
        {"DYNAMODB_TABLE": "mine"},
        {"DATABASE_URL": "postgres://db.example/mine"},
    ],
)
def test_the_simulation_never_touches_a_store_that_is_given(given: dict[str, str]) -> None:
    local = LocalEnvironment.complete(given)
    assert local.is_simulated
    found = Settings.from_environ(local.variables).store
    assert found == SqliteSettings(Path(".local/simulated.sqlite"))


@pytest.mark.parametrize(
    ("given", "is_simulated"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"PROVIDER": "custom"}, True, id="a-preset-alone"),
        pytest.param({"PROVIDER": "custom", "SCOPE": "read"}, True, id="and-how-to-use-it"),
        pytest.param({"CLIENT_ID": "client"}, False, id="a-client"),
        pytest.param({"PROVIDER": "digikey", "CLIENT_SECRET": "s"}, False, id="a-secret"),
        pytest.param({"PROVIDER": "custom", "ISSUER": "https://i.example"}, False, id="an-issuer"),
        pytest.param({"TOKEN_ENDPOINT": "https://t.example"}, False, id="an-endpoint"),
    ],
)
def test_a_preset_without_a_client_is_simulated(
    given: dict[str, str], *, is_simulated: bool
) -> None:
    assert LocalEnvironment.complete(given).is_simulated is is_simulated


def test_each_preset_is_simulated_apart_from_the_others() -> None:
    digikey, custom = (LocalEnvironment.complete({"PROVIDER": n}) for n in ("digikey", "custom"))
    assert digikey.variables == LocalEnvironment.complete({}).variables
    assert digikey.simulation_state == Path(".local/simulated-digikey.json")
    assert custom.simulation_state == Path(".local/simulated-custom.json")
    assert digikey.variables["SQLITE_PATH"] == ".local/simulated.sqlite"
    assert custom.variables["SQLITE_PATH"] == ".local/simulated-custom.sqlite"
    endpoint = "TOKEN_ENDPOINT"
    there = "http://localhost:8000/simulated-"
    assert digikey.variables[endpoint] == f"{there}digikey/v1/oauth2/token"
    assert custom.variables[endpoint] == f"{there}custom/token"


@pytest.mark.parametrize("name", names())
def test_settings_of_every_simulated_preset_are_valid(name: str) -> None:
    found = settings({"PROVIDER": name}).clients.get(None).provider
    preset = load(name)
    assert preset is not None
    assert found.name == name
    assert found.rotation == preset.rotation
    here = f"http://localhost:8000/simulated-{name}/"
    for endpoint in (
        found.authorization_endpoint,
        found.token_endpoint,
        found.revocation_endpoint,
    ):
        assert endpoint is None or endpoint.startswith(here)
    assert (found.revocation_endpoint is None) is (preset.revocation_endpoint is None)


def test_real_endpoints_are_never_used_by_a_simulated_provider() -> None:
    given = {"REVOCATION_ENDPOINT": "https://real.example/revoke", "REFRESH_ENDPOINT": "https://r"}
    variables = LocalEnvironment.complete(given).variables
    assert not {"REVOCATION_ENDPOINT", "REFRESH_ENDPOINT"} & set(variables)


def test_an_unknown_preset_is_a_fault_that_names_similar_ones() -> None:
    with pytest.raises(SettingsError, match="similar to digikey"):
        settings({"PROVIDER": "digikei"})


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

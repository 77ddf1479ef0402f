"""A preset is found by its name, and no other module is imported for it."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from domain import providers
from domain.providers.digikey import PROVIDER
from functions.settings.environment import EnvReader
from functions.settings.presets import load, unknown_preset
from functions.settings.provider import read_metadata, read_provider
from functions.settings.settings import Settings, SettingsError
from tests.presets import NAMES, preset_named

VALID = {
    "CLIENT_ID": "client",
    "CLIENT_SECRET": "not-a-real-secret",
    "API_KEY": "the-api-key-of-this-test",
    "SQLITE_PATH": "/nowhere/grants.sqlite",
}
ONE_IMPORT = """
import sys
from functions.settings.presets import load
assert load("digikey-sandbox").name == "digikey-sandbox"
found = [name for name in sys.modules if name.startswith("domain.providers.")]
assert sorted(found) == ["domain.providers.digikey", "domain.providers.digikey_sandbox"], found
assert not {"pkgutil", "difflib"} & sys.modules.keys()
"""


def test_name_finds_its_preset() -> None:
    assert load("digikey") is PROVIDER


@pytest.mark.parametrize(
    "name",
    [
        *("", "digi key", "digikey_sandbox", "Digikey", "digikey-", "-digikey", "digikey--sandbox"),
        *("--init--", "..provider", ".digikey", "digikey.digikey", "os", "x" * 100_000, "dígikey"),
    ],
    ids=ascii,
)
def test_other_names_find_nothing(name: str) -> None:
    assert load(name) is None


def test_list_has_the_names_that_find_a_preset() -> None:
    assert {"custom", "digikey", "digikey-sandbox"} <= set(NAMES)
    assert sorted(NAMES) == NAMES
    assert [name for name in NAMES if load(name) is None] == []


def test_only_the_module_of_the_preset_is_imported() -> None:
    subprocess.run([sys.executable, "-c", ONE_IMPORT], check=True)


def test_module_that_fails_is_not_taken_for_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import a_library_that_is_not_installed")
    monkeypatch.setattr(providers, "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_installed"):
        load("broken")


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("digikey-sandbx", "digikey-sandbox"),
        ("DigiKey", "digikey"),
        ("digikey_sandbox", "digikey-sandbox"),
    ],
)
def test_fault_has_the_most_similar_names(name: str, similar: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ({**VALID, "PROVIDER": name})
    [fault] = [fault for fault in raised.value.faults if "PROVIDER" in fault]
    assert fault.startswith(f"PROVIDER is not the name of a preset, similar to {similar}")
    assert fault.endswith("docs/providers.md lists them; custom is for others")


def test_fault_without_similar_names_lists_none() -> None:
    assert "similar" not in unknown_preset("0000000000")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "custom"])
def test_each_preset_is_read_with_what_it_requires(name: str) -> None:
    preset = preset_named(name)
    values = {key: (*allowed, "acme")[0] for key, allowed in preset.placeholders.items()}
    variables = {
        "PROVIDER": name,
        "CLIENT_ID": "client",
        **dict.fromkeys(preset.required_settings, "any"),
        **({"ENDPOINT_VALUES": urlencode(values)} if values else {}),
    }
    env = EnvReader(variables)
    found = read_provider(env, read_metadata(env))
    assert env.faults == []
    refresh = None if found.wire is None else found.wire.refresh_endpoint
    urls = (found.authorization_endpoint, found.token_endpoint, found.revocation_endpoint, refresh)
    assert not any("{" in (url or "") for url in urls)
    kept = ("name", "rotation", "access_token_lifetime", "refresh_token_lifetime", "pkce")
    assert all(getattr(found, field) == getattr(preset, field) for field in kept)

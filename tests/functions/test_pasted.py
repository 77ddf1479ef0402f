"""Values that were copied with more than themselves: refused at the start, by their variable."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from functions.settings.settings import Settings, SettingsError
from tests.functions.conftest import environ_for
from tests.functions.deployment import API_KEY
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
VALUES = {
    "API_KEY": API_KEY,
    "AUTHORIZATION_PARAMS": "access_type=offline&prompt=consent",
    "CLIENT_ID": "an-id",
    "CLIENT_SECRET": "a-secret",
    "CRON_SECRET": "f3a1" + API_KEY[::-1],
    "ENCRYPTION_KEYS": KEY,
    "PUBLIC_URL": "https://keeper.test",
    "SCOPE": "read write",
    "TOKEN_ENDPOINT": "https://provider.test/token",
}
PASTED = {
    "in quotes": '"{}"',
    "in single quotes": "'{}'",
    "in quotes of a text processor": "“{}”",
    "after a byte order mark": "\ufeff{}",
    "with a zero-width space": "{}\u200bx",
    "with a space that is none": "a\u00a0{}",
    "with a direction": "{}\u202e",
    "with a control character": "{}\x07",
}


@pytest.fixture
def environ(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> dict[str, str]:
    """An environment that is in order."""
    return environ_for(running_digikey, tmp_path) | VALUES


def faults_of(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ(environ)
    return raised.value.faults


@pytest.mark.parametrize("form", PASTED.values(), ids=PASTED)
@pytest.mark.parametrize("name", VALUES)
def test_what_a_paste_has_brought_along_is_refused_by_its_variable(
    environ: dict[str, str], name: str, form: str
) -> None:
    faults = faults_of(environ | {name: form.format(VALUES[name])})
    assert all(name in fault for fault in faults)
    assert VALUES[name] not in "".join(faults)


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "SCOPE", "AUTHORIZATION_PARAMS"])
def test_line_break_inside_of_a_value_is_refused(environ: dict[str, str], name: str) -> None:
    for text in ("\n", "\r\n", "\t"):
        [fault] = faults_of(environ | {name: f"a=1{text}b"})[:1]
        assert fault.startswith(f"{name} has the invisible character U+")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTHORIZATION_PARAMS", "?access_type=offline"),
        ("AUTHORIZATION_PARAMS", '"access_type=offline'),
        ("AUTHORIZATION_PARAMS", "a=1&&?b=2"),
        ("SCOPE", 'read "write"'),
        ("SCOPE", "read\\write"),
        ("SCOPE", "чтение"),
    ],
)
def test_what_rfc_6749_has_no_place_for_is_refused(
    environ: dict[str, str], name: str, value: str
) -> None:
    assert faults_of(environ | {name: value})[0].startswith(name)


def test_layout_and_quotes_that_belong_to_a_value_stay(
    environ: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "\u067e\u200c\u0647"
    folder.mkdir()
    entry = {"name": "ci", "sha256": sha256(b"x").hexdigest()}
    settings = Settings.from_environ(
        environ
        | {
            "API_KEYS": json.dumps([entry], indent="\t") + "\r\n",
            "AUTHORIZATION_PARAMS": 'claims={"id_token":null}&login_hint=a@b.test',
            "CLIENT_SECRET": "it's \"half\" quoted'\n",
            "ENCRYPTION_KEYS": f"{KEY}\n{KEY[::-1].lstrip('=')}=",
            "SQLITE_PATH": str(folder / "grants.sqlite"),
        }
    )
    assert settings.client_secret == "it's \"half\" quoted'"
    assert len(settings.encryption_keys) == len({*settings.encryption_keys}) == 2
    assert settings.provider.authorization_params[0] == ("claims", '{"id_token":null}')

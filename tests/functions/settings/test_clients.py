"""CLIENTS: each entry is a working client or a clear fault, and none takes the others down."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import providers
from domain.provider import ClientAuthentication
from functions.settings.client import CLIENT_VARIABLES, ClientSettings
from functions.settings.clients import ClientError, Clients, UnknownClientError
from functions.settings.settings import Settings, SettingsError
from tests.client_keys import pem_of

BASE = {
    "API_KEY": "an-api-key-that-nobody-guesses-42",
    "SQLITE_PATH": "grants.sqlite",
    "PUBLIC_URL": "https://keeper.example",
    "ENCRYPTION_KEYS": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
UNNAMED = {"CLIENT_ID": "unnamed-id", "CLIENT_SECRET": "unnamed-secret"}
DIGIKEY = {"client_id": "id-1", "client_secret": "secret-1"}
CUSTOM = {
    "provider": "custom",
    "authorization_endpoint": "https://login.example/authorize",
    "token_endpoint": "https://login.example/token",
    "client_id": "id-2",
    "client_secret": "secret-2",
}


def settings(clients: Any, **more: str) -> Settings:
    text = clients if isinstance(clients, str) else json.dumps(clients)
    return Settings.from_environ(BASE | {"CLIENTS": text} | more)


def client(entry: Any, **more: str) -> ClientSettings:
    return settings({"one": entry}, **more).clients.get("one")


def faults(entry: Any, **more: str) -> str:
    with pytest.raises(ClientError) as caught:
        client(entry, **more)
    return str(caught.value)


def test_an_entry_s_provider_is_the_preset_of_its_name() -> None:
    clients = settings({"digikey": DIGIKEY, "erp": CUSTOM}).clients
    assert clients.names == ("digikey", "erp")
    assert clients.get("digikey").provider.name == "digikey"
    assert clients.get("erp").provider.token_endpoint == "https://login.example/token"


def test_each_client_has_a_redirect_uri_of_its_own() -> None:
    found = settings({"digikey": DIGIKEY}, **UNNAMED)
    uris = [found.redirect_uri(found.clients.get(name)) for name in found.clients.names]
    assert uris == [
        "https://keeper.example/api/callback",
        "https://keeper.example/api/callback/digikey",
    ]


def test_members_mean_what_the_variables_mean() -> None:
    one = client(
        CUSTOM
        | {
            "scope": "read write",
            "authorization_params": {"prompt": "consent"},
            "token_params": "audience=a",
            "token_endpoint_auth_method": "client_secret_basic",
            "refusal_words": {"closed": "dead"},
            "user_agent": "erp/1",
        }
    )
    assert one.provider.scope == "read write"
    assert one.provider.authorization_params == (("prompt", "consent"),)
    assert one.provider.token_params == (("audience", "a"),)
    assert one.provider.client_authentication is ClientAuthentication.BASIC
    assert one.provider.error_aliases == {"closed": "invalid_grant"}
    assert one.user_agent == "erp/1"


def test_a_secret_may_stand_in_a_variable_of_its_own() -> None:
    entry = {"client_id": "i", "client_secret_env": "ERP_SECRET", "provider": "digikey"}
    assert client(entry, ERP_SECRET=" s ").client_secret == "s"


@pytest.mark.parametrize(
    ("connection", "name"),
    [
        ("digikey", "digikey"),
        ("digikey:alice", "digikey"),
        ("default", None),
        ("digikey2", None),
        ("alice", None),
    ],
)
def test_a_connection_belongs_to_the_client_that_it_names(
    connection: str, name: str | None
) -> None:
    assert settings({"digikey": DIGIKEY}, **UNNAMED).clients.name_for(connection) == name


@pytest.mark.parametrize(
    ("connection", "more"), [("gogle:alice", UNNAMED), ("default", {}), ("alice", {})]
)
def test_a_connection_of_no_client_lists_the_clients(connection: str, more: dict[str, str]) -> None:
    with pytest.raises(UnknownClientError, match="digikey"):
        settings({"digikey": DIGIKEY}, **more).clients.name_for(connection)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        pytest.param("text", "it must be an object", id="text"),
        pytest.param({}, "client_id is not set", id="empty"),
        pytest.param({"client_id": "i"}, "client_secret is not set", id="no-secret"),
        pytest.param(DIGIKEY | {"scoop": "x"}, "it has 1 unknown members", id="unknown"),
        pytest.param(DIGIKEY | {"scope": 7}, "scope must be a text", id="number"),
        pytest.param(DIGIKEY | {"scope": {"a": "b"}}, "scope must be a text", id="object"),
        pytest.param(
            DIGIKEY | {"token_params": {"a": 1}}, "token_params must be a text, or", id="numbers"
        ),
        pytest.param(DIGIKEY | {"provider": "nowhere"}, "provider", id="preset"),
        pytest.param(
            DIGIKEY | {"token_endpoint": "http://x.example"}, "token_endpoint must be", id="http"
        ),
        pytest.param(
            DIGIKEY | {"client_secret_env": "ERP_SECRET"},
            "set client_secret or client_secret_env, not both",
            id="two-places",
        ),
        pytest.param(
            {"client_id": "i", "client_secret_env": "NOT_THERE"},
            "client_secret_env names the variable NOT_THERE, which is not set",
            id="dangling",
        ),
        pytest.param(
            {"client_id": "i", "client_secret_env": "a b"},
            "client_secret_env must be the name of a variable",
            id="no-name",
        ),
    ],
)
def test_a_bad_client_is_named_and_takes_no_other_down(entry: Any, fault: str) -> None:
    preset = {"provider": "digikey"} if isinstance(entry, dict) else {}
    bad = preset | entry if isinstance(entry, dict) else entry
    assert fault in faults(bad, ERP_SECRET="s")
    assert "client 'one' in CLIENTS" in faults(bad, ERP_SECRET="s")
    both = settings({"one": bad, "two": CUSTOM}, ERP_SECRET="s", **UNNAMED).clients
    assert both.get("two").client_id == "id-2"
    assert both.get(None).client_id == "unnamed-id"
    assert all("'one'" in text for text in both.faults())


def test_a_check_at_the_start_imports_no_preset() -> None:
    entry = {"client_secret": "secret-1"}
    environ = BASE | UNNAMED | {"CLIENTS": json.dumps({"google": entry})}
    code = (
        "import sys; from functions.settings.settings import Settings\n"
        f"found = Settings.from_environ({environ!r})\n"
        "faults = list(found.clients.faults(loads_presets=False))\n"
        "assert any('client_id is not set' in fault for fault in faults), faults\n"
        "print('domain.providers.google' in sys.modules, 'domain.providers.digikey' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("method", "credentials", "fault"),
    [
        pytest.param("NONE", {}, "", id="none-without-a-secret"),
        pytest.param("POST", {}, "client_secret is not set", id="post-without-a-secret"),
        pytest.param("POST", {"client_secret": "s"}, "", id="post-with-a-secret"),
        pytest.param("PRIVATE_KEY_JWT", {"client_private_key": pem_of("p256")}, "", id="key"),
        pytest.param(
            "PRIVATE_KEY_JWT",
            {"client_private_key": pem_of("p256"), "client_secret": "s"},
            "",
            id="key-and-secret",
        ),
        pytest.param(
            "POST",
            {"client_private_key": pem_of("p256")},
            "client_private_key requires",
            id="post-with-a-key",
        ),
    ],
)
def test_a_check_at_the_start_requires_the_credentials_of_the_preset_s_method(
    method: str,
    credentials: dict[str, str],
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"of_{method.lower()}"
    (tmp_path / f"{name}.py").write_text(
        "from dataclasses import replace\n"
        "from domain.provider import ClientAuthentication, Pkce\n"
        "from domain.providers.google import PROVIDER as GOOGLE\n"
        f"METHOD = ClientAuthentication.{method}\n"
        "PROVIDER = replace(GOOGLE, client_authentication=METHOD, pkce=Pkce.S256)\n"
    )
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
    entry = {"provider": name.replace("_", "-"), "client_id": "id-1", "scope": "a"} | credentials
    clients = settings({"one": entry}, **UNNAMED).clients
    found = "; ".join(clients.faults(loads_presets=False))
    assert fault in found if fault else not found
    monkeypatch.delitem(sys.modules, f"domain.providers.{name}", raising=False)


def test_a_preset_s_own_requirement_is_found_when_the_client_is_used() -> None:
    clients = settings({"shopify": DIGIKEY}, **UNNAMED).clients
    assert not list(clients.faults(loads_presets=False))
    assert any("endpoint_values" in fault for fault in clients.faults())
    with pytest.raises(ClientError, match="shop"):
        clients.get("shopify")


def test_a_fault_quotes_no_value() -> None:
    misplaced = {"client_id": "i", "client-secret": "xyzzy-secret", "provider": "digikey"}
    assert "xyzzy" not in faults(misplaced)
    assert "xyzzy" not in repr(settings({"one": misplaced}))
    assert "secret-1" not in repr(settings({"digikey": DIGIKEY}))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "CLIENTS must be a JSON object of clients"),
        ("[]", "CLIENTS must be a JSON object of clients"),
        ("{}", "CLIENTS must be a JSON object of clients"),
        ('{"a": {}, "a": {}}', "two clients of one name"),
        ('{"a b": {}}', "1 invalid names"),
        ('{"a:b": {}}', "1 invalid names"),
    ],
)
def test_a_variable_that_is_no_list_of_clients_is_a_fault(text: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        settings(text, **UNNAMED)


def test_a_repeated_member_is_a_fault_of_its_client() -> None:
    clients = settings('{"one": {"client_id": "a", "client_id": "b"}}', **UNNAMED).clients
    assert any("a member twice" in fault for fault in clients.faults())


def test_named_clients_without_an_unnamed_one_require_encryption_keys() -> None:
    with pytest.raises(SettingsError, match="ENCRYPTION_KEYS is not set, and is required with"):
        settings({"digikey": DIGIKEY}, ENCRYPTION_KEYS="")
    assert settings({"digikey": DIGIKEY}, ENCRYPTION_KEYS="", **UNNAMED).clients.unnamed


def test_the_default_connection_belongs_to_one_client_only() -> None:
    assert settings({"default": CUSTOM}).clients.name_for("default") == "default"
    with pytest.raises(SettingsError, match="must not name a client default"):
        settings({"default": CUSTOM}, **UNNAMED)


def test_an_unnamed_client_that_lacks_a_variable_is_a_fault() -> None:
    with pytest.raises(SettingsError, match="CLIENT_SECRET is not set"):
        settings({"digikey": DIGIKEY}, CLIENT_ID="i")


def test_settings_with_another_secret_differ() -> None:
    entry = {"client_id": "i", "client_secret_env": "ERP_SECRET", "provider": "digikey"}
    first, second = (settings({"one": entry}, ERP_SECRET=secret) for secret in "ab")
    assert first != second
    first.clients.get("one")
    assert first == settings({"one": entry}, ERP_SECRET="a")


members = st.sampled_from([*sorted(map(str.lower, CLIENT_VARIABLES)), "client_secret_env", "x"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(
        ["custom", "digikey", "https://a.example", "never", "none", "a=b", "PATH", "{}"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
entries = st.dictionaries(members, values, max_size=8) | values


@given(clients=st.dictionaries(st.text(max_size=5) | st.just("digikey"), entries) | values)
def test_any_json_is_a_working_client_or_a_clear_fault(clients: Any) -> None:
    for fault in faults_of(clients):
        assert "CLIENTS" in fault


def faults_of(clients: Any) -> list[str]:
    """The faults of the variable, or of its clients that do not work."""
    try:
        found = settings(clients, **UNNAMED).clients
    except SettingsError as error:
        return error.faults
    return [fault for name in found.names for fault in faults_of_client(found, name)]


def faults_of_client(found: Clients, name: str | None) -> list[str]:
    try:
        return [] if found.get(name).client_id else ["a client without an id"]
    except ClientError as error:
        return error.faults

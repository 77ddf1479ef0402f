"""The variables of a provider: what they make of a preset, and which modules they import."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.metadata import ServerMetadata
from domain.provider import Provider
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from functions.settings import endpoint_values
from functions.settings.environment import EnvReader
from functions.settings.provider import read_metadata, read_provider, require_settings
from tests.domain.examples import DIGIKEY

ROOT = Path(__file__).parents[3]
CUSTOM = {
    "PROVIDER": "custom",
    "CLIENT_ID": "client-1",
    "AUTHORIZATION_ENDPOINT": "https://{tenant}.login.test/authorize",
    "TOKEN_ENDPOINT": "https://{tenant}.login.test/{client_id}/token",
    "ENDPOINT_VALUES": "tenant=contoso",
}
TEMPLATE = replace(
    DIGIKEY,
    name="templates",
    authorization_endpoint="https://login.{dc}/{tenant}/authorize",
    token_endpoint="https://login.{dc}/{tenant}/token",
    revocation_endpoint="https://api.{dc}/applications/{client_id}/token",
    authorization_params=(("app", "{app}"), ("claims", '{"id_token":null}')),
    token_params=(("resource", "https://{tenant}.api.test/{other}"),),
    placeholders={"dc": ("com", "com.au"), "tenant": (), "app": ()},
    wire=WireFormat(
        refresh_endpoint="https://login.{dc}/{tenant}/refresh",
        code_params=(("tenant", "{tenant}"),),
    ),
)
VALUES = {"CLIENT_ID": "client-1", "ENDPOINT_VALUES": "dc=com.au&tenant=contoso&app=a1"}


def read(environ: dict[str, str], preset: Provider | None = None) -> tuple[Provider, list[str]]:
    """Read a provider and its faults; with `preset` from that preset."""
    env = EnvReader(environ)
    overrides = read_metadata(env)
    if preset is None:
        return read_provider(env, overrides), env.faults
    return endpoint_values.fill_provider(env, preset, preset), env.faults


def test_every_variable_has_its_effect() -> None:
    provider, faults = read(
        {
            **CUSTOM,
            "REVOCATION_ENDPOINT": "https://{tenant}.login.test/revoke",
            "REFRESH_ENDPOINT": "https://{tenant}.login.test/refresh",
            "TOKEN_REQUEST_FORMAT": "json",
            "CODE_PARAMS": "expiring=1",
            "REFRESH_PARAMS": "scope=a%20b",
            "TOKEN_HEADERS": "X-Version=2&accept=a%2Bjson",
            "AUTHORIZATION_NAMES": "client_id=client_key&scope=",
            "TOKEN_REQUEST_NAMES": "code=auth_code&grant_type=",
            "CALLBACK_CODE": "auth_code",
            "TOKENS_AT": "data",
            "RESPONSE_NAMES": "access_token=token",
            "REVOCATION_STYLE": "client-header",
        }
    )
    assert faults == []
    assert (provider.authorization_endpoint, provider.token_endpoint) == (
        "https://contoso.login.test/authorize",
        "https://contoso.login.test/client-1/token",
    )
    assert provider.revocation_endpoint == "https://contoso.login.test/revoke"
    assert provider.wire == WireFormat(
        authorization_names={"client_id": "client_key", "scope": ""},
        callback_code="auth_code",
        token_request=BodyFormat.JSON,
        token_request_names={"code": "auth_code", "grant_type": ""},
        refresh_endpoint="https://contoso.login.test/refresh",
        code_params=(("expiring", "1"),),
        refresh_params=(("scope", "a b"),),
        headers=(("X-Version", "2"), ("accept", "a+json")),
        tokens_at="data",
        response_names={"access_token": "token"},
        revocation=RevocationStyle.CLIENT_HEADER,
    )


def test_an_issuer_may_have_placeholders() -> None:
    env = EnvReader({"ISSUER": "https://login.test/{tenant}/v2.0", "ENDPOINT_VALUES": "tenant=x"})
    assert read_metadata(env) == ServerMetadata(issuer="https://login.test/x/v2.0")
    assert env.faults == []


def test_the_placeholders_of_a_preset_are_filled_in_endpoints_and_parameters() -> None:
    provider, faults = read(VALUES, TEMPLATE)
    assert faults == []
    assert provider.authorization_endpoint == "https://login.com.au/contoso/authorize"
    assert provider.token_endpoint == "https://login.com.au/contoso/token"
    assert provider.revocation_endpoint == "https://api.com.au/applications/client-1/token"
    assert provider.authorization_params == (("app", "a1"), ("claims", '{"id_token":null}'))
    assert provider.token_params == (("resource", "https://contoso.api.test/{other}"),)
    assert provider.wire is not None
    assert provider.wire.refresh_endpoint == "https://login.com.au/contoso/refresh"
    assert provider.wire.code_params == (("tenant", "contoso"),)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        pytest.param(
            "dc=com&app=1",
            "PROVIDER has the placeholder {tenant}: set it in ENDPOINT_VALUES, as in "
            "tenant=contoso&region=eu",
            id="missing",
        ),
        pytest.param(
            "dc=com&tenant=x",
            "PROVIDER has the placeholder {app}: set it in ENDPOINT_VALUES, as in "
            "tenant=contoso&region=eu",
            id="missing in a parameter",
        ),
        pytest.param(
            "dc=ru&tenant=x&app=1",
            "ENDPOINT_VALUES: {dc} must be one of: com, com.au",
            id="not in the list",
        ),
        pytest.param(
            "dc=com&tenant=x&app=1&region=eu&zone=1",
            "ENDPOINT_VALUES has a name that is in no endpoint; allowed: app, dc, tenant",
            id="unknown",
        ),
    ],
)
def test_each_fault_of_a_value_names_the_variable_and_the_placeholder(
    values: str, fault: str
) -> None:
    assert read({**VALUES, "ENDPOINT_VALUES": values}, TEMPLATE)[1] == [fault]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            {"token_params": (("region", "{region}"),), "placeholders": {"region": ("na", "eu")}},
            "ENDPOINT_VALUES: {region} must be one of: na, eu",
            id="a list for a parameter",
        ),
        pytest.param(
            {"token_endpoint": "http://{region}/token", "placeholders": {"region": ()}},
            "ENDPOINT_VALUES makes PROVIDER a URL that is neither https nor on loopback",
            id="plain http",
        ),
    ],
)
def test_each_value_is_checked_in_its_place(changes: dict[str, Any], fault: str) -> None:
    values = {"ENDPOINT_VALUES": "region=ru.example"}
    assert read(values, replace(DIGIKEY, **changes))[1] == [fault]


def test_a_client_id_that_fits_no_url_is_named() -> None:
    environ = {**CUSTOM, "CLIENT_ID": "a/../b"}
    assert read(environ)[1] == [
        "CLIENT_ID: {client_id} must have only letters, digits and . _ ~ - after the host"
    ]


def test_with_an_issuer_a_preset_needs_no_values() -> None:
    environ = {"CLIENT_ID": "c", "ISSUER": "https://a.test", "ENDPOINT_VALUES": "app=1"}
    preset = replace(TEMPLATE, wire=None, token_params=())
    provider, faults = read(environ, preset)
    assert faults == []
    assert (provider.authorization_endpoint, provider.token_endpoint) == ("", "")
    assert provider.revocation_endpoint is None


def test_a_setting_that_the_preset_requires_is_named() -> None:
    env = EnvReader({})
    preset = replace(DIGIKEY, required_settings=("REDIRECT_URI",))
    require_settings(env, preset)
    assert env.faults == ["REDIRECT_URI is not set, and this PROVIDER requires it"]
    env = EnvReader({"REDIRECT_URI": "a-name"})
    require_settings(env, preset)
    assert env.faults == []


RARE = {
    "domain.wire_format",
    "domain.endpoint_templates",
    "functions.settings.endpoint_values",
    "functions.settings.lifetimes",
    "functions.settings.parameters",
    "functions.settings.wire",
}


@pytest.mark.parametrize(
    ("variable", "modules"),
    [
        ("SCOPE=a", set[str]()),
        ("ROTATION=none", {"functions.settings.lifetimes"}),
        ("TOKEN_PARAMS=a=1", {"functions.settings.parameters"}),
        (
            "CALLBACK_CODE=c",
            {"functions.settings.wire", "functions.settings.parameters", "domain.wire_format"},
        ),
    ],
)
def test_only_the_variables_that_are_set_import_their_modules(
    variable: str, modules: set[str]
) -> None:
    name, _, value = variable.partition("=")
    program = (
        "import sys\n"
        "from functions.settings.settings import Settings\n"
        "environ = {'CLIENT_ID': 'c', 'CLIENT_SECRET': 's', 'SQLITE_PATH': 'x',\n"
        f"    'API_KEY': 'the-api-key-of-this-deployment', {name!r}: {value!r}}}\n"
        "Settings.from_environ(environ)\n"
        "print(*sys.modules)\n"
    )
    found = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert RARE & set(found.split()) == modules

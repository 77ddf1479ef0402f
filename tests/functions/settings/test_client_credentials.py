"""How a client authenticates, in variables and in CLIENTS: what is read, what is refused."""

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat

from adapters.sealing import derive_key
from domain.metadata import ServerMetadata
from domain.provider import ClientAuthentication, Provider
from functions.client_wiring import _fingerprint
from functions.settings.client import ClientSettings
from functions.settings.clients import ClientError
from functions.settings.environment import EnvReader
from functions.settings.provider import read_provider
from functions.settings.settings import Settings, SettingsError
from functions.wiring import keys_of
from tests.client_keys import pem_of
from tests.functions.doctors import encryption_key

BASE = {
    "API_KEY": "an-api-key-that-nobody-guesses-42",
    "SQLITE_PATH": "grants.sqlite",
    "ENCRYPTION_KEYS": encryption_key("deployment"),
}
SECRET = {
    "CLIENT_ID": "an-id",
    "CLIENT_SECRET": "a-secret",
    "PROVIDER": "custom",
    "AUTHORIZATION_ENDPOINT": "https://login.example/authorize",
    "TOKEN_ENDPOINT": "https://login.example/token",
}
PUBLIC = SECRET | {"CLIENT_SECRET": "", "TOKEN_ENDPOINT_AUTH_METHOD": "none"}
BY_KEY = PUBLIC | {"TOKEN_ENDPOINT_AUTH_METHOD": "private_key_jwt"}
PEM = pem_of("p256")
LINES = PEM.splitlines()
# `openssl ecparam -genkey` writes this before the key.
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


def unnamed(variables: dict[str, str]) -> ClientSettings:
    return Settings.from_environ(BASE | variables).clients.get(None)


def named(variables: dict[str, str]) -> ClientSettings:
    entry = {name.lower(): value for name, value in variables.items() if value}
    return Settings.from_environ(BASE | {"CLIENTS": json.dumps({"one": entry})}).clients.get("one")


def faults(variables: dict[str, str], **base: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        unnamed(variables | base)
    return caught.value.faults


@pytest.fixture(params=[unnamed, named], ids=["variables", "CLIENTS"])
def read(request: pytest.FixtureRequest) -> Any:
    """Read a client in either place."""
    return request.param


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PEM, id="as-it-is"),
        pytest.param(PEM.replace("\n", "\\n"), id="escaped"),
        pytest.param(PEM.replace("\n", "\\r\\n"), id="escaped-crlf"),
        pytest.param(PEM.replace("\n", "\r\n"), id="crlf"),
        pytest.param(PEM.replace("\n", " "), id="spaces"),
        pytest.param("".join(LINES), id="one-line"),
        pytest.param(b64encode(PEM.encode()).decode(), id="base64"),
        pytest.param(f"{PARAMETERS}{PEM}", id="after-parameters"),
    ],
)
def test_the_line_breaks_of_a_key_do_not_matter(read: Any, text: str) -> None:
    client = read(BY_KEY | {"CLIENT_PRIVATE_KEY": text})
    assert client.private_key is not None
    assert client.private_key.pem == PEM
    assert _fingerprint(client) == _fingerprint(unnamed(BY_KEY | {"CLIENT_PRIVATE_KEY": PEM}))
    assert not any(line in repr(client) for line in LINES[1:-1])


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("rsa", PrivateFormat.PKCS8),
        ("rsa", PrivateFormat.TraditionalOpenSSL),
        ("p256", PrivateFormat.TraditionalOpenSSL),
        ("ed25519", PrivateFormat.PKCS8),
    ],
)
def test_each_kind_of_key_is_read(kind: str, form: PrivateFormat) -> None:
    pem = pem_of(kind, form=form)
    client = unnamed(
        BY_KEY
        | {
            "CLIENT_PRIVATE_KEY": pem,
            "CLIENT_KEY_ID": "key-1",
            "CLIENT_ASSERTION_AUDIENCE": "https://login.example",
        }
    )
    key = client.private_key
    assert key is not None
    assert (key.pem, key.key_id, key.audience) == (pem, "key-1", "https://login.example")


BROKEN = {
    "missing": "",
    "text": "xyzzy-xyzzy",
    "cut": "\n".join([*LINES[:2], LINES[-1]]),
    "without-end": "\n".join(LINES[:-1]),
    "other-end": PEM.replace("END PRIVATE", "END EC PRIVATE"),
    "passphrase": pem_of("p256", passphrase="x"),
    "public": PEM.replace("PRIVATE", "PUBLIC"),
    "openssh": PEM.replace("PRIVATE", "OPENSSH PRIVATE"),
    "no-base64": PEM.replace(LINES[1][:8], "!!!!!!!!"),
    "not-der": "-----BEGIN PRIVATE KEY-----\nQUJDREVG\n-----END PRIVATE KEY-----",
    "too-long": "-----BEGIN PRIVATE KEY-----\nMAUB\n-----END PRIVATE KEY-----",
    "empty": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_key_is_a_fault_that_quotes_nothing_of_it(text: str) -> None:
    broken = BY_KEY | {"CLIENT_PRIVATE_KEY": text}
    (fault,) = faults(broken)
    assert fault.startswith("CLIENT_PRIVATE_KEY ")
    with pytest.raises(ClientError) as caught:
        named(broken)
    assert str(caught.value).startswith("client 'one' in CLIENTS: client_private_key ")
    quoted = [line for line in text.splitlines() if line and line in f"{fault} {caught.value}"]
    assert quoted == []


@pytest.mark.parametrize(
    "form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL], ids=["pkcs8", "traditional"]
)
def test_a_passphrase_is_named_as_the_fault(form: PrivateFormat) -> None:
    pem = pem_of("p256", form=form, passphrase="x")
    (fault,) = faults(BY_KEY | {"CLIENT_PRIVATE_KEY": pem})
    assert fault.startswith("CLIENT_PRIVATE_KEY has a passphrase")


@pytest.mark.parametrize(
    ("variables", "named_ones"),
    [
        pytest.param(PUBLIC | {"PKCE": "none"}, ["PKCE"], id="public-without-pkce"),
        pytest.param(
            PUBLIC | {"PROVIDER": "digikey"}, ["PKCE"], id="public-at-a-preset-without-pkce"
        ),
        pytest.param(
            SECRET | {"CLIENT_PRIVATE_KEY": PEM},
            ["CLIENT_PRIVATE_KEY", "TOKEN_ENDPOINT_AUTH_METHOD"],
            id="key-without-its-method",
        ),
        pytest.param(
            SECRET | {"CLIENT_KEY_ID": "a"}, ["CLIENT_KEY_ID"], id="key-id-without-its-method"
        ),
        pytest.param(
            BY_KEY | {"CLIENT_PRIVATE_KEY": PEM, "TOKEN_ENDPOINT_AUTH_SIGNING_ALG": "HS256"},
            ["TOKEN_ENDPOINT_AUTH_SIGNING_ALG"],
            id="symmetric",
        ),
        pytest.param(
            BY_KEY | {"CLIENT_PRIVATE_KEY": PEM, "CLIENT_ASSERTION_AUDIENCE": "a b"},
            ["CLIENT_ASSERTION_AUDIENCE"],
            id="audience",
        ),
        pytest.param(
            PUBLIC | {"REVOCATION_STYLE": "delete-json"},
            ["REVOCATION_STYLE", "CLIENT_SECRET"],
            id="revocation-by-a-secret",
        ),
        pytest.param(
            PUBLIC | {"PREVIOUS_CLIENT_SECRET": "old"},
            ["PREVIOUS_CLIENT_SECRET", "CLIENT_SECRET"],
            id="previous-without-a-current-one",
        ),
    ],
)
def test_credentials_that_do_not_fit_are_a_fault(
    variables: dict[str, str], named_ones: list[str]
) -> None:
    (fault,) = faults(variables)
    assert all(name in fault for name in named_ones)
    with pytest.raises(ClientError) as caught:
        named(variables)
    assert all(name.lower() in str(caught.value) for name in named_ones)


@pytest.mark.parametrize(
    "variables", [PUBLIC, BY_KEY | {"CLIENT_PRIVATE_KEY": PEM}], ids=["public", "private-key"]
)
def test_a_client_without_a_secret_requires_encryption_keys(
    read: Any, variables: dict[str, str]
) -> None:
    assert read(variables).client_secret == ""
    (fault,) = faults(variables, ENCRYPTION_KEYS="")
    assert fault.startswith("ENCRYPTION_KEYS is not set")


def test_the_metadata_of_an_issuer_does_not_replace_the_method_of_a_preset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def preset(env: EnvReader, overrides: ServerMetadata, **options: Any) -> Provider:
        found = read_provider(env, overrides, **options)
        return replace(found, client_authentication=ClientAuthentication.NONE)

    monkeypatch.setattr("functions.settings.client.read_provider", preset)
    by_issuer = {"CLIENT_ID": "i", "PROVIDER": "custom", "ISSUER": "https://login.example"}
    assert unnamed(by_issuer).overrides.client_authentication is ClientAuthentication.NONE


def test_another_key_is_another_fingerprint() -> None:
    pems = [PEM, pem_of("other-p256")]
    first, second = (
        _fingerprint(unnamed(BY_KEY | {"CLIENT_PRIVATE_KEY": pem, "CLIENT_SECRET": "a-secret"}))
        for pem in pems
    )
    assert len({first, second, _fingerprint(unnamed(SECRET))}) == 3


def test_the_fingerprint_of_a_secret_is_that_of_earlier_versions() -> None:
    # Written by the version before private keys: stored records have it.
    assert _fingerprint(unnamed(SECRET)) == "1d63d9e7d3459c00"
    previous = unnamed(SECRET | {"PREVIOUS_CLIENT_SECRET": "old"})
    assert _fingerprint(previous) == _fingerprint(unnamed(SECRET))


@pytest.mark.parametrize(
    ("previous", "read_as"), [("old", "old"), ("", None), ("a-secret", None)], ids=repr
)
def test_a_previous_secret_is_another_one(read: Any, previous: str, read_as: str | None) -> None:
    client = read(SECRET | {"PREVIOUS_CLIENT_SECRET": previous})
    assert client.previous_client_secret == read_as
    assert "'old'" not in repr(client)


def test_secrets_may_stand_in_variables_of_their_own() -> None:
    entry = {
        **{name.lower(): value for name, value in BY_KEY.items() if value},
        "client_private_key_env": "ERP_KEY",
        "client_secret_env": "ERP_SECRET",
        "previous_client_secret_env": "ERP_OLD",
    }
    environ = {"CLIENTS": json.dumps({"one": entry}), "ERP_KEY": PEM, "ERP_SECRET": "new"}
    client = Settings.from_environ(BASE | environ | {"ERP_OLD": "old"}).clients.get("one")
    assert client.private_key is not None
    assert (client.private_key.pem, *client.client_secrets) == (PEM, "new", "old")


def test_records_of_the_previous_secret_stay_readable() -> None:
    variables = SECRET | {"PREVIOUS_CLIENT_SECRET": "old", "ENCRYPTION_KEYS": ""}
    keys = keys_of(Settings.from_environ(BASE | variables))
    assert keys == [derive_key("a-secret"), derive_key("old")]

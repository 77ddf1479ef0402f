"""The presets, and the defaults of a provider."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from domain import provider
from domain.provider import (
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    AssumedLifetime,
    ClientAuthentication,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)
from domain.providers import custom, digikey, digikey_sandbox
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from tests.domain.examples import DAY, MINUTE

DIGIKEY = Provider(
    name="digikey",
    issuer=None,
    sends_issuer=False,
    authorization_endpoint="https://api.digikey.com/v1/oauth2/authorize",
    token_endpoint="https://api.digikey.com/v1/oauth2/token",
    revocation_endpoint=None,
    client_authentication=ClientAuthentication.POST,
    pkce=Pkce.NONE,
    scope=None,
    lifetime_members=("expires_in", "refresh_token_expires_in"),
    authorization_params=(),
    token_params=(),
    rotation=Rotation(kind=RotationKind.ALWAYS, grace=timedelta(0)),
    refresh_ends_access_token=False,
    access_token_lifetime=30 * MINUTE,
    refresh_token_lifetime=90 * DAY,
    error_aliases={"invalid clientid": "invalid_client", "invalid client-id": "invalid_client"},
)
SANDBOX = replace(
    DIGIKEY,
    name="digikey-sandbox",
    authorization_endpoint="https://sandbox-api.digikey.com/v1/oauth2/authorize",
    token_endpoint="https://sandbox-api.digikey.com/v1/oauth2/token",
)
CUSTOM = replace(
    DIGIKEY,
    name="custom",
    authorization_endpoint="",
    token_endpoint="",
    pkce=Pkce.S256,
    access_token_lifetime=AssumedLifetime(5 * MINUTE),
    refresh_token_lifetime=None,
    lifetime_members=("expires_in",),
    error_aliases={},
)


def test_the_presets_are_what_the_providers_say_of_themselves_and_what_is_safe_for_others() -> None:
    assert [digikey.PROVIDER, digikey_sandbox.PROVIDER] == [DIGIKEY, SANDBOX]
    assert custom.PROVIDER == CUSTOM
    assert CUSTOM.access_token_lifetime == UNDECLARED_ACCESS_TOKEN_LIFETIME


@pytest.mark.parametrize("kind", RotationKind)
@pytest.mark.parametrize("ends", [False, True])
def test_a_replay_is_harmless_only_where_a_refresh_replaces_and_ends_nothing(
    kind: RotationKind, *, ends: bool
) -> None:
    provider = replace(CUSTOM, rotation=Rotation(kind=kind), refresh_ends_access_token=ends)
    assert provider.replay_is_harmless is (kind is RotationKind.NONE and not ends)


def test_maps_of_a_provider_are_its_own_and_cannot_change() -> None:
    placeholders: dict[str, tuple[str, ...]] = {"tenant": ()}
    aliases = {"session_closed": "invalid_grant"}
    own = replace(CUSTOM, placeholders=placeholders, error_aliases=aliases)
    for found, given in ((own.placeholders, placeholders), (own.error_aliases, aliases)):
        assert type(found) is MappingProxyType
        assert found == given
    placeholders.clear()
    aliases.clear()
    assert own.placeholders == {"tenant": ()}
    assert own.error_aliases == {"session_closed": "invalid_grant"}
    assert replace(own) == own


@pytest.mark.parametrize("name", ["authorization_names", "token_request_names", "response_names"])
def test_maps_of_a_wire_format_are_its_own_and_cannot_change(name: str) -> None:
    names = {"client_id": "client_key"}
    changes: dict[str, Any] = {name: names}
    wire = replace(WireFormat(), **changes)
    assert type(getattr(wire, name)) is MappingProxyType
    names.clear()
    assert getattr(wire, name) == {"client_id": "client_key"}
    assert wire != WireFormat()


def test_a_wire_format_differs_in_nothing_by_itself() -> None:
    assert WireFormat() == WireFormat(
        authorization_names={},
        callback_code="code",
        token_request=BodyFormat.FORM,
        token_request_names={},
        refresh_endpoint=None,
        code_params=(),
        refresh_params=(),
        headers=(),
        tokens_at=None,
        response_names={},
        revocation=RevocationStyle.STANDARD,
    )
    assert type(WireFormat().response_names) is MappingProxyType


def test_the_module_imports_no_wire_format() -> None:
    # Most presets need none, and a fresh token should not pay for it.
    assert not hasattr(provider, "WireFormat")

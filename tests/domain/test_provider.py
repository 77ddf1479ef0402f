"""The presets, and the defaults of a provider."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.provider import (
    PRESETS,
    UNDECLARED_ACCESS_TOKEN_LIFETIME,
    AssumedLifetime,
    ClientAuthentication,
    Pkce,
    Provider,
    Rotation,
    RotationKind,
)
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
    error_aliases={},
)


def test_the_presets_are_what_the_providers_say_of_themselves_and_what_is_safe_for_others() -> None:
    assert PRESETS == {"digikey": DIGIKEY, "digikey-sandbox": SANDBOX, "custom": CUSTOM}
    assert CUSTOM.access_token_lifetime == UNDECLARED_ACCESS_TOKEN_LIFETIME


@pytest.mark.parametrize("kind", RotationKind)
@pytest.mark.parametrize("ends", [False, True])
def test_a_replay_is_harmless_only_where_a_refresh_replaces_and_ends_nothing(
    kind: RotationKind, *, ends: bool
) -> None:
    provider = replace(CUSTOM, rotation=Rotation(kind=kind), refresh_ends_access_token=ends)
    assert provider.replay_is_harmless is (kind is RotationKind.NONE and not ends)

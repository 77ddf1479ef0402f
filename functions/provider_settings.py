"""Which provider a deployment is told to ask: a preset, and what is different from it."""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

from domain.provider import PRESETS, ClientAuthentication, Pkce, Provider, Rotation, RotationKind
from functions.reading import Reading

_ROTATION = re.compile(
    r"(?P<kind>none|optional|always)"
    r"(;grace=(?P<amount>\d{1,6})(?P<unit>[smhd]))?"
    r"(?P<ends>;ends-access-token)?"
)
_LONGEST_GRACE = timedelta(days=366)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_provider(reading: Reading) -> Provider:
    """Apply what is set to the preset."""
    preset = PRESETS[reading.choice("PROVIDER", list(PRESETS)) or "digikey"]
    provider = replace(
        _rotation(reading, preset),
        authorization_endpoint=reading.url("AUTHORIZATION_ENDPOINT")
        or preset.authorization_endpoint,
        token_endpoint=reading.url("TOKEN_ENDPOINT") or preset.token_endpoint,
        revocation_endpoint=reading.url("REVOCATION_ENDPOINT"),
        scope=reading.optional("SCOPE") or preset.scope,
        authorization_params=_authorization_params(reading, preset),
        client_authentication=_client_authentication(reading, preset),
        pkce=_pkce(reading, preset),
    )
    for name in ("authorization_endpoint", "token_endpoint"):
        if not getattr(provider, name):
            reading.faults.append(f"PROVIDER is custom, and {name.upper()} is not set")
    return provider


def _authorization_params(reading: Reading, preset: Provider) -> tuple[tuple[str, str], ...]:
    text = reading.optional("AUTHORIZATION_PARAMS")
    if text is None:
        return preset.authorization_params
    try:
        return tuple(parse_qsl(text, strict_parsing=True))
    except ValueError:
        reading.faults.append(
            "AUTHORIZATION_PARAMS must look like prompt=consent&access_type=offline"
        )
        return ()


def _client_authentication(reading: Reading, preset: Provider) -> ClientAuthentication:
    methods = [method.value for method in ClientAuthentication]
    method = reading.choice("TOKEN_ENDPOINT_AUTH_METHOD", methods)
    return preset.client_authentication if method is None else ClientAuthentication(method)


def _pkce(reading: Reading, preset: Provider) -> Pkce:
    method = reading.choice("PKCE", [method.value for method in Pkce])
    return preset.pkce if method is None else Pkce(method)


def _rotation(reading: Reading, preset: Provider) -> Provider:
    """Apply `ROTATION`: what a refresh does to the old refresh token, and to the old access token.

    The second is a property of its own, but nobody can tell one without the other.
    """
    text = reading.optional("ROTATION")
    if text is None:
        return preset
    found = _ROTATION.fullmatch(text)
    if found is None:
        reading.faults.append(
            "ROTATION must be none, optional or always, with ;grace=30m or ;ends-access-token "
            "where they apply"
        )
        return preset
    grace = timedelta(**{_UNITS[found["unit"]]: int(found["amount"])} if found["unit"] else {})
    if grace > _LONGEST_GRACE:
        reading.faults.append("ROTATION has a grace of more than a year")
    return replace(
        preset,
        rotation=Rotation(kind=RotationKind(found["kind"]), grace=grace),
        refresh_ends_access_token=found["ends"] is not None,
    )

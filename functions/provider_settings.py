"""Which provider a deployment is told to ask: a preset, and what is different from it."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

from domain.metadata import ServerMetadata, with_metadata
from domain.provider import PRESETS, ClientAuthentication, Pkce, Provider, Rotation, RotationKind
from domain.refusals import Meaning
from functions.reading import Reading

_ROTATION = re.compile(
    r"(?P<kind>none|optional|always)"
    r"(;grace=(?P<amount>[0-9]{1,6})(?P<unit>[smhd]))?"
    r"(?P<ends>;ends-access-token)?"
)
# What `domain.authorization` puts over any of the same name.
_OF_EACH_LOGIN = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_type",
        "state",
    }
)
_LONGEST_GRACE = timedelta(days=366)
# What a word of the provider's own can mean, and the code that means it (RFC 6749 §5.2, §4.1.2.1).
_MEANINGS = {
    Meaning.DEAD.value: "invalid_grant",
    Meaning.CONFIGURATION.value: "invalid_client",
    Meaning.TRY_LATER.value: "temporarily_unavailable",
}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read_metadata(reading: Reading) -> ServerMetadata:
    """Read what is told of the provider over its preset, and over what it says of itself."""
    method = reading.choice(
        "TOKEN_ENDPOINT_AUTH_METHOD", [method.value for method in ClientAuthentication]
    )
    pkce = reading.choice("PKCE", [method.value for method in Pkce])
    return ServerMetadata(
        issuer=_issuer(reading),
        authorization_endpoint=reading.url("AUTHORIZATION_ENDPOINT"),
        token_endpoint=reading.url("TOKEN_ENDPOINT"),
        revocation_endpoint=reading.url("REVOCATION_ENDPOINT"),
        client_authentication=None if method is None else ClientAuthentication(method),
        pkce=None if pkce is None else Pkce(pkce),
    )


def read_provider(reading: Reading, told: ServerMetadata) -> Provider:
    """Apply what is set to the preset; what the issuer is to be asked for stays empty."""
    preset = PRESETS[reading.choice("PROVIDER", list(PRESETS)) or "digikey"]
    provider = replace(
        _rotation(reading, preset),
        scope=reading.optional("SCOPE") or preset.scope,
        authorization_params=_authorization_params(reading, preset),
        error_aliases={**preset.error_aliases, **_refusal_words(reading)},
    )
    provider = with_metadata(provider, told)
    for name in ("authorization_endpoint", "token_endpoint"):
        if not getattr(provider, name) and told.issuer is None:
            reading.faults.append(
                f"PROVIDER is custom, and neither {name.upper()} nor ISSUER is set"
            )
    return provider


def _issuer(reading: Reading) -> str | None:
    issuer = reading.url("ISSUER")
    if issuer is not None and "?" in issuer:
        # RFC 8414 §2.
        reading.faults.append("ISSUER must not have a query")
    return issuer


def _authorization_params(reading: Reading, preset: Provider) -> tuple[tuple[str, str], ...]:
    text = reading.optional("AUTHORIZATION_PARAMS")
    if text is None:
        return preset.authorization_params
    try:
        found = tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        reading.faults.append(
            "AUTHORIZATION_PARAMS must look like prompt=consent&access_type=offline"
        )
        return ()
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        # RFC 6749 §3.1.
        reading.faults.append("AUTHORIZATION_PARAMS has a parameter more than once")
    if own := sorted(_OF_EACH_LOGIN.intersection(names)):
        reading.faults.append(
            f"AUTHORIZATION_PARAMS must not have {', '.join(own)}: each login has its own"
        )
    if "scope" in names and reading.optional("SCOPE") is not None:
        reading.faults.append("AUTHORIZATION_PARAMS must not have scope where SCOPE is set")
    return found


def _refusal_words(reading: Reading) -> dict[str, str]:
    """Read `REFUSAL_WORDS`: codes and texts of the provider's own, to what they mean."""
    text = reading.optional("REFUSAL_WORDS")
    if text is None:
        return {}
    try:
        found = json.loads(text)
        return {words.lower().strip(" .!"): _MEANINGS[found[words]] for words in found}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reading.faults.append(
            'REFUSAL_WORDS must look like {"session_closed": "dead"}, with dead, configuration or '
            "try-later for each"
        )
        return {}


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

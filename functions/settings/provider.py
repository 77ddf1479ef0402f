"""The provider in the environment: a preset, and its overrides."""

import json
import re
from dataclasses import replace
from urllib.parse import parse_qsl

from domain.error_meanings import Meaning
from domain.metadata import ServerMetadata, with_metadata
from domain.provider import (
    PRESETS,
    ClientAuthentication,
    Pkce,
    Provider,
)
from functions.settings.environment import LAYOUT, EnvReader

# RFC 6749 §3.3.
_SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
# RFC 6749 §8.2, and names that some providers use.
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9._\-:\[\]]+")
# The prefix of metadata paths (RFC 8615 §3).
_WELL_KNOWN = "/.well-known/"
# Parameters that `domain.authorization` sets.
_LOGIN_PARAMS = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "response_type",
        "state",
    }
)
# Parameters of each token request (RFC 6749 §4.1.3, §6; RFC 7521 §4.2).
_TOKEN_REQUEST_PARAMS = frozenset(
    {
        "client_assertion",
        "client_assertion_type",
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
    }
)
_LIFETIMES = (
    "ACCESS_TOKEN_LIFETIME",
    "LOGIN_LIFETIME",
    "REFRESH_ONLY_WITHIN",
    "REFRESH_TOKEN_LIFETIME",
    "ROTATION",
)
# The meanings of a provider's own words, as standard codes (RFC 6749 §5.2, §4.1.2.1).
_MEANINGS = {
    Meaning.DEAD.value: "invalid_grant",
    Meaning.CONFIGURATION.value: "invalid_client",
    Meaning.TRY_LATER.value: "temporarily_unavailable",
}


def read_metadata(env: EnvReader) -> ServerMetadata:
    """Read the overrides of the preset and of the issuer's metadata."""
    method = env.choice(
        "TOKEN_ENDPOINT_AUTH_METHOD", [method.value for method in ClientAuthentication]
    )
    pkce = env.choice("PKCE", [method.value for method in Pkce])
    return ServerMetadata(
        issuer=_issuer(env),
        authorization_endpoint=env.url("AUTHORIZATION_ENDPOINT"),
        token_endpoint=env.url("TOKEN_ENDPOINT"),
        revocation_endpoint=env.url("REVOCATION_ENDPOINT"),
        client_authentication=None if method is None else ClientAuthentication(method),
        pkce=None if pkce is None else Pkce(pkce),
    )


def read_provider(env: EnvReader, overrides: ServerMetadata) -> Provider:
    """Apply the overrides to the preset. Settings that the issuer publishes stay empty."""
    preset = PRESETS[env.choice("PROVIDER", list(PRESETS)) or "digikey"]
    provider = replace(
        _with_lifetimes(env, preset),
        scope=_scope(env) or preset.scope,
        authorization_params=_authorization_params(env, preset),
        token_params=_token_params(env, preset),
        error_aliases={**preset.error_aliases, **_refusal_words(env)},
    )
    provider = with_metadata(provider, overrides)
    for name in ("authorization_endpoint", "token_endpoint"):
        if not getattr(provider, name) and overrides.issuer is None:
            env.faults.append(f"PROVIDER is custom: set {name.upper()} or ISSUER")
    return provider


def _with_lifetimes(env: EnvReader, preset: Provider) -> Provider:
    """Apply the declared lifetimes and rotation, whose import waits until one is declared."""
    if not any(map(env.optional, _LIFETIMES)):
        return preset
    from functions.settings.lifetimes import with_lifetimes, with_rotation

    return with_lifetimes(env, with_rotation(env, preset))


def _issuer(env: EnvReader) -> str | None:
    issuer = env.url("ISSUER")
    if issuer is not None and "?" in issuer:
        # RFC 8414 §2.
        env.faults.append("ISSUER must not have a query")
    if issuer is not None and _WELL_KNOWN in issuer:
        env.faults.append(
            f"ISSUER must not contain {_WELL_KNOWN}: set the issuer, not its metadata URL"
        )
    return issuer


def _scope(env: EnvReader) -> str | None:
    scope = env.optional("SCOPE")
    if scope is not None and not _SCOPE.fullmatch(scope):
        env.add_fault("SCOPE must be printable ASCII without quotes and backslashes")
    return scope


def _authorization_params(env: EnvReader, preset: Provider) -> tuple[tuple[str, str], ...]:
    found = _params(env, "AUTHORIZATION_PARAMS", "prompt=consent&access_type=offline")
    if found is None:
        return preset.authorization_params
    names = [name for name, _ in found]
    if not all(map(_PARAMETER_NAME.fullmatch, names)):
        env.faults.append(
            "AUTHORIZATION_PARAMS has an invalid parameter name: use letters, digits and . _ -, "
            "and no ? at the beginning"
        )
    if len(set(names)) < len(names):
        # RFC 6749 §3.1.
        env.faults.append("AUTHORIZATION_PARAMS repeats a parameter")
    if own := sorted(_LOGIN_PARAMS.intersection(names)):
        env.faults.append(
            f"AUTHORIZATION_PARAMS must not set {', '.join(own)}: each login sets its own"
        )
    if "scope" in names and env.optional("SCOPE") is not None:
        env.faults.append("AUTHORIZATION_PARAMS must not set scope if SCOPE is set")
    return found


def _token_params(env: EnvReader, preset: Provider) -> tuple[tuple[str, str], ...]:
    found = _params(env, "TOKEN_PARAMS", "resource=https://api.example")
    if found is None:
        return preset.token_params
    if own := sorted(_TOKEN_REQUEST_PARAMS.intersection(name for name, _ in found)):
        env.faults.append(
            f"TOKEN_PARAMS must not set {', '.join(own)}: each token request sets its own"
        )
    # RFC 8707 §2: `resource` may be there more than once.
    names = [name for name, _ in found if name != "resource"]
    if len(set(names)) < len(names):
        env.faults.append("TOKEN_PARAMS repeats a parameter other than resource")
    return found


def _params(env: EnvReader, variable: str, example: str) -> tuple[tuple[str, str], ...] | None:
    """Read parameters; None if the variable is unset."""
    text = env.optional(variable)
    if text is None:
        return None
    try:
        return tuple(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        env.faults.append(f"{variable} must look like {example}")
        return ()


def _refusal_words(env: EnvReader) -> dict[str, str]:
    """Read `REFUSAL_WORDS`: the provider's own codes and texts, and their meanings."""
    text = env.optional("REFUSAL_WORDS", invisible=LAYOUT)
    if text is None:
        return {}
    try:
        found = json.loads(text)
        return {words.lower().strip(" .!"): _MEANINGS[found[words]] for words in found}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        env.faults.append(
            'REFUSAL_WORDS must look like {"session_closed": "dead"}, with dead, configuration or '
            "try-later for each"  # plain words: a value of the variable
        )
        return {}

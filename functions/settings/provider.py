"""The provider in the environment: a preset, and its overrides.

Variables that few deployments set are read by modules that the others do not import.
"""

import json
import re
from dataclasses import replace

from domain.error_meanings import Meaning
from domain.metadata import ServerMetadata, with_metadata
from domain.provider import PRESETS, ClientAuthentication, Pkce, Provider
from functions.settings.environment import LAYOUT, EnvReader

# RFC 6749 §3.3.
_SCOPE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
# The prefix of metadata paths (RFC 8615 §3).
_WELL_KNOWN = "/.well-known/"
# The meanings of a provider's own words, as standard codes (RFC 6749 §5.2, §4.1.2.1).
_MEANINGS = {
    Meaning.DEAD.value: "invalid_grant",
    Meaning.CONFIGURATION.value: "invalid_client",
    Meaning.TRY_LATER.value: "temporarily_unavailable",
}
_LIFETIMES = ("ROTATION", "ACCESS_TOKEN_LIFETIME", "REFRESH_TOKEN_LIFETIME")
_WIRE = (
    "AUTHORIZATION_NAMES",
    "CALLBACK_CODE",
    "CODE_PARAMS",
    "REFRESH_ENDPOINT",
    "REFRESH_PARAMS",
    "RESPONSE_NAMES",
    "REVOCATION_STYLE",
    "TOKENS_AT",
    "TOKEN_HEADERS",
    "TOKEN_REQUEST_FORMAT",
    "TOKEN_REQUEST_NAMES",
)
_PARAMS = ("AUTHORIZATION_PARAMS", "TOKEN_PARAMS", "CODE_PARAMS", "REFRESH_PARAMS")


def read_metadata(env: EnvReader) -> ServerMetadata:
    """Read the overrides of the preset and of the issuer's metadata."""
    method = env.choice(
        "TOKEN_ENDPOINT_AUTH_METHOD", [method.value for method in ClientAuthentication]
    )
    pkce = env.choice("PKCE", [method.value for method in Pkce])
    metadata = ServerMetadata(
        issuer=_issuer(env),
        authorization_endpoint=env.url("AUTHORIZATION_ENDPOINT"),
        token_endpoint=env.url("TOKEN_ENDPOINT"),
        revocation_endpoint=env.url("REVOCATION_ENDPOINT"),
        client_authentication=None if method is None else ClientAuthentication(method),
        pkce=None if pkce is None else Pkce(pkce),
    )
    urls = (metadata.issuer, *_endpoints(metadata))
    if any("{" in url for url in urls if url):
        from functions.settings.endpoint_values import fill_metadata

        return fill_metadata(env, metadata)
    return metadata


def read_provider(env: EnvReader, overrides: ServerMetadata) -> Provider:
    """Apply the overrides to the preset. Settings that the issuer publishes stay empty."""
    preset = PRESETS[env.choice("PROVIDER", list(PRESETS)) or "digikey"]
    require_settings(env, preset)
    provider = replace(
        _with_params(env, _with_wire(env, _with_lifetimes(env, preset))),
        scope=_scope(env) or preset.scope,
        error_aliases={**preset.error_aliases, **_refusal_words(env)},
    )
    provider = _with_endpoint_values(env, preset, with_metadata(provider, overrides))
    for name in ("authorization_endpoint", "token_endpoint"):
        if not getattr(provider, name) and overrides.issuer is None:
            env.faults.append(f"PROVIDER is custom: set {name.upper()} or ISSUER")
    return provider


def require_settings(env: EnvReader, preset: Provider) -> None:
    """Report each variable that the preset requires and that is not set."""
    for name in preset.required_settings:
        if env.optional(name) is None:
            env.add_fault(f"{name} is not set, and this PROVIDER requires it")


def _with_lifetimes(env: EnvReader, provider: Provider) -> Provider:
    if not _has_any(env, _LIFETIMES):
        return provider
    from functions.settings.lifetimes import read_lifetimes, read_rotation

    return read_lifetimes(env, read_rotation(env, provider))


def _with_wire(env: EnvReader, provider: Provider) -> Provider:
    if not _has_any(env, _WIRE):
        return provider
    from functions.settings.wire import read_wire

    return replace(provider, wire=read_wire(env, provider))


def _with_params(env: EnvReader, provider: Provider) -> Provider:
    if not _has_any(env, _PARAMS):
        return provider
    from functions.settings import parameters

    token_params = parameters.read_token_params(env, provider)
    provider = replace(
        provider,
        authorization_params=parameters.read_authorization_params(env, provider),
        token_params=provider.token_params if token_params is None else token_params,
    )
    parameters.check_repeats(env, provider)
    return provider


def _with_endpoint_values(env: EnvReader, preset: Provider, provider: Provider) -> Provider:
    wire = provider.wire
    urls = (*_endpoints(provider), wire and wire.refresh_endpoint)
    has_placeholders = preset.placeholders or any("{" in url for url in urls if url)
    if not has_placeholders and env.optional("ENDPOINT_VALUES") is None:
        return provider
    from functions.settings.endpoint_values import fill_provider

    return fill_provider(env, preset, provider)


def _has_any(env: EnvReader, names: tuple[str, ...]) -> bool:
    return any(env.optional(name) is not None for name in names)


def _endpoints(found: Provider | ServerMetadata) -> tuple[str | None, ...]:
    return (found.authorization_endpoint, found.token_endpoint, found.revocation_endpoint)


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

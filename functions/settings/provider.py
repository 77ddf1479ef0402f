"""The provider in the environment: a preset, and its overrides.

Variables that few deployments set are read by modules that the others do not import.
"""

import re
from dataclasses import replace
from urllib.parse import quote

from domain.metadata import ServerMetadata, with_metadata
from domain.provider import ClientAuthentication, GrantType, Pkce, Provider
from functions.settings.environment import LAYOUT, EnvReader
from functions.settings.presets import exists, load, unknown_preset

DEFAULT_PRESET = "digikey"
CUSTOM = "custom"

# RFC 6749 §3.3.
_SCOPE = r"[\x20\x21\x23-\x5b\x5d-\x7e]+"
# The prefix of metadata paths (RFC 8615 §3).
_WELL_KNOWN = "/.well-known/"
_LIFETIMES = (
    "ACCESS_TOKEN_LIFETIME",
    "LOGIN_LIFETIME",
    "REFRESH_ONLY_WITHIN",
    "REFRESH_TOKEN_LIFETIME",
    "ROTATION",
)
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
# In a revocation endpoint.
_CLIENT_ID = "{client_id}"
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


def read_provider(
    env: EnvReader, overrides: ServerMetadata, *, loads_preset: bool = True
) -> Provider:
    """Apply the overrides to the preset. Settings that the issuer publishes stay empty.

    Without `loads_preset` the variables are only checked, as far as that needs no preset.
    """
    preset = _preset(env, loads=loads_preset)
    require_settings(env, preset)
    provider = replace(
        _with_params(env, _with_wire(env, _with_lifetimes(env, preset))),
        scope=_scope(env) or preset.scope,
        error_aliases={**preset.error_aliases, **_refusal_words(env)},
        response_members=_members(env, "RESPONSE_MEMBERS", preset.response_members),
        callback_members=_members(env, "CALLBACK_MEMBERS", preset.callback_members),
    )
    provider = with_metadata(provider, overrides)
    if loads_preset:
        provider = _with_endpoint_values(env, preset, provider)
    provider = _grant(env, provider)
    for name in _required_endpoints(provider.grant_type):
        if not getattr(provider, name) and overrides.issuer is None:
            env.faults.append(f"PROVIDER is custom: set {name.upper()} or ISSUER")
    return provider


def _preset(env: EnvReader, *, loads: bool) -> Provider:
    name = env.optional("PROVIDER") or DEFAULT_PRESET
    # `custom` has no endpoints, whose absence is a fault.
    if not loads and name != CUSTOM and exists(name):
        return _without_endpoints(name)
    preset = load(name)
    if preset is None:
        env.faults.append(f"PROVIDER {unknown_preset(name)}")
        return _without_endpoints(name)
    return preset


def _without_endpoints(name: str) -> Provider:
    """Return a provider to check the other variables with. No request is sent to it."""
    return Provider(
        name=name,
        authorization_endpoint="https://unknown.invalid",
        token_endpoint="https://unknown.invalid",
        access_token_lifetime=None,
        refresh_token_lifetime=None,
    )


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
    revocation = provider.revocation_endpoint
    if revocation is not None and _CLIENT_ID in revocation:
        # GitHub's needs nothing else.
        client_id = quote(env.optional("CLIENT_ID") or "", safe="")
        provider = replace(provider, revocation_endpoint=revocation.replace(_CLIENT_ID, client_id))
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


def _grant(env: EnvReader, provider: Provider) -> Provider:
    """Apply `GRANT`: whether tokens need a person's login."""
    found = env.choice("GRANT", [grant_type.value for grant_type in GrantType])
    grant_type = provider.grant_type if found is None else GrantType(found)
    is_own = grant_type is GrantType.CLIENT_CREDENTIALS
    if is_own and provider.client_authentication is ClientAuthentication.NONE:
        # RFC 6749 §4.4: for confidential clients only.
        env.faults.append(
            "TOKEN_ENDPOINT_AUTH_METHOD must not be none if GRANT is client_credentials"
        )
    return replace(provider, grant_type=grant_type)


def _required_endpoints(grant_type: GrantType) -> tuple[str, ...]:
    """Return the names of the endpoints that the grant type uses (RFC 6749 §3)."""
    is_login = grant_type is GrantType.AUTHORIZATION_CODE
    return ("authorization_endpoint", "token_endpoint") if is_login else ("token_endpoint",)


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
    if scope is not None and not re.fullmatch(_SCOPE, scope):
        env.add_fault("SCOPE must be printable ASCII without quotes and backslashes")
    return scope


def _refusal_words(env: EnvReader) -> dict[str, str]:
    text = env.optional("REFUSAL_WORDS", invisible=LAYOUT)
    if text is None:
        return {}
    from functions.settings.refusal_words import read_refusal_words

    return read_refusal_words(env, text)


def _members(env: EnvReader, variable: str, preset: tuple[str, ...]) -> tuple[str, ...]:
    """Add the members that a variable names to the preset's."""
    text = env.optional(variable, invisible=LAYOUT)
    if text is None:
        return preset
    # Most deployments set neither variable, and skip the import.
    from functions.settings.members import read_members

    return read_members(env, variable, text, preset)

"""One client in the environment: its credentials and its provider."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import ClientAuthentication, Pkce, Provider
from functions.settings.environment import LAYOUT, EnvReader
from functions.settings.provider import read_metadata, read_provider

if TYPE_CHECKING:
    # Imported where there is a key.
    from functions.settings.private_key import PrivateKey

CALLBACK_PATH = "/api/callback"

CLIENT_VARIABLES = frozenset(
    {
        "ACCESS_TOKEN_LIFETIME",
        "AUTHORIZATION_ENDPOINT",
        "AUTHORIZATION_NAMES",
        "AUTHORIZATION_PARAMS",
        "CALLBACK_CODE",
        "CALLBACK_MEMBERS",
        "CLIENT_ASSERTION_AUDIENCE",
        "CLIENT_ID",
        "CLIENT_KEY_ID",
        "CLIENT_PRIVATE_KEY",
        "CLIENT_SECRET",
        "CODE_PARAMS",
        "ENDPOINT_VALUES",
        "GRANT",
        "ISSUER",
        "LOGIN_LIFETIME",
        "PKCE",
        "PREVIOUS_CLIENT_SECRET",
        "PROVIDER",
        "REDIRECT_URI",
        "REFRESH_ENDPOINT",
        "REFRESH_ONLY_WITHIN",
        "REFRESH_PARAMS",
        "REFRESH_TOKEN_LIFETIME",
        "REFUSAL_WORDS",
        "RESPONSE_MEMBERS",
        "RESPONSE_NAMES",
        "REVOCATION_ENDPOINT",
        "REVOCATION_STYLE",
        "ROTATION",
        "SCOPE",
        "TOKENS_AT",
        "TOKEN_ENDPOINT",
        "TOKEN_ENDPOINT_AUTH_METHOD",
        "TOKEN_ENDPOINT_AUTH_SIGNING_ALG",
        "TOKEN_HEADERS",
        "TOKEN_PARAMS",
        "TOKEN_REQUEST_FORMAT",
        "TOKEN_REQUEST_NAMES",
        "USER_AGENT",
    }
)
"""The variables of a client. Their names in lower case are the members of an entry in CLIENTS."""

_KEY_VARIABLES = (
    "CLIENT_PRIVATE_KEY",
    "CLIENT_KEY_ID",
    "CLIENT_ASSERTION_AUDIENCE",
    "TOKEN_ENDPOINT_AUTH_SIGNING_ALG",
)
# The styles of revocation that send the secret, with any method at the token endpoint.
_BY_SECRET = ("delete-json", "client-header")
_WITHOUT_SECRET = (ClientAuthentication.NONE, ClientAuthentication.PRIVATE_KEY_JWT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """One registration at one provider. `name` is None for the unnamed client.

    If `overrides` names an issuer, `provider` lacks what the issuer's metadata provides.
    `client_secret` is empty for a client without one. `previous_client_secret` is used until the
    provider accepts the new one. `user_agent` is None for the default.
    `redirect_uri_name` stands for the redirect URI at a provider that registers it under a name,
    such as eBay.
    """

    name: str | None
    client_id: str
    client_secret: str = field(repr=False)
    previous_client_secret: str | None = field(repr=False, default=None)
    private_key: "PrivateKey | None" = None
    provider: Provider
    overrides: ServerMetadata
    user_agent: str | None = None
    redirect_uri_name: str | None = None

    @property
    def client_secrets(self) -> list[str]:
        """The secrets, the current one first. Empty for a client without one."""
        return [*filter(None, (self.client_secret, self.previous_client_secret))]

    @property
    def callback_path(self) -> str:
        """The path of the redirect URI: a different one for each client (RFC 9700 §4.4.2)."""
        return CALLBACK_PATH if self.name is None else f"{CALLBACK_PATH}/{self.name}"


def read_client(
    env: EnvReader, *, name: str | None, has_encryption_keys: bool, loads_preset: bool = True
) -> ClientSettings:
    """Read a client's variables; their faults are added to the reader's.

    Without `loads_preset` they are only checked, as far as that needs no preset. A client without a
    secret needs it: the preset's method may be `none`.
    """
    overrides = read_metadata(env)
    client_id = env.required("CLIENT_ID")
    if overrides.client_authentication is None and _depends_on_method(env):
        loads_preset = True
    provider = read_provider(env, overrides, loads_preset=loads_preset)
    if (method := provider.client_authentication) in _WITHOUT_SECRET:
        # The issuer's metadata must not choose another method.
        overrides = overrides._replace(client_authentication=method)
    client_secret = _client_secret(env, method, has_encryption_keys=has_encryption_keys)
    if method is ClientAuthentication.NONE and provider.pkce is Pkce.NONE:
        env.add_fault(
            "PKCE must be S256 for a client without a secret (TOKEN_ENDPOINT_AUTH_METHOD=none)"
        )
    if method in _WITHOUT_SECRET and not client_secret and _revokes_by_secret(provider):
        env.add_fault("REVOCATION_STYLE of this provider requires CLIENT_SECRET, which is not set")
    return ClientSettings(
        name=name,
        client_id=client_id,
        client_secret=client_secret,
        previous_client_secret=_previous_client_secret(env, client_secret),
        private_key=_private_key(env, method),
        provider=provider,
        overrides=overrides,
        user_agent=_user_agent(env),
        redirect_uri_name=_redirect_uri_name(env),
    )


def _depends_on_method(env: EnvReader) -> bool:
    """Whether the method of the preset decides if the credentials are complete."""
    has_key = any(env.optional(name, invisible=LAYOUT) is not None for name in _KEY_VARIABLES)
    return has_key or env.optional("CLIENT_SECRET") is None


def _client_secret(
    env: EnvReader, method: ClientAuthentication, *, has_encryption_keys: bool
) -> str:
    """Read CLIENT_SECRET; a client without one requires ENCRYPTION_KEYS instead."""
    if method not in _WITHOUT_SECRET:
        return env.required("CLIENT_SECRET")
    secret = env.optional("CLIENT_SECRET")
    if secret is None and not has_encryption_keys:
        env.faults.append(
            "ENCRYPTION_KEYS is not set, and is required without CLIENT_SECRET: generate one with "
            "openssl rand -base64 32"
        )
    return secret or ""


def _revokes_by_secret(provider: Provider) -> bool:
    return provider.wire is not None and provider.wire.revocation.value in _BY_SECRET


def _previous_client_secret(env: EnvReader, client_secret: str) -> str | None:
    secret = env.optional("PREVIOUS_CLIENT_SECRET")
    if secret is not None and not client_secret:
        env.add_fault("PREVIOUS_CLIENT_SECRET requires CLIENT_SECRET, which is not set")
    # The same one as before: the replacement has not begun, or is finished.
    return None if secret == client_secret else secret


def _private_key(env: EnvReader, method: ClientAuthentication) -> "PrivateKey | None":
    if method is ClientAuthentication.PRIVATE_KEY_JWT:
        from functions.settings.private_key import read_private_key

        return read_private_key(env)
    for name in _KEY_VARIABLES:
        if env.optional(name, invisible=LAYOUT) is not None:
            env.add_fault(f"{name} requires TOKEN_ENDPOINT_AUTH_METHOD=private_key_jwt")
    return None


def _user_agent(env: EnvReader) -> str | None:
    text = env.optional("USER_AGENT")
    if text is not None and not (text.isascii() and text.isprintable()):
        env.faults.append("USER_AGENT must be printable ASCII")
    return text


def _redirect_uri_name(env: EnvReader) -> str | None:
    text = env.optional("REDIRECT_URI", fits_a_header=True)
    if text is not None and ":" in text and not is_safe_url(text):
        env.add_fault("REDIRECT_URI must be the provider's name for the redirect URI, or https URL")
    return text

"""One client in the environment: its credentials and its provider."""

from dataclasses import dataclass, field

from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import ClientAuthentication, Provider
from functions.settings.environment import EnvReader
from functions.settings.provider import read_metadata, read_provider

CALLBACK_PATH = "/api/callback"

CLIENT_VARIABLES = frozenset(
    {
        "ACCESS_TOKEN_LIFETIME",
        "AUTHORIZATION_ENDPOINT",
        "AUTHORIZATION_NAMES",
        "AUTHORIZATION_PARAMS",
        "CALLBACK_CODE",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "CODE_PARAMS",
        "ENDPOINT_VALUES",
        "ISSUER",
        "PKCE",
        "PROVIDER",
        "REDIRECT_URI",
        "REFRESH_ENDPOINT",
        "REFRESH_PARAMS",
        "REFRESH_TOKEN_LIFETIME",
        "REFUSAL_WORDS",
        "RESPONSE_NAMES",
        "REVOCATION_ENDPOINT",
        "REVOCATION_STYLE",
        "ROTATION",
        "SCOPE",
        "TOKENS_AT",
        "TOKEN_ENDPOINT",
        "TOKEN_ENDPOINT_AUTH_METHOD",
        "TOKEN_HEADERS",
        "TOKEN_PARAMS",
        "TOKEN_REQUEST_FORMAT",
        "TOKEN_REQUEST_NAMES",
        "USER_AGENT",
    }
)
"""The variables of a client. Their names in lower case are the members of an entry in CLIENTS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """One registration at one provider. `name` is None for the unnamed client.

    If `overrides` names an issuer, `provider` lacks what the issuer's metadata provides.
    `client_secret` is empty for a public client. `user_agent` is None for the default.
    `redirect_uri_name` stands for the redirect URI at a provider that registers it under a name,
    such as eBay.
    """

    name: str | None
    client_id: str
    client_secret: str = field(repr=False)
    provider: Provider
    overrides: ServerMetadata
    user_agent: str | None = None
    redirect_uri_name: str | None = None

    @property
    def callback_path(self) -> str:
        """The path of the redirect URI: a different one for each client (RFC 9700 §4.4.2)."""
        return CALLBACK_PATH if self.name is None else f"{CALLBACK_PATH}/{self.name}"


def read_client(env: EnvReader, *, name: str | None, has_encryption_keys: bool) -> ClientSettings:
    """Read a client's variables; their faults are added to the reader's."""
    overrides = read_metadata(env)
    return ClientSettings(
        name=name,
        client_id=env.required("CLIENT_ID"),
        client_secret=_client_secret(env, overrides, has_encryption_keys=has_encryption_keys),
        provider=read_provider(env, overrides),
        overrides=overrides,
        user_agent=_user_agent(env),
        redirect_uri_name=_redirect_uri_name(env),
    )


def _client_secret(env: EnvReader, overrides: ServerMetadata, *, has_encryption_keys: bool) -> str:
    """Read CLIENT_SECRET; a public client has none, and requires ENCRYPTION_KEYS instead."""
    if overrides.client_authentication is not ClientAuthentication.NONE:
        return env.required("CLIENT_SECRET")
    secret = env.optional("CLIENT_SECRET")
    if secret is None and not has_encryption_keys:
        env.faults.append(
            "ENCRYPTION_KEYS is not set, and is required without CLIENT_SECRET: generate one with "
            "openssl rand -base64 32"
        )
    return secret or ""


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

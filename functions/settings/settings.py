"""The settings of a deployment, read from the environment once."""

import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from domain.metadata import ServerMetadata, is_safe_url
from domain.provider import ClientAuthentication, Provider
from functions.settings.api_keys import ApiKey, read_api_keys
from functions.settings.environment import LAYOUT, EnvReader
from functions.settings.provider import read_metadata, read_provider
from functions.settings.store import StoreSettings, read_store

_CALLBACK_PATH = "/api/callback"
_KEY_BYTES = 32
# More than a person mistypes, and too few for guessing.
DEFAULT_FAILURE_LIMIT = 30


class SettingsError(Exception):
    """An invalid environment; the message names each variable and what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class RemoteSettingsError(SettingsError):
    """Settings outside of the environment cannot be read, or are invalid.

    `retry_after` is the time until the next read, if the fault may pass by itself.
    """

    def __init__(self, faults: list[str], *, retry_after: timedelta | None = None) -> None:
        super().__init__(faults)
        self.retry_after = retry_after


def missing_library(variable: str, error: ModuleNotFoundError) -> str:
    """Return which library a variable requires, and how to install it."""
    return f"{variable} requires {error.name}: pip install -r infra/locks/aws.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The checked environment.

    `public_url` is None if unset; only logins need it. If `overrides` names an issuer, `provider`
    lacks what the issuer's metadata provides. `client_secret` is empty for a public client.
    `user_agent` is None for the default. `redirect_uri_name` stands for the redirect URI at a
    provider that registers it under a name, such as eBay.
    """

    client_id: str
    client_secret: str = field(repr=False)
    api_keys: tuple[ApiKey, ...]
    cron_secret: str | None = field(repr=False)
    failure_limit: int
    oauth_state: str | None = field(repr=False)
    provider: Provider
    overrides: ServerMetadata
    public_url: str | None
    store: StoreSettings
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    user_agent: str | None = None
    redirect_uri_name: str | None = None

    @property
    def redirect_uri(self) -> str | None:
        """The redirect URI (RFC 6749 §3.1.2), to register at the provider."""
        return None if self.public_url is None else self.public_url + _CALLBACK_PATH

    @property
    def sent_redirect_uri(self) -> str | None:
        """The `redirect_uri` of requests to the provider (RFC 6749 §4.1.1, §4.1.3)."""
        return None if self.public_url is None else self.redirect_uri_name or self.redirect_uri

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check every variable. Raises SettingsError with every fault."""
        env = EnvReader(environ)
        overrides = read_metadata(env)
        settings = cls(
            client_id=env.required("CLIENT_ID"),
            client_secret=_client_secret(env, overrides),
            api_keys=read_api_keys(env),
            cron_secret=env.secret("CRON_SECRET"),
            failure_limit=env.number("FAILURE_LIMIT", default=DEFAULT_FAILURE_LIMIT),
            oauth_state=env.secret("OAUTH_STATE", fits_a_header=False),
            provider=read_provider(env, overrides),
            overrides=overrides,
            public_url=_public_url(env),
            store=read_store(env),
            encryption_keys=_encryption_keys(env),
            user_agent=_user_agent(env),
            redirect_uri_name=_redirect_uri_name(env),
        )
        if env.faults:
            raise SettingsError(env.faults)
        return settings


def _client_secret(env: EnvReader, overrides: ServerMetadata) -> str:
    """Read CLIENT_SECRET; a public client has none, and requires ENCRYPTION_KEYS instead."""
    if overrides.client_authentication is not ClientAuthentication.NONE:
        return env.required("CLIENT_SECRET")
    secret = env.optional("CLIENT_SECRET")
    if secret is None and env.optional("ENCRYPTION_KEYS") is None:
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


def _encryption_keys(env: EnvReader) -> tuple[bytes, ...]:
    text = env.optional("ENCRYPTION_KEYS", invisible=LAYOUT)
    if text is None:
        return ()
    keys = [_key(part) for part in text.replace(",", " ").split()]
    if not keys or None in keys:
        env.faults.append(
            "ENCRYPTION_KEYS must be keys of 32 bytes in base64: generate one with openssl rand "
            "-base64 32"
        )
    return tuple(key for key in keys if key is not None)


def _key(text: str) -> bytes | None:
    try:
        key = b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _public_url(env: EnvReader) -> str | None:
    url = env.url("PUBLIC_URL")
    if url is None and (host := env.optional("VERCEL_PROJECT_PRODUCTION_URL")):
        url = f"https://{host}"
    if url is None:
        return None
    if "?" in url:
        env.faults.append("PUBLIC_URL must not have a query")
    if url.rstrip("/").endswith(_CALLBACK_PATH):
        env.faults.append(f"PUBLIC_URL must not end in {_CALLBACK_PATH}")
    return url.rstrip("/")

"""The settings of a deployment, read from the environment once."""

import os
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Self

from functions.settings.api_keys import ApiKey, read_api_keys
from functions.settings.client import CALLBACK_PATH, ClientSettings
from functions.settings.clients import Clients, read_clients
from functions.settings.environment import LAYOUT, EnvReader
from functions.settings.store import StoreSettings, read_store

if TYPE_CHECKING:
    # Imported where their variables are set.
    from functions.settings.alerts import AlertSettings
    from functions.settings.callers import CallerEntry

_CALLERS = "CALLERS"
# Of a channel, or of thresholds.
_ALERT_VARIABLES = (
    "ALERTS",
    "ALERT_EXPIRES_SOON",
    "ALERT_REFRESH_FAILING",
    "ALERT_SWEEP_OVERDUE",
    "ALERT_WEBHOOK_SECRET",
    "ALERT_WEBHOOK_URL",
)
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


def missing_library(variable: str, error: ModuleNotFoundError, *, lock: str = "aws") -> str:
    """Return which library a variable requires, and how to install it from a lock file."""
    return f"{variable} requires {error.name}: pip install -r infra/locks/{lock}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The checked environment.

    `public_url` is None if unset; only logins need it. `alerts` reads the channels of alerts at its
    first call, because a fresh token needs none: None without a channel. It raises SettingsError.
    """

    clients: Clients
    api_keys: tuple[ApiKey, ...]
    callers: "tuple[CallerEntry, ...]"
    cron_secret: str | None = field(repr=False)
    failure_limit: int
    oauth_state: str | None = field(repr=False)
    public_url: str | None
    store: StoreSettings
    encryption_keys: tuple[bytes, ...] = field(repr=False)
    alerts: "Callable[[], AlertSettings | None]" = field(repr=False, compare=False)

    def redirect_uri(self, client: ClientSettings) -> str | None:
        """Return a client's redirect URI (RFC 6749 §3.1.2), to register at its provider."""
        return None if self.public_url is None else self.public_url + client.callback_path

    def sent_redirect_uri(self, client: ClientSettings) -> str | None:
        """Return the `redirect_uri` of a client's requests (RFC 6749 §4.1.1, §4.1.3)."""
        uri = self.redirect_uri(client)
        return None if uri is None else client.redirect_uri_name or uri

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str] = os.environ, *, allows_programs: bool = False
    ) -> Self:
        """Read and check every variable. Raises SettingsError with every fault.

        A client in CLIENTS is read later; its faults concern its connections only. So are channels
        of alerts, because a wrong one costs no token. `allows_programs`: whether a channel may run
        a program.
        """
        env = EnvReader(environ)
        has_encryption_keys = env.optional("ENCRYPTION_KEYS", invisible=LAYOUT) is not None
        has_callers = env.optional(_CALLERS, invisible=LAYOUT) is not None
        api_keys = read_api_keys(env, has_callers=has_callers)
        settings = cls(
            clients=read_clients(env, environ, has_encryption_keys=has_encryption_keys),
            api_keys=api_keys,
            callers=_read_callers(env, api_keys) if has_callers else (),
            cron_secret=env.secret("CRON_SECRET"),
            failure_limit=env.number("FAILURE_LIMIT", default=DEFAULT_FAILURE_LIMIT),
            oauth_state=env.secret("OAUTH_STATE", fits_a_header=False),
            public_url=_public_url(env),
            store=read_store(env),
            encryption_keys=_encryption_keys(env),
            alerts=_alert_reader(environ, allows_programs=allows_programs),
        )
        if env.faults:
            raise SettingsError(env.faults)
        return settings


def _read_callers(env: EnvReader, keys: tuple[ApiKey, ...]) -> "tuple[CallerEntry, ...]":
    from functions.settings.callers import read_callers

    text = env.optional(_CALLERS, invisible=LAYOUT)
    return read_callers(text or "", [key.name for key in keys], env.faults)


def _alert_reader(
    environ: Mapping[str, str], *, allows_programs: bool
) -> "Callable[[], AlertSettings | None]":
    if not any(environ.get(name) for name in _ALERT_VARIABLES):
        return lambda: None
    variables = dict(environ)

    @cache
    def read() -> "AlertSettings | None":
        from functions.settings.alerts import read_alerts

        env = EnvReader(variables)
        alerts = read_alerts(env, variables, allows_programs=allows_programs)
        if env.faults:
            raise SettingsError(env.faults)
        return alerts

    return read


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
    if url.rstrip("/").endswith(CALLBACK_PATH):
        env.faults.append(f"PUBLIC_URL must not end in {CALLBACK_PATH}")
    return url.rstrip("/")

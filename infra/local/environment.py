"""The environment of `make run`: the caller's variables, `.env`, and local defaults.

The folder `.local` keeps secrets and data for the next start, readable by its owner only.
"""

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from dotenv import dotenv_values

from domain.provider import Provider
from functions.admin.new_file import new_file
from functions.settings.presets import load
from functions.settings.provider import DEFAULT_PRESET
from functions.settings.store import STORE_VARIABLES
from infra.local.simulated.paths import Paths, placeholder_values, prefix_of

STATE_FOLDER = Path(".local")
API_KEY_FILE = STATE_FOLDER / "api-key"
ENCRYPTION_KEY_FILE = STATE_FOLDER / "encryption-key"
SIMULATED_CLIENT_ID = "simulated-client"
# For presets that require more than a client. REDIRECT_URI is a name, such as eBay's RuName.
_SIMULATED_SETTINGS = {
    "AUTHORIZATION_PARAMS": "simulated=yes",
    "CODE_PARAMS": "simulated=yes",
    "REDIRECT_URI": "simulated-redirect-name",
    "SCOPE": "simulated",
}
# One of these selects a real provider. PROVIDER alone is simulated.
_PROVIDER_VARIABLES = frozenset(
    {
        "AUTHORIZATION_ENDPOINT",
        "CLIENTS",
        "CLIENT_ID",
        "CLIENT_SECRET",
        "ISSUER",
        "TOKEN_ENDPOINT",
    }
)
# The simulation replaces all of them.
_ENDPOINT_VARIABLES = frozenset({"REFRESH_ENDPOINT", "REVOCATION_ENDPOINT"})
_PORTS = range(1, 65536)
_SIMULATED_SECRET_FILE = STATE_FOLDER / "simulated-client-secret"


class LocalEnvironmentError(Exception):
    """The environment, `.env` or the folder `.local` cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEnvironment:
    """The variables to run with.

    `is_simulated`: whether the provider is simulated; `preset` is its preset's name.
    `keeps_api_key`: whether the API key is in `.local`.
    """

    variables: Mapping[str, str] = field(repr=False)
    preset: str
    is_simulated: bool
    keeps_api_key: bool
    port: int

    @property
    def address(self) -> str:
        """The address of the server."""
        return f"http://localhost:{self.port}"

    @property
    def simulation_prefix(self) -> str:
        """The path below which the provider is simulated."""
        return prefix_of(self.preset)

    @property
    def simulation_state(self) -> Path:
        """The file of the simulated provider's state."""
        return STATE_FOLDER / f"simulated-{self.preset}.json"

    @classmethod
    def complete(cls, environ: Mapping[str, str]) -> Self:
        """Add the local defaults. Without a provider's variables, use a simulated one.

        Raises LocalEnvironmentError.
        """
        try:
            return cls._complete(environ)
        except OSError as error:
            raise LocalEnvironmentError(
                f".env or {STATE_FOLDER} cannot be used: {error}"
            ) from error

    @classmethod
    def _complete(cls, environ: Mapping[str, str]) -> Self:
        # Without interpolation: a `$` may be part of a secret.
        if Path(".env").is_dir():
            raise LocalEnvironmentError(".env is a folder; it must be a file")
        try:
            file = dotenv_values(".env", interpolate=False, encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise LocalEnvironmentError(".env is not UTF-8") from error
        given = {name: value for name, value in {**file, **environ}.items() if value}
        port = _port(given.get("PORT", "8000"))
        address = f"http://localhost:{port}"
        is_simulated = _PROVIDER_VARIABLES.isdisjoint(given)
        preset = given.get("PROVIDER", DEFAULT_PRESET)
        # Always: the database is in it.
        STATE_FOLDER.mkdir(mode=0o700, exist_ok=True)
        variables = {
            "API_KEY": given.get("API_KEY") or load_secret(API_KEY_FILE),
            "PUBLIC_URL": address,
            **given,
        }
        is_store_given = not STORE_VARIABLES.isdisjoint(given)
        if not is_store_given:
            variables["SQLITE_PATH"] = str(STATE_FOLDER / "grants.sqlite")
        # Only for a file of this folder: other deployments on a shared store lack this key.
        # It is independent of CLIENT_SECRET. Records of before, encrypted with the key derived from
        # that, stay readable: the derived key is the last of the ring.
        if (is_simulated or not is_store_given) and "ENCRYPTION_KEYS" not in given:
            variables["ENCRYPTION_KEYS"] = load_secret(ENCRYPTION_KEY_FILE)
        if is_simulated:
            variables = _simulate(variables, preset, address)
        return cls(
            variables=variables,
            preset=preset,
            is_simulated=is_simulated,
            keeps_api_key="API_KEY" not in given,
            port=port,
        )


def _simulate(given: Mapping[str, str], preset: str, address: str) -> dict[str, str]:
    """Replace the client, the endpoints and the store by those of the simulation."""
    # Its own store for each preset: its logins would replace those of another provider.
    name = "simulated" if preset == DEFAULT_PRESET else f"simulated-{preset}"
    replaced = STORE_VARIABLES | _ENDPOINT_VARIABLES
    variables = {name: given[name] for name in given.keys() - replaced} | {
        "SQLITE_PATH": str(STATE_FOLDER / f"{name}.sqlite"),
        "CLIENT_ID": SIMULATED_CLIENT_ID,
        "CLIENT_SECRET": load_secret(_SIMULATED_SECRET_FILE),
        "PROVIDER": preset,
        "PUBLIC_URL": address,
    }
    provider = load(preset)
    # An unknown preset is a fault of the settings, which name similar ones.
    return (
        variables
        if provider is None
        else _defaults(provider) | variables | _endpoints(provider, f"{address}{prefix_of(preset)}")
    )


def _endpoints(provider: Provider, base: str) -> dict[str, str]:
    paths = Paths.of(provider)
    found = {
        "AUTHORIZATION_ENDPOINT": paths.authorization,
        "TOKEN_ENDPOINT": paths.token,
        "REFRESH_ENDPOINT": paths.refresh if paths.refresh != paths.token else None,
        "REVOCATION_ENDPOINT": paths.revocation,
    }
    return {name: base + path for name, path in found.items() if path is not None}


def _defaults(provider: Provider) -> dict[str, str]:
    """Return what the preset requires in addition to the client's id and secret."""
    required = provider.required_settings
    found = {name: value for name, value in _SIMULATED_SETTINGS.items() if name in required}
    values = placeholder_values(provider)
    # The client's id needs no value of its own.
    values.pop("client_id", None)
    return found | ({"ENDPOINT_VALUES": urlencode(values)} if values else {})


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if port not in _PORTS:
        raise LocalEnvironmentError("PORT must be a number from 1 to 65535")
    return port


def load_secret(path: Path) -> str:
    """Return the secret in a file: 32 bytes in base64url. The first call creates it.

    Raises OSError, and LocalEnvironmentError if the file is damaged.
    """
    if not path.exists():
        # Another process may create it at the same time.
        with suppress(FileExistsError), new_file(path) as file:
            file.write(urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
    # A file from an earlier version, or from its user, can have any text.
    secret = path.read_bytes().strip()
    if not secret or not secret.isascii():
        raise LocalEnvironmentError(
            f"{path} is damaged: restore it from a backup, or remove it and log in again"
        )
    return secret.decode()

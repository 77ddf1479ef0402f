"""The environment, read once: what a deployment is told."""

import os
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from domain.provider import PRESETS, ClientAuthentication, Pkce, Provider, Rotation, RotationKind

_UPSTASH_NAMES = (
    ("KV_REST_API_URL", "KV_REST_API_TOKEN"),
    ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
)
_CALLBACK_PATH = "/api/callback"
_DYNAMODB_TABLE = re.compile(r"[A-Za-z0-9_.\-]{3,255}")
_KEY_BYTES = 32
_ROTATION = re.compile(
    r"(?P<kind>none|optional|always)"
    r"(;grace=(?P<amount>\d{1,6})(?P<unit>[smhd]))?"
    r"(?P<ends>;ends-access-token)?"
)
_LONGEST_GRACE = timedelta(days=366)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SettingsError(Exception):
    """The environment is not usable; the message names each variable and what to do."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """Grants are kept in this file."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstashSettings:
    """Grants are kept in this Upstash database."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamoDbSettings:
    """Grants are kept in this DynamoDB table; AWS's SDK reads its own variables for the rest.

    `region` is what it would not read by itself, unlike AWS's other SDKs.
    """

    table: str
    region: str | None


StoreSettings: TypeAlias = DynamoDbSettings | SqliteSettings | UpstashSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the environment says, checked.

    `public_url` is None where nothing tells it; only logins need it.
    """

    client_id: str
    client_secret: str = field(repr=False)
    api_key: str = field(repr=False)
    cron_secret: str | None = field(repr=False)
    oauth_state: str | None = field(repr=False)
    provider: Provider
    public_url: str | None
    store: StoreSettings
    encryption_keys: tuple[bytes, ...] = field(repr=False)

    @property
    def redirect_uri(self) -> str | None:
        """Where the provider sends the browser back to (RFC 6749 §3.1.2); to be registered."""
        return None if self.public_url is None else self.public_url + _CALLBACK_PATH

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read and check every variable. Raises SettingsError that names all that is wrong."""
        reading = _Reading(environ)
        settings = cls(
            client_id=reading.required("CLIENT_ID"),
            client_secret=reading.required("CLIENT_SECRET"),
            api_key=reading.required("API_KEY", fits_a_header=True),
            cron_secret=reading.optional("CRON_SECRET", fits_a_header=True),
            oauth_state=reading.optional("OAUTH_STATE"),
            provider=_provider(reading),
            public_url=_public_url(reading),
            store=_store(reading),
            encryption_keys=_encryption_keys(reading),
        )
        if reading.faults:
            raise SettingsError(reading.faults)
        return settings


class _Reading:
    """One pass over the environment that gathers all faults before it complains."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def optional(self, name: str, *, fits_a_header: bool = False) -> str | None:
        value = self._environ.get(name, "").strip()
        if value != value.encode("utf-8", "replace").decode():
            self.faults.append(f"{name} is not UTF-8")
        if fits_a_header and not all("!" <= character <= "~" for character in value):
            self.faults.append(f"{name} must be printable ASCII without spaces")
        return value or None

    def required(self, name: str, *, fits_a_header: bool = False) -> str:
        value = self.optional(name, fits_a_header=fits_a_header)
        if value is None:
            self.faults.append(f"{name} is not set")
        return value or ""

    def url(self, name: str) -> str | None:
        value = self.optional(name)
        if value is not None and not _is_safe_url(value):
            self.faults.append(f"{name} must be an https URL (http only for loopback)")
        return value

    def choice(self, name: str, choices: list[str]) -> str | None:
        value = self.optional(name)
        if value is not None and value not in choices:
            self.faults.append(f"{name} must be one of: {', '.join(choices)}")
            return None
        return value


def _is_safe_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not host or not is_plain or parts.fragment or parts.username is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _store(reading: _Reading) -> StoreSettings:
    """Find the one store that is set; Upstash has two pairs of names, which may both be there."""
    path = reading.optional("SQLITE_PATH")
    if path and not Path(path).parent.is_dir():
        reading.faults.append("SQLITE_PATH is in a folder that does not exist")
    databases = {
        (url_name, token_name): UpstashSettings(
            url=reading.url(url_name) or "",
            token=reading.optional(token_name, fits_a_header=True) or "",
        )
        for url_name, token_name in _UPSTASH_NAMES
        if reading.optional(url_name) or reading.optional(token_name)
    }
    for (url_name, token_name), database in databases.items():
        if not (database.url and database.token):
            reading.faults.append(f"{url_name} and {token_name} go together")
    stores: set[StoreSettings] = set(databases.values())
    names = [url for url, _ in databases]
    if path:
        stores.add(SqliteSettings(Path(path)))
        names.append("SQLITE_PATH")
    if table := _dynamodb_table(reading):
        stores.add(table)
        names.append("DYNAMODB_TABLE")
    if len(stores) > 1:
        reading.faults.append(f"several stores are set, and one is needed: {', '.join(names)}")
    if not stores:
        reading.faults.append(
            "no store is set: SQLITE_PATH, or KV_REST_API_URL and KV_REST_API_TOKEN, or "
            "DYNAMODB_TABLE"
        )
        return SqliteSettings(Path())
    return stores.pop()


def _dynamodb_table(reading: _Reading) -> DynamoDbSettings | None:
    table = reading.optional("DYNAMODB_TABLE")
    if table is None:
        return None
    if not _DYNAMODB_TABLE.fullmatch(table):
        reading.faults.append("DYNAMODB_TABLE must be the name of a table")
    return DynamoDbSettings(table=table, region=reading.optional("AWS_REGION"))


def _encryption_keys(reading: _Reading) -> tuple[bytes, ...]:
    text = reading.optional("ENCRYPTION_KEYS")
    if text is None:
        return ()
    keys = [_key(part) for part in text.replace(",", " ").split()]
    if not keys or None in keys:
        reading.faults.append(
            "each of ENCRYPTION_KEYS must be 32 bytes in base64: openssl rand -base64 32 makes one"
        )
    return tuple(key for key in keys if key is not None)


def _key(text: str) -> bytes | None:
    try:
        key = b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _public_url(reading: _Reading) -> str | None:
    url = reading.url("PUBLIC_URL")
    if url is None and (host := reading.optional("VERCEL_PROJECT_PRODUCTION_URL")):
        url = f"https://{host}"
    if url is None:
        return None
    if "?" in url:
        reading.faults.append("PUBLIC_URL must not have a query")
    if url.rstrip("/").endswith(_CALLBACK_PATH):
        reading.faults.append(f"PUBLIC_URL is the redirect URI without its {_CALLBACK_PATH}")
    return url.rstrip("/")


def _provider(reading: _Reading) -> Provider:
    preset = PRESETS[reading.choice("PROVIDER", list(PRESETS)) or "digikey"]
    provider = replace(
        _rotation(reading, preset),
        authorization_endpoint=reading.url("AUTHORIZATION_ENDPOINT")
        or preset.authorization_endpoint,
        token_endpoint=reading.url("TOKEN_ENDPOINT") or preset.token_endpoint,
        scope=reading.optional("SCOPE") or preset.scope,
        authorization_params=_authorization_params(reading, preset),
        client_authentication=_client_authentication(reading, preset),
        pkce=_pkce(reading, preset),
    )
    for name in ("authorization_endpoint", "token_endpoint"):
        if not getattr(provider, name):
            reading.faults.append(f"PROVIDER is custom, and {name.upper()} is not set")
    return provider


def _authorization_params(reading: _Reading, preset: Provider) -> tuple[tuple[str, str], ...]:
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


def _client_authentication(reading: _Reading, preset: Provider) -> ClientAuthentication:
    methods = [method.value for method in ClientAuthentication]
    method = reading.choice("TOKEN_ENDPOINT_AUTH_METHOD", methods)
    return preset.client_authentication if method is None else ClientAuthentication(method)


def _pkce(reading: _Reading, preset: Provider) -> Pkce:
    method = reading.choice("PKCE", [method.value for method in Pkce])
    return preset.pkce if method is None else Pkce(method)


def _rotation(reading: _Reading, preset: Provider) -> Provider:
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

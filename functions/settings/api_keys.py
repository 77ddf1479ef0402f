"""The API keys of a deployment, and their restrictions.

`API_KEY` is one key, for all connections and endpoints. `API_KEYS` is a JSON array of keys with
names. If both are set, every key is accepted:

    [{"name": "ci", "sha256": "9f86…", "connections": ["default"], "endpoints": ["token", "verify"],
      "expires": "2027-01-31"}]

`sha256` is the hash of the key in hexadecimal, so that the variable reveals no key. Without
`connections` or `endpoints` the key is for all of them. `google:*` is for all accounts of the
client `google`. `expires` is the key's last day, in UTC.
`python -m functions.admin keys new NAME` makes a key and its entry.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal, TypeAlias, TypeVar, get_args

from domain.connection import accounts_pattern, client_part, has_account, is_connection
from functions.settings.environment import LAYOUT, EnvReader

KeyedEndpoint: TypeAlias = Literal[
    "connections", "login", "metrics", "refresh", "revoke", "token", "verify"
]
"""An endpoint that requires an API key."""

KEYED_ENDPOINTS: tuple[KeyedEndpoint, ...] = get_args(KeyedEndpoint)
THE_API_KEY = "API_KEY"
"""The name of the key in API_KEY, which has no entry."""

_VARIABLE = "API_KEYS"
# Compiled where they are used: API_KEY has no entry.
_NAME = r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}"
_DIGEST = r"[0-9A-Fa-f]{64}"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_Entry = TypeVar("_Entry")
_MEMBERS = ("name", "sha256", "connections", "endpoints", "expires")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key: its name, its SHA-256 and its restrictions; None is unrestricted.

    An identity token that an entry of CALLERS accepts is a key, too: `variable` is then CALLERS,
    and `subject` is whom the token names.
    """

    name: str
    digest: bytes = field(repr=False)
    connections: frozenset[str] | None = None
    endpoints: frozenset[str] | None = None
    expires_at: datetime | None = None
    variable: str = _VARIABLE
    subject: str | None = None

    @property
    def logged_name(self) -> str:
        """The name in logs and histories, with the subject of an identity token."""
        return self.name if self.subject is None else f"{self.name} ({self.subject})"

    def is_for(self, connection: str) -> bool:
        """Whether the key may be used for a connection: by its name, or a client's `NAME:*`."""
        if self.connections is None or connection in self.connections:
            return True
        accounts = accounts_pattern(client_part(connection))
        return has_account(connection) and accounts in self.connections


class EntryError(Exception):
    """An invalid entry. The message has the reason, and quotes no value."""


def digest_of(key: bytes) -> bytes:
    """Return the SHA-256 of a key; a key is long and random, so a plain hash hides it."""
    return sha256(key).digest()


def is_key_name(text: str) -> bool:
    """Whether a key may have this name, which logs and records contain."""
    return re.fullmatch(_NAME, text) is not None and text != THE_API_KEY


def end_of_day(text: str) -> datetime:
    """Return the instant after a day in UTC, such as 2027-01-31. Raises ValueError."""
    if not re.fullmatch(_DAY, text):
        raise ValueError("a day is written as 2027-01-31")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) + timedelta(days=1)
    except OverflowError as error:
        raise ValueError("a day is written as 2027-01-31") from error


def read_api_keys(env: EnvReader, *, has_callers: bool = False) -> tuple[ApiKey, ...]:
    """Read `API_KEY` and `API_KEYS`; at least one is required, unless there are CALLERS."""
    faults = len(env.faults)
    keys = []
    if (key := env.secret(THE_API_KEY)) is not None:
        keys.append(ApiKey(name=THE_API_KEY, digest=digest_of(key.encode("utf-8", "replace"))))
    if (text := env.optional(_VARIABLE, invisible=LAYOUT)) is not None:
        keys += read_entries(_VARIABLE, text, _key, env.faults, like='{"name": …, "sha256": …}')
    env.faults += _find_duplicates(keys)
    if not keys and not has_callers and len(env.faults) == faults:
        env.faults.append("API_KEY is not set, and neither is API_KEYS")
    return tuple(keys)


def read_entries(
    variable: str,
    text: str,
    read: Callable[[Mapping[str, object]], _Entry],
    faults: list[str],
    *,
    like: str,
) -> Iterator[_Entry]:
    """Yield the entries of a JSON array, each made by `read`, which may raise EntryError.

    `like` is an example of an entry. Faults name the entry and its member.
    """
    try:
        entries = json.loads(text, object_pairs_hook=_members)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not entries:
        faults.append(f"{variable} must be a JSON array of entries: [{like}, …]")
        return
    for number, entry in enumerate(entries, start=1):
        try:
            yield read(_object(entry))
        except EntryError as error:
            faults.append(f"{variable}, entry {_title(entry, number)}: {error}")


def _members(pairs: list[tuple[str, object]]) -> Mapping[str, object] | None:
    """Make an object; None for a repeated member, of which one would be lost."""
    members = dict(pairs)
    return members if len(members) == len(pairs) else None


def _object(entry: object) -> Mapping[str, object]:
    if not isinstance(entry, dict):
        raise EntryError("it must be an object without repeated members")
    return entry


def _title(entry: object, number: int) -> str:
    match entry:
        case {"name": str(name)} if is_key_name(name):
            return f"{name!r}"
        case _:
            return str(number)


def _key(entry: Mapping[str, object]) -> ApiKey:
    refuse_unknown_members(entry, _MEMBERS)
    return ApiKey(
        name=read_name(entry),
        digest=_digest(entry.get("sha256")),
        connections=read_connections(entry),
        endpoints=read_endpoints(entry),
        expires_at=_expires_at(entry),
    )


def refuse_unknown_members(entry: Mapping[str, object], known: tuple[str, ...]) -> None:
    """Refuse a member that is not known: a misspelt restriction would not restrict.

    Raises EntryError.
    """
    if not entry.keys() <= set(known):
        raise EntryError(f"it has an unknown member; the members are {', '.join(known)}")


def read_connections(entry: Mapping[str, object]) -> frozenset[str] | None:
    """Return the connections that a key is for, None for all. Raises EntryError."""
    what = "names of connections, or NAME:* for a client's"
    return _read_names(entry, "connections", _is_scope, what)


def read_endpoints(entry: Mapping[str, object]) -> frozenset[str] | None:
    """Return the endpoints that a key is for, None for all. Raises EntryError."""
    what = f"some of {', '.join(KEYED_ENDPOINTS)}"
    return _read_names(entry, "endpoints", _is_endpoint, what)


def read_name(entry: Mapping[str, object]) -> str:
    """Return the name of a key. Raises EntryError."""
    value = entry.get("name")
    if not isinstance(value, str) or not is_key_name(value):
        raise EntryError("name must be up to 64 letters, digits and . _ - (and not API_KEY)")
    return value


def _digest(value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(_DIGEST, value):
        raise EntryError("sha256 must be the SHA-256 of the key, 64 hexadecimal digits")
    digest = bytes.fromhex(value)
    if digest == digest_of(b""):
        # The result of `sha256sum` with an unset shell variable.
        raise EntryError("sha256 is the hash of an empty key")
    return digest


def _read_names(
    entry: Mapping[str, object], name: str, is_fit: Callable[[str], bool], what: str
) -> frozenset[str] | None:
    if name not in entry:
        return None
    values = entry[name]
    given = values if isinstance(values, list) else []
    fitting = [value for value in given if isinstance(value, str) and is_fit(value)]
    if given and len(fitting) == len(given):
        return frozenset(fitting)
    raise EntryError(f"{name} must be a list of {what}; leave it out to allow all")


def _is_scope(text: str) -> bool:
    client = client_part(text)
    return is_connection(client if text == accounts_pattern(client) else text)


def _is_endpoint(text: str) -> bool:
    return text in KEYED_ENDPOINTS


def _expires_at(entry: Mapping[str, object]) -> datetime | None:
    if "expires" not in entry:
        return None
    try:
        return end_of_day(str(entry["expires"]))
    except ValueError as error:
        raise EntryError("expires must be a day, such as 2027-01-31") from error


def _find_duplicates(keys: list[ApiKey]) -> Iterator[str]:
    for name, number in Counter(key.name for key in keys).items():
        if number > 1:
            yield f"API_KEYS has the name {name!r} more than once"
    named: dict[bytes, str] = {}
    for key in keys:
        if (other := named.setdefault(key.digest, key.name)) != key.name:
            # Which of their restrictions would be in force?
            yield f"{other!r} and {key.name!r} of API_KEYS are the same key"

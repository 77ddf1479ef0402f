"""The store in the environment."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple, TypeAlias

from functions.settings.environment import EnvReader

_UPSTASH_NAMES = (
    ("KV_REST_API_URL", "KV_REST_API_TOKEN"),
    ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"),
)
_POSTGRES_NAMES = ("DATABASE_URL", "POSTGRES_URL")
# One of these selects a store.
STORE_VARIABLES = frozenset({"DYNAMODB_TABLE", "REDIS_URL", "SQLITE_PATH", *_POSTGRES_NAMES}).union(
    *_UPSTASH_NAMES
)
# Patterns are compiled where they are used: most deployments use none.
_URI = r"(?i:[a-z][a-z0-9+.\-]*://|file:)"
_NOT_A_FILE = "must be the path of a file, not of a folder or a device"
_SYSTEM_FOLDERS = (("dev",), ("proc",), ("sys",))
# Files work there until a restart; `doctor` warns of it.
_SHARED_MEMORY = ("/", "dev", "shm")
_DYNAMODB_TABLE = r"[A-Za-z0-9_.\-]{3,255}"


class SqliteSettings(NamedTuple):
    """A SQLite file."""

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstashSettings:
    """An Upstash database."""

    url: str
    token: str = field(repr=False)


class DynamoDbSettings(NamedTuple):
    """A DynamoDB table; AWS's SDK reads its own variables for the rest.

    `region` is AWS_REGION, which this SDK does not read by itself.
    """

    # A tuple, as above.

    table: str
    region: str | None


class RedisSettings:
    """A Redis or Valkey by TCP. No dataclass: every cold start would pay for it."""

    __match_args__ = ("url",)
    __slots__ = ("url",)

    def __init__(self, url: str) -> None:
        """`url` may contain a password."""
        self.url = url

    @property
    def place(self) -> str:
        """The host, port and database, without user and password."""
        return _place_in(self.url)


class PostgresSettings(NamedTuple):
    """A Postgres database: its URL, which has the password, and the variable that has it."""

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    url: str
    variable: str

    @property
    def place(self) -> str:
        """The hosts, ports and database, without user and password."""
        return _place_in(self.url)

    def __repr__(self) -> str:
        """Write it without the URL."""
        return f"PostgresSettings(variable={self.variable!r})"


StoreSettings: TypeAlias = (
    DynamoDbSettings | PostgresSettings | RedisSettings | SqliteSettings | UpstashSettings
)


def read_store(env: EnvReader) -> StoreSettings:
    """Read the one store that is set; both pairs of Upstash names may be set alike."""
    # Persian and Indic folder names contain these.
    path = env.optional("SQLITE_PATH", invisible="\u200c\u200d")
    if path and (fault := _fault_of(path)):
        env.faults.append(f"SQLITE_PATH {fault}")
    databases = {
        (url_name, token_name): UpstashSettings(
            url=env.url(url_name) or "",
            token=env.optional(token_name, fits_a_header=True) or "",
        )
        for url_name, token_name in _UPSTASH_NAMES
        if env.optional(url_name) or env.optional(token_name)
    }
    for (url_name, token_name), database in databases.items():
        if not (database.url and database.token):
            env.faults.append(f"{url_name} and {token_name} must both be set")
    stores: set[StoreSettings] = set(databases.values())
    names = [url for url, _ in databases]
    if path:
        stores.add(SqliteSettings(Path(path)))
        names.append("SQLITE_PATH")
    if table := _dynamodb_table(env):
        stores.add(table)
        names.append("DYNAMODB_TABLE")
    if redis := _redis(env, databases.values()):
        stores.add(redis)
        names.append("REDIS_URL")
    if urls := _postgres_urls(env, has_other=bool(stores)):
        variable, url = next(iter(urls.items()))
        stores.add(PostgresSettings(url=url, variable=variable))
        names += urls
    if len(stores) > 1:
        env.faults.append(f"several stores are set, and only one is allowed: {', '.join(names)}")
    if not stores:
        env.faults.append(
            "no store is set: SQLITE_PATH, or KV_REST_API_URL and KV_REST_API_TOKEN, or "
            "UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or REDIS_URL, or DYNAMODB_TABLE, "
            "or DATABASE_URL (POSTGRES_URL)"
        )
        return SqliteSettings(Path())
    return stores.pop()


def _fault_of(text: str) -> str | None:
    """Return why a path cannot be the store's file; None if it can."""
    if ":memory:" in text.lower() or re.match(_URI, text):
        # SQLite would open a database in memory, which ends with the process.
        return "must be the path of a file, not a URI or :memory:"
    path = Path(text)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if not path.parent.is_dir():
            return "is in a folder that does not exist"
        return _NOT_A_FILE if _is_in_system_folder(path) else None
    except OSError as error:
        # `strerror` alone, because the error's text has the path.
        return f"cannot be used: {error.strerror}"
    except ValueError:
        # A NUL, which is a fault already.
        return None
    return None if S_ISREG(found.st_mode) and not _is_in_system_folder(path) else _NOT_A_FILE


def _is_in_system_folder(path: Path) -> bool:
    """Whether the path is below /dev, /proc or /sys, except for shared memory."""
    parts = path.resolve().parts
    return parts[1:2] in _SYSTEM_FOLDERS and parts[:3] != _SHARED_MEMORY


def _dynamodb_table(env: EnvReader) -> DynamoDbSettings | None:
    table = env.optional("DYNAMODB_TABLE")
    if table is None:
        return None
    if not re.fullmatch(_DYNAMODB_TABLE, table):
        env.faults.append("DYNAMODB_TABLE must be a table name")
    return DynamoDbSettings(table=table, region=env.optional("AWS_REGION"))


def _redis(env: EnvReader, databases: Iterable[UpstashSettings]) -> RedisSettings | None:
    """Return the Redis by TCP; None without one, or if it is the database of a REST URL.

    Vercel's Upstash integration sets REDIS_URL next to KV_REST_API_URL.
    """
    faults = len(env.faults)
    url = env.optional("REDIS_URL", fits_a_header=True)
    if url is None:
        return None
    from functions.settings.redis_url import redis_url_fault

    settings = RedisSettings(url)
    if len(env.faults) == faults and (fault := redis_url_fault(url)):
        env.add_fault(f"REDIS_URL {fault}")
    host = _host(settings.place)
    return None if any(_host(each.url) == host for each in databases) else settings


def _postgres_urls(env: EnvReader, *, has_other: bool) -> dict[str, str]:
    given = {name: url for name in _POSTGRES_NAMES if (url := env.optional(name))}
    if not given:
        return {}
    from functions.settings.postgres_url import read_postgres

    return read_postgres(env, given, has_other=has_other)


def _place_in(url: str) -> str:
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2]


def _host(url: str) -> str:
    return url.rpartition("://")[2].partition("/")[0].partition(":")[0].lower()

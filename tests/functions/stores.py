"""The store of a deployment under test: its variables, and its content."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias
from unittest.mock import patch

from adapters.postgres_schema import CONNECTIONS, COUNTS, LOGINS
from functions.alerts.deployment import DEPLOYMENT
from functions.refresh.sweep_walk import SWEEP
from tests.ports.store_contract import postgres
from tests.system.aws_peer import variables_for
from tests.system.dynamodb_peer import DynamoDbPeer, dynamodb_server
from tests.system.loopback import http
from tests.system.redis_peer import redis_execute, redis_server
from tests.system.upstash_front import upstash_front

Row: TypeAlias = tuple[object, ...]

# Every variable that names a store, for environments without any.
NO_STORE: Mapping[str, None] = dict.fromkeys(
    [
        "SQLITE_PATH",
        "KV_REST_API_URL",
        "KV_REST_API_TOKEN",
        "UPSTASH_REDIS_REST_URL",
        "UPSTASH_REDIS_REST_TOKEN",
        "REDIS_URL",
        "DYNAMODB_TABLE",
        "DATABASE_URL",
        "POSTGRES_URL",
    ]
)

_ALL = """
local rows = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    if kind == 'string' then
        table.insert(rows, {key, {redis.call('GET', key)}})
    else
        local read = kind == 'zset' and {'ZRANGE', key, 0, -1, 'WITHSCORES'} or {'HGETALL', key}
        table.insert(rows, {key, redis.call(unpack(read))})
    end
end
return rows
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePeer:
    """A store, and the variables that name it."""

    environ: Mapping[str, str]
    clear: Callable[[], None]


StartStore: TypeAlias = Callable[[], AbstractContextManager[StorePeer]]


@contextmanager
def sqlite_store() -> Iterator[StorePeer]:
    """Provide a file that is not there yet."""
    with TemporaryDirectory() as folder:

        def clear() -> None:
            for path in Path(folder).iterdir():
                path.unlink()

        environ = {"SQLITE_PATH": str(Path(folder) / "grants.sqlite")}
        yield StorePeer(environ=environ, clear=clear)


@contextmanager
def upstash_store() -> Iterator[StorePeer]:
    """Run an Upstash of our own in front of a real Redis."""
    with redis_server() as redis, upstash_front(redis) as front:
        environ = front.environ

        def clear() -> None:
            execute(environ, "FLUSHALL")

        yield StorePeer(environ=environ, clear=clear)


@contextmanager
def redis_store() -> Iterator[StorePeer]:
    """Run a real Redis, which is reached by TCP."""
    with redis_server() as redis:

        def clear() -> None:
            redis.execute("FLUSHALL")

        yield StorePeer(environ=redis.environ, clear=clear)


@contextmanager
def postgres_store() -> Iterator[StorePeer]:
    """Create a database with the store's tables, in the Postgres of this process."""
    server = postgres()
    url = server.new_database()

    def clear() -> None:
        server.execute(f"TRUNCATE {CONNECTIONS}, {LOGINS}, {COUNTS}", url=url)

    yield StorePeer(environ={"DATABASE_URL": url}, clear=clear)


class DynamoDbStores:
    """Tables of one DynamoDB, which runs while there is one at least.

    AWS's client looks into this process's own environment, so there can be only one.
    """

    def __init__(self) -> None:
        self._tables = 0
        self._server = ExitStack()
        self._peer: DynamoDbPeer | None = None

    @contextmanager
    def __call__(self) -> Iterator[StorePeer]:
        """Provide a table."""
        if self._peer is None:
            self._peer = self._server.enter_context(dynamodb_server())
            variables = variables_for("DYNAMODB", self._peer.access)
            self._server.enter_context(patch.dict(os.environ, variables))
        self._tables += 1
        peer, table = self._peer, self._peer.new_table()
        environ = peer.environ(table)

        def clear() -> None:
            for item in _dynamodb_items(environ):
                peer.client.delete_item(TableName=table, Key={"id": item["id"]})

        try:
            yield StorePeer(environ=environ, clear=clear)
        finally:
            self._tables -= 1
            if not self._tables:
                self._peer = None
                self._server.close()


dynamodb_store = DynamoDbStores()


def rows_of(environ: Mapping[str, str]) -> list[Row]:
    """Read everything in the store, in its own form.

    Counts of failures, the deployment's own records and the mark of a listing are left out.
    """
    others = ("count#", ":count:", COUNTS, DEPLOYMENT, SWEEP, "-complete")
    return [row for row in _all_rows(environ) if not any(mark in str(row) for mark in others)]


def _all_rows(environ: Mapping[str, str]) -> list[Row]:
    if "SQLITE_PATH" in environ:
        return _sqlite_rows(environ["SQLITE_PATH"])
    if "DYNAMODB_TABLE" in environ:
        items = _dynamodb_items(environ)
        return sorted(tuple(sorted((k, str(v)) for k, v in item.items())) for item in items)
    if (url := environ.get("DATABASE_URL")) is not None:
        return [(t, *row) for t in (CONNECTIONS, LOGINS, COUNTS) for row in _postgres_rows(url, t)]
    found = execute(environ, "EVAL", _ALL, 0)
    assert isinstance(found, list)
    return sorted((key, tuple(content)) for key, content in found)


def raw_content(environ: Mapping[str, str]) -> str:
    """Read everything in the store, and what it has not removed yet."""
    if "SQLITE_PATH" not in environ:
        return str(_all_rows(environ))
    path = Path(environ["SQLITE_PATH"])
    files = path.parent.glob(f"{path.name}*")
    return b"".join(file.read_bytes() for file in files).decode("latin-1")


def _postgres_rows(url: str, table: str) -> list[Row]:
    return sorted(postgres().execute(f"SELECT * FROM {table}", url=url))  # noqa: S608 - a constant


@cache
def _peer_at(url: str) -> DynamoDbPeer:
    return DynamoDbPeer.at(url)


def _dynamodb_items(environ: Mapping[str, str]) -> list[Mapping[str, Mapping[str, str]]]:
    peer = _peer_at(environ["AWS_ENDPOINT_URL_DYNAMODB"])
    answer = peer.client.scan(TableName=environ["DYNAMODB_TABLE"], ConsistentRead=True)
    assert "LastEvaluatedKey" not in answer, "more than a page"
    items: list[Mapping[str, Mapping[str, str]]] = answer["Items"]
    return items


def _sqlite_rows(path: str) -> list[Row]:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        exist = database.execute("SELECT name FROM sqlite_master WHERE name = 'grants'")
        if exist.fetchone() is None:
            return []
        grants = database.execute("SELECT * FROM grants ORDER BY connection").fetchall()
        return grants + database.execute("SELECT * FROM logins ORDER BY key").fetchall()
    finally:
        database.close()


def execute(environ: Mapping[str, str], *command: str | int) -> object:
    """Let a Redis do something, also one behind an Upstash of our own."""
    if (url := environ.get("REDIS_URL")) is not None:
        return redis_execute(url, *command)
    answer = http.post(
        environ["KV_REST_API_URL"],
        json=command,
        headers={"authorization": f"Bearer {environ['KV_REST_API_TOKEN']}"},
    )
    return answer.raise_for_status().json()["result"]

"""The store in Postgres as it is, over a real server that runs its statements."""

import atexit
from collections.abc import Sequence
from functools import cache, partial
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import TupleRow

from adapters.postgres_address import PostgresAddress
from adapters.postgres_pool import LIMIT, PostgresPool, Rows, Statement
from adapters.postgres_schema import CONNECTIONS
from adapters.store_postgres import PostgresStore
from ports.store import Record
from tests.ports.store_contract import postgres
from tests.simulation.served_store import ServedStore
from tests.simulation.watching import Keys, watched_load, watched_swap

if TYPE_CHECKING:
    from tests.simulation.world import World

# ruff: noqa: S608 - the name of the table is a constant

_FIND = f"SELECT etag, sealed FROM {CONNECTIONS} WHERE connection = %s"
_PUT = f"UPDATE {CONNECTIONS} SET etag = %s, sealed = %s WHERE connection = %s"


class ServedPostgres(ServedStore):
    """A Postgres, whose client repeats a call once on another connection."""

    limit = LIMIT
    tries = 2

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._store = WatchedPostgres(world, _Pool(self), Keys(world, self._opens))

    @property
    def port(self) -> "WatchedPostgres":
        """The store of the instances."""
        return self._store

    def _clear(self) -> None:
        _run((f"DELETE FROM {CONNECTIONS}", ()))

    def _find(self, connection: str) -> tuple[str, str] | None:
        [rows] = _run((_FIND, [connection]))
        return rows[0] if rows else None

    def _put(self, connection: str, etag: str, sealed: str) -> None:
        _run((_PUT, [etag, sealed, connection]))

    def _remove(self, connection: str) -> None:
        _run((f"DELETE FROM {CONNECTIONS} WHERE connection = %s", [connection]))


class _Pool(PostgresPool):
    """The pool, without sockets: calls travel through the simulated network."""

    def __init__(self, server: ServedPostgres) -> None:
        super().__init__(PostgresAddress(variable="DATABASE_URL", parameters={}))
        self._server = server

    async def run(self, *statements: Statement) -> list[Rows]:
        """Run the statements. Raises StoreUnavailableError."""
        connection, work = _connection_of(statements), partial(_run, *statements)
        if connection is None or len(statements) == 1:
            return await self._server.send(connection, work)
        return await self._server.send_write(connection, work)


class WatchedPostgres(PostgresStore):
    """The adapter, which records the answers to its callers."""

    def __init__(self, world: "World", pool: PostgresPool, keys: Keys) -> None:
        super().__init__(pool, keys)
        self._world = world

    async def load(self, connection: str) -> Record:
        """Return the latest record, and note for how long it is waited for."""
        with watched_load(self._world, connection):
            return await super().load(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record if its etag is the expected one; note that it cannot be, or judge."""
        with watched_swap(self._world, connection, record):
            await super().swap(connection, record, expected_etag=expected_etag)


def _connection_of(statements: Sequence[Statement]) -> str | None:
    """Name the connection that a call is about; None where it is about many."""
    text, values = statements[-1]
    return str(values[-1]) if "WHERE connection = %s" in text else None


def _run(*statements: Statement) -> list[Rows]:
    """Run statements in one transaction and one round trip, as the pool does."""
    connection = _connection()
    with connection.pipeline():
        cursors = [connection.execute(text.encode(), values) for text, values in statements]
    return [cursor.fetchall() if cursor.description else [] for cursor in cursors]


@cache
def _connection() -> psycopg.Connection[TupleRow]:
    """Connect to a database of this process."""
    url = postgres().new_database()
    connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    # Before the server ends.
    atexit.register(connection.close)
    return connection

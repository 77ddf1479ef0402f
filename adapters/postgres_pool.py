"""The connections of a Postgres store: a pool of one event loop, with a time limit for each call.

Poolers in transaction mode (pgbouncer, Neon, Supabase) give each transaction another session of the
server. So nothing is kept in a session: no prepared statement, no setting, no lock. The statements
of a call and their limits travel together, in libpq's pipeline mode: one round trip, and one
transaction, which ends before the answer.
"""

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from os import dup
from typing import Any, TypeAlias

import psycopg
from psycopg import AsyncConnection, AsyncPipeline
from psycopg.abc import PQGen
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from adapters.postgres_address import PostgresAddress
from adapters.postgres_errors import ends_connection, may_be_repeated, store_error
from adapters.postgres_schema import SCHEMA, VERSION
from ports.store import StoreUnavailableError

LIMIT = timedelta(seconds=3)
"""How long a call may take, with waiting for a connection."""
MAX_CONNECTIONS = 8
"""The most connections of a process. A statement takes milliseconds: more would only wait."""
# Pools and firewalls close idle connections, some without a word to this side.
_PROBE_AFTER = 30.0
_PROBE_LIMIT = 1.0

Statement: TypeAlias = tuple[str, Sequence[object]]
Rows: TypeAlias = list[TupleRow]

# In the transaction only: the server gives up when its client does. A wait for a lock ends earlier,
# so that its error is known here.
_LIMITS = """
SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)
"""
# A division by zero ends the pipeline before its other statements run.
_CHECK_VERSION = f"SELECT 1 / (version <= %s)::int FROM {SCHEMA}"  # noqa: S608 - a constant


class _Pipeline(AsyncPipeline):
    """A pipeline whose last message is Sync, which ends its transaction.

    psycopg's own may send a Flush after it, which nothing answers. When pgbouncer has given the
    server's session to others by then, it takes another one for the Flush, and keeps it for this
    client until its next call. A few idle clients then hold all sessions.
    """

    def _exit_gen(self) -> PQGen[None]:
        try:
            self._enqueue_sync()
            yield from self._communicate_gen()
        finally:
            yield from self._fetch_gen(flush=False)


class _Connection(AsyncConnection[TupleRow]):
    """A connection that reports how connecting ended, and knows when it was last used."""

    used_at = 0.0

    @classmethod
    async def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        report: Callable[[Exception | None], None],
        **parameters: Any,  # noqa: ANN401 - as in the base class
    ) -> "_Connection":
        """Connect. Raises psycopg.Error."""
        try:
            connection = await super().connect(conninfo, **parameters)
        except psycopg.Error as error:
            report(error)
            raise
        report(None)
        connection.used_at = asyncio.get_running_loop().time()
        return connection

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[AsyncPipeline]:
        """Open a pipeline, in no other one."""
        self._pipeline = _Pipeline(self)
        try:
            async with self._pipeline as pipeline:
                yield pipeline
        finally:
            self._pipeline = None

    def is_disturbed(self) -> bool:
        """Whether the server has sent something unasked, such as its end. This asks nothing."""
        poller = select.poll()
        poller.register(self.pgconn.socket, select.POLLIN)
        return bool(poller.poll(0))

    def hang_up(self) -> None:
        """End the connection under a waiting call, which then fails at once."""
        with socket.socket(fileno=dup(self.pgconn.socket)) as copy:
            copy.shutdown(socket.SHUT_RDWR)


class PostgresPool:
    """Runs statements. It opens at its first use, in the event loop of that."""

    def __init__(self, address: PostgresAddress) -> None:
        self.address = address
        self._pool: AsyncConnectionPool[_Connection] | None = None
        self._opening = asyncio.Lock()
        self._connect_error: Exception | None = None
        self._is_version_checked = False
        self._calls = set[asyncio.Task[list[Rows]]]()

    async def run(self, *statements: Statement) -> list[Rows]:
        """Run the statements in one transaction and one round trip. Return the rows of each.

        They may run twice: after a connection has ended they are repeated on another one.

        Raises StoreUnavailableError.
        """
        # A task of its own: a caller that goes away does not interrupt a statement, for which
        # psycopg would have to open another connection.
        call = asyncio.create_task(self._run(statements))
        self._calls.add(call)
        call.add_done_callback(self._forget)
        await asyncio.wait({call})
        return call.result()

    def _forget(self, call: asyncio.Task[list[Rows]]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            # Its caller may be gone.
            call.exception()

    async def close(self) -> None:
        """Close all connections."""
        if self._calls:
            await asyncio.wait(self._calls)
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _run(self, statements: Sequence[Statement]) -> list[Rows]:
        deadline = asyncio.get_running_loop().time() + LIMIT.total_seconds()
        try:
            try:
                return await self._attempt(statements, deadline)
            except psycopg.Error as error:
                if not may_be_repeated(error):
                    raise
            return await self._attempt(statements, deadline)
        except psycopg.Error as error:
            raise store_error(error, str(self.address)) from error

    async def _attempt(self, statements: Sequence[Statement], deadline: float) -> list[Rows]:
        pool = await self._opened()
        connection = await self._get(pool, deadline)
        try:
            async with _Limit(connection, deadline):
                found = await _execute(connection, [*self._prelude(), *statements])
        except psycopg.Error as error:
            if ends_connection(error):
                await connection.close()
            raise
        else:
            connection.used_at = asyncio.get_running_loop().time()
            self._is_version_checked = True
            return found[-len(statements) :]
        finally:
            await pool.putconn(connection)

    def _prelude(self) -> list[Statement]:
        milliseconds = LIMIT // timedelta(milliseconds=1)
        limits = (_LIMITS, (str(milliseconds), str(milliseconds * 2 // 3)))
        # Once is enough: a migration keeps what running processes need.
        return [limits] if self._is_version_checked else [limits, (_CHECK_VERSION, (VERSION,))]

    async def _opened(self) -> "AsyncConnectionPool[_Connection]":
        async with self._opening:
            if self._pool is None:
                parameters = {**self.address.parameters, "report": self._report}
                pool = AsyncConnectionPool(
                    kwargs={**parameters, "autocommit": True, "prepare_threshold": None},
                    connection_class=_Connection,
                    min_size=0,
                    max_size=MAX_CONNECTIONS,
                    reconnect_timeout=LIMIT.total_seconds(),
                    open=False,
                )
                await pool.open()
                self._pool = pool
            return self._pool

    def _report(self, error: Exception | None) -> None:
        self._connect_error = error

    async def _get(self, pool: "AsyncConnectionPool[_Connection]", deadline: float) -> _Connection:
        """Return a connection that works. Raises StoreUnavailableError."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection = await pool.getconn(max(deadline - loop.time(), 0.001))
            except PoolTimeout as error:
                raise self._unavailable() from error
            if await _works(connection):
                return connection
            # The pool replaces it.
            await connection.close()
            await pool.putconn(connection)

    def _unavailable(self) -> StoreUnavailableError:
        where = str(self.address)
        if self._connect_error is not None:
            return store_error(self._connect_error, where)
        return StoreUnavailableError(
            f"{where}: no answer in {LIMIT.total_seconds():g} s, or all {MAX_CONNECTIONS} "
            "connections of this process are in use"
        )


class _Limit:
    """Ends the connection when its call takes too long; the server may have hung."""

    def __init__(self, connection: _Connection, deadline: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(deadline, self._end)
        self._connection = connection
        self._is_over = False

    def _end(self) -> None:
        self._is_over = True
        self._connection.hang_up()

    async def __aenter__(self) -> None:
        """Start."""

    async def __aexit__(self, _type: object, error: BaseException | None, _at: object) -> None:
        """Raise a clear error in place of that of the ended connection."""
        self._timer.cancel()
        if self._is_over and isinstance(error, psycopg.Error):
            await self._connection.close()
            # As if the server had cancelled the statement; it is not repeated.
            raise psycopg.errors.QueryCanceled("the server hangs") from error


async def _works(connection: _Connection) -> bool:
    """Whether a connection can be used. Only one that was idle for long is asked."""
    if connection.closed or connection.is_disturbed():
        return False
    now = asyncio.get_running_loop().time()
    if now - connection.used_at < _PROBE_AFTER:
        return True
    try:
        async with _Limit(connection, now + _PROBE_LIMIT):
            await connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


async def _execute(connection: _Connection, statements: Sequence[Statement]) -> list[Rows]:
    async with connection.pipeline():
        cursors = [await connection.execute(text.encode(), values) for text, values in statements]
    return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]

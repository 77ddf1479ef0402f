"""A store in one SQLite file, shared by any number of processes on one machine."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TypeVar

from adapters.sealed_records import SealedRecords
from domain.authorization import PendingLogin
from domain.grant import Unauthorized, due_at
from ports.store import LONGEST_WINDOW, ConflictError, Record, StoreUnavailableError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
    connection TEXT PRIMARY KEY, etag TEXT NOT NULL, sealed TEXT NOT NULL, due_at REAL
);
CREATE INDEX IF NOT EXISTS grants_due ON grants (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS logins (
    key TEXT PRIMARY KEY, sealed TEXT NOT NULL, expires_at REAL NOT NULL, taker TEXT
);
CREATE TABLE IF NOT EXISTS counts (
    key TEXT, window_ends REAL, number INTEGER NOT NULL, PRIMARY KEY (key, window_ends)
);
"""
# A writer holds the file for milliseconds; whoever waits this long waits for a dead disk.
_BUSY_TIMEOUT = timedelta(seconds=5)
_BUSY_PAUSE = timedelta(milliseconds=10)
# So many names are read at a time: an open read would keep the write-ahead log from being emptied.
_NAMES_A_PAGE = 1000

_Result = TypeVar("_Result")
_creation = Lock()


class SqliteStore:
    """Keep sealed records in a file that only its owner can read.

    Who only reads has a thread and a connection of its own: beside a write-ahead log SQLite lets
    readers in at once, while those who write wait for each other and for other processes.
    """

    def __init__(self, path: Path, records: SealedRecords) -> None:
        self._records = records
        self._reader = _DatabaseThread(path)
        self._writer = _DatabaseThread(path)

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        row = await self._reader.run(lambda database: _row(database, connection))
        return self._record(connection, row)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Put a record in the place of the one with the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        sealed = self._records.seal_record(connection, record)
        due = due_at(record.grant)
        values = (connection, record.etag, sealed, None if due is None else due.timestamp())

        def write(database: sqlite3.Connection) -> tuple[bool, tuple[str, str] | None]:
            with _write_transaction(database):
                found = _row(database, connection)
                is_expected = (found[0] if found else None) == expected_etag
                if is_expected:
                    database.execute("REPLACE INTO grants VALUES (?, ?, ?, ?)", values)
                return is_expected or (found is not None and found[0] == record.etag), found

        is_done, found = await self._writer.run(write)
        if not is_done:
            raise ConflictError(self._record(connection, found))

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due, longest overdue first.

        Raises StoreUnavailableError.
        """
        query = "SELECT connection FROM grants WHERE due_at <= ? ORDER BY due_at LIMIT ?"
        return await self._names(query, before.timestamp(), limit)

    async def due_later(self, after: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due later than that, the next ones first.

        Raises StoreUnavailableError.
        """
        query = "SELECT connection FROM grants WHERE due_at > ? ORDER BY due_at LIMIT ?"
        return await self._names(query, after.timestamp(), limit)

    async def connections(self) -> AsyncIterator[str]:
        """Name each connection that has a record. Raises StoreUnavailableError."""
        query = "SELECT connection FROM grants WHERE connection > ? ORDER BY connection LIMIT ?"
        first = "SELECT connection FROM grants ORDER BY connection LIMIT ?"
        names = await self._names(first, _NAMES_A_PAGE)
        while names:
            for name in names:
                yield name
            names = await self._names(query, names[-1], _NAMES_A_PAGE)

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Keep a login that has begun. Raises StoreUnavailableError."""
        values = (key, self._records.seal_login(key, pending), pending.expires_at.timestamp())

        def write(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO logins (key, sealed, expires_at) VALUES (?, ?, ?)", values
            )

        await self._writer.run(write)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker. Raises StoreUnavailableError."""

        def write(database: sqlite3.Connection) -> str | None:
            with _write_transaction(database):
                database.execute("DELETE FROM logins WHERE expires_at <= ?", (now.timestamp(),))
                database.execute(
                    "UPDATE logins SET taker = ? WHERE key = ? AND taker IS NULL", (taker, key)
                )
                row = database.execute(
                    "SELECT sealed FROM logins WHERE key = ? AND taker = ?", (key, taker)
                ).fetchone()
                return None if row is None else str(row[0])

        sealed = await self._writer.run(write)
        return None if sealed is None else self._records.open_login(key, sealed, now=now)

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Count one more, and return how many there are by now. Raises StoreUnavailableError."""
        window = (key, window_ends.timestamp())
        # No other clock, nor another window that goes on, is as far behind as that.
        forgotten = (window_ends - LONGEST_WINDOW).timestamp()

        def write(database: sqlite3.Connection) -> int:
            with _write_transaction(database):
                database.execute("DELETE FROM counts WHERE window_ends <= ?", (forgotten,))
                database.execute(
                    "INSERT INTO counts VALUES (?, ?, 1) "
                    "ON CONFLICT DO UPDATE SET number = number + 1",
                    window,
                )
                row = database.execute(
                    "SELECT number FROM counts WHERE key = ? AND window_ends = ?", window
                ).fetchone()
                return int(row[0])

        return await self._writer.run(write)

    async def close(self) -> None:
        """Let go of the file. Raises StoreUnavailableError."""
        try:
            await self._reader.close()
        finally:
            await self._writer.close()

    async def _names(self, query: str, *values: str | float) -> list[str]:
        found = await self._reader.run(lambda database: database.execute(query, values).fetchall())
        return [name for (name,) in found]

    def _record(self, connection: str, row: tuple[str, str] | None) -> Record:
        if row is None:
            return Record(grant=Unauthorized(), etag=None, ledger=())
        return self._records.open_record(connection, *row)


class _DatabaseThread:
    """A thread that SQLite may block, and its connection, which opens at the first call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")
        self._connection: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let the thread do it, after all that it was given before.

        Raises StoreUnavailableError.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: work(self._database()))
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"SQLite at {self._path}: {error}") from error

    async def close(self) -> None:
        """Let go of the file, and end the thread. Raises StoreUnavailableError."""
        if self._connection is not None:
            await self.run(sqlite3.Connection.close)
            self._connection = None
        self._thread.shutdown()

    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _open(self._path)
        return self._connection


def _open(path: Path) -> sqlite3.Connection:
    # Created here, because SQLite would make it readable by everybody the umask lets in; its
    # -wal and -shm files inherit the mode. Only created, and by one thread at a time: to close a
    # file that this process has open elsewhere would drop its locks.
    with _creation, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    _prepare(database)
    database.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT // timedelta(milliseconds=1)}")
    # A swap that was answered survives a power cut: it may hold the only living refresh token.
    database.execute("PRAGMA synchronous = FULL")
    return database


def _prepare(database: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side, and let there be the tables.

    With a limit for the whole of it, and no busy timeout yet: whether the switch heeds that
    depends on who has locked what.
    """
    limit = time.monotonic() + _BUSY_TIMEOUT.total_seconds()
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            # https://sqlite.org/rescode.html: the low byte; the others say what it is busy with.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > limit:
                raise
            time.sleep(_BUSY_PAUSE.total_seconds())
        else:
            return


@contextmanager
def _write_transaction(database: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE: a transaction that reads first and then wants to write fails at once where
    # somebody else has written in between, whatever the busy timeout.
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            database.execute("ROLLBACK")


def _row(database: sqlite3.Connection, connection: str) -> tuple[str, str] | None:
    row: tuple[str, str] | None = database.execute(
        "SELECT etag, sealed FROM grants WHERE connection = ?", (connection,)
    ).fetchone()
    return row

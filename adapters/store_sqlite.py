"""A store in one SQLite file, shared by any number of processes on one machine."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from adapters.sealed_records import SealedRecords
from adapters.sqlite_file import BUSY_TIMEOUT, SqliteFile, as_bytes, is_text
from adapters.sqlite_writer import SqliteWriter
from domain.authorization import PendingLogin
from domain.grant import Unauthorized, due_at
from ports.store import LONGEST_WINDOW, NO_ETAG, ConflictError, Record, StoreUnavailableError

# So many names are read at a time: an open read would keep the write-ahead log from being emptied.
_NAMES_A_PAGE = 1000

_Result = TypeVar("_Result")
# An etag and what is sealed to it, both of which others may have made of any type.
_Row: TypeAlias = tuple[object, object]

_log = logging.getLogger(__name__)


class SqliteStore:
    """Keep sealed records in a file that only its owner can read.

    Who only reads has a thread and a connection of its own: beside a write-ahead log SQLite lets
    readers in at once, while those who write wait for the disk and for other processes.
    """

    def __init__(self, path: Path, records: SealedRecords) -> None:
        self._records = records
        self._reader = _DatabaseThread(path)
        self._writer = _WriterThread(path)
        self._reader.beside, self._writer.beside = self._writer, self._reader
        # Counts of windows that ended before have been removed.
        self._forgotten = float("-inf")

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

        def write(database: sqlite3.Connection) -> tuple[bool, _Row | None]:
            found = _row(database, connection)
            there = _etag_of(found)
            if there == expected_etag:
                database.execute("REPLACE INTO grants VALUES (?, ?, ?, ?)", values)
            return there in {expected_etag, record.etag}, found

        is_done, found = await self._writer.write(write)
        if not is_done:
            raise ConflictError(self._record(connection, found))

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due, longest overdue first.

        Raises StoreUnavailableError.
        """
        query = (
            "SELECT connection FROM grants WHERE due_at <= ? AND typeof(connection) = 'text' "
            "ORDER BY due_at LIMIT ?"
        )
        return await self._names(query, before.timestamp(), limit)

    async def due_later(self, after: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due later than that, the next ones first.

        Raises StoreUnavailableError.
        """
        query = "SELECT connection FROM grants WHERE due_at > ? ORDER BY due_at LIMIT ?"
        return await self._names(query, after.timestamp(), limit)

    async def connections(self) -> AsyncIterator[str]:
        """Name each connection that has a record. Raises StoreUnavailableError."""
        query = (
            "SELECT connection FROM grants WHERE connection {} CAST(? AS TEXT) "
            "AND typeof(connection) = 'text' ORDER BY connection LIMIT ?"
        )
        names = await self._names(query.format(">="), b"", _NAMES_A_PAGE)
        while names:
            for name in names:
                if is_text(name):
                    yield name
                else:
                    _log.error("a record of no connection is passed over: %a", name)
            # As bytes, which any name can be given back as.
            names = await self._names(query.format(">"), as_bytes(names[-1]), _NAMES_A_PAGE)

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Keep a login that has begun. Raises StoreUnavailableError."""
        values = (key, self._records.seal_login(key, pending), pending.expires_at.timestamp())

        def write(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO logins (key, sealed, expires_at) VALUES (?, ?, ?)", values
            )

        await self._writer.write(write)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker. Raises StoreUnavailableError."""

        def write(database: sqlite3.Connection) -> object:
            database.execute("DELETE FROM logins WHERE expires_at <= ?", (now.timestamp(),))
            database.execute(
                "UPDATE logins SET taker = ? WHERE key = ? AND taker IS NULL", (taker, key)
            )
            row = database.execute(
                "SELECT sealed FROM logins WHERE key = ? AND taker = ?", (key, taker)
            ).fetchone()
            return None if row is None else row[0]

        return self._records.open_login(key, await self._writer.write(write), now=now)

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Count one more, and return how many there are by now. Raises StoreUnavailableError."""
        window = (key, window_ends.timestamp())
        # No other clock, nor another window that goes on, is as far behind as that.
        forgotten = (window_ends - LONGEST_WINDOW).timestamp()

        def write(database: sqlite3.Connection) -> int:
            # Once a window, as it looks at all that is counted.
            if forgotten > self._forgotten:
                database.execute("DELETE FROM counts WHERE window_ends <= ?", (forgotten,))
                self._forgotten = forgotten
            database.execute(
                "INSERT INTO counts VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET number = number + 1",
                window,
            )
            row = database.execute(
                "SELECT CAST(number AS INTEGER) FROM counts WHERE key = ? AND window_ends = ?",
                window,
            ).fetchone()
            return int(row[0])

        return await self._writer.write(write, is_count=True)

    async def forget_expired(self, now: datetime) -> None:
        """Remove the logins and counts that are over. Raises StoreUnavailableError."""
        expired, over = now.timestamp(), (now - LONGEST_WINDOW).timestamp()
        # What is no number compares as greater than all of them.
        too_far = (now + 2 * LONGEST_WINDOW).timestamp()

        def write(database: sqlite3.Connection) -> None:
            logins = "DELETE FROM logins WHERE expires_at <= ? OR expires_at > ?"
            database.execute(logins, (expired, too_far))
            counts = "DELETE FROM counts WHERE window_ends <= ? OR window_ends > ?"
            database.execute(counts, (over, too_far))

        await self._writer.write(write, is_count=True)

    async def close(self) -> None:
        """Let go of the file."""
        await self._reader.close()
        await self._writer.close()

    async def _names(self, query: str, *values: bytes | float) -> list[str]:
        found = await self._reader.run(lambda database: database.execute(query, values).fetchall())
        return [name for (name,) in found]

    def _record(self, connection: str, row: _Row | None) -> Record:
        if row is None:
            return Record(grant=Unauthorized(), etag=None, ledger=())
        return self._records.open_stored(connection, *row)


class _DatabaseThread:
    """A thread that SQLite may block, and its connection, which opens at the first call."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)
        # The other thread of the same store.
        self.beside: _DatabaseThread | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let the thread do it, after all that it was given before.

        Raises StoreUnavailableError.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._do, work)

    async def close(self) -> None:
        """Let go of the file, and end the thread."""
        if self._file.is_open:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    def look_again(self) -> None:
        """Have it seen whether what the thread has open is still what is there.

        SQLite shares a log's index between a process's connections: one that is idle would keep a
        removed one in use for those that are opened anew.
        """
        with suppress(RuntimeError):
            self._thread.submit(self._look)

    def _have_other_look(self) -> None:
        if self.beside is not None:
            self.beside.look_again()

    def _look(self) -> None:
        if self._file.is_open:
            with suppress(sqlite3.Error, OSError):
                self._file.current()

    def _do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return work(self._file.current())
        except (sqlite3.Error, OSError) as error:
            self._have_other_look()
            raise self._file.failed(error) from error


class _WriterThread(_DatabaseThread):
    """One that commits together what waits to be written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writes = SqliteWriter(self._thread, self._file, busy_limit=BUSY_TIMEOUT)

    async def write(
        self, work: Callable[[sqlite3.Connection], _Result], *, is_count: bool = False
    ) -> _Result:
        """Let the thread do it in a transaction, after what matters more.

        Raises StoreUnavailableError.
        """
        try:
            return await asyncio.wrap_future(self._writes.write(work, is_count=is_count))
        except StoreUnavailableError:
            self._have_other_look()
            raise


def _row(database: sqlite3.Connection, connection: str) -> _Row | None:
    row: _Row | None = database.execute(
        "SELECT etag, sealed FROM grants WHERE connection = ?", (connection,)
    ).fetchone()
    return row


def _etag_of(row: _Row | None) -> str | None:
    if row is None:
        return None
    return row[0] if isinstance(row[0], str) else NO_ETAG

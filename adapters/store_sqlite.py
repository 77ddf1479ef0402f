"""The store in one SQLite file, which all processes of one machine can share."""

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TypeAlias, TypeVar

from adapters.listing import names_after
from adapters.sealed_records import SealedRecords
from adapters.sqlite_database import BUSY_TIMEOUT, as_bytes, is_text
from adapters.sqlite_file import SqliteFile
from adapters.sqlite_writer import SqliteWriter
from domain.authorization import PendingLogin
from domain.connection import is_connection
from domain.grant import Unauthorized
from ports.store import (
    LARGEST_PAGE,
    LONGEST_WINDOW,
    NO_ETAG,
    ConflictError,
    Due,
    Record,
    RecordPage,
    StoreUnavailableError,
)

# Names are read in pages: a long read would prevent a checkpoint of the write-ahead log.
_PAGE_SIZE = 1000
# Names of ASCII letters only, so that foreign rows fill no page.
_LIST = """
SELECT connection, etag, sealed FROM grants
WHERE connection >= ? AND connection < ? AND typeof(connection) = 'text'
AND connection GLOB '[A-Za-z0-9]*' AND connection NOT GLOB '*[^-A-Za-z0-9._@:]*'
ORDER BY connection LIMIT ?
"""
# Without `|| ''` the name would have an affinity, and then the index helps with the date only.
_DUE = """
SELECT due_at, connection FROM grants
WHERE due_at IS NOT NULL AND (due_at, connection) > (?, CAST(? AS TEXT) || '') AND due_at <= ?
AND typeof(connection) = 'text'
ORDER BY due_at, connection LIMIT ?
"""
_LOAD = "SELECT connection, etag, sealed FROM grants WHERE connection IN ({}) ORDER BY connection"

_Result = TypeVar("_Result")
# An etag and its sealed text. Other programs may have stored either with another type.
_Row: TypeAlias = tuple[object, object]
_ListedRow: TypeAlias = tuple[str, object, object]

_log = logging.getLogger(__name__)


class SqliteStore:
    """Stores encrypted records in a file that only its owner can read.

    Reads have their own thread and connection. With a write-ahead log they need not wait, but
    writes wait for the disk and for other processes.
    """

    def __init__(self, path: Path, records: SealedRecords) -> None:
        self._records = records
        self._reader = _DatabaseThread(path)
        self._writer = _WriterThread(path)
        self._reader.sibling, self._writer.sibling = self._writer, self._reader
        # Counts of windows that ended before this time have been removed.
        self._removed_before = float("-inf")

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        row = await self._reader.run(lambda database: _row(database, connection))
        return self._record(connection, row)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        sealed = self._records.seal_record(connection, record)
        due = record.due_at
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

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections after `after` that are due until `before`.

        Raises StoreUnavailableError.
        """
        at, name = after or Due(-math.inf, "")
        # A foreign date of another type is greater than all numbers.
        end = math.inf if before is None else before.timestamp()
        # As bytes, which can hold any name.
        values = (at, as_bytes(name), end, limit)
        rows = await self._reader.run(lambda database: database.execute(_DUE, values).fetchall())
        return [Due(*row) for row in rows]

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the latest records of some connections. Raises StoreUnavailableError."""
        query = _LOAD.format(", ".join("?" * len(connections)))
        rows = await self._reader.run(
            lambda database: database.execute(query, tuple(connections)).fetchall()
        )
        return self._record_page(rows, None)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError."""
        names = names_after(after, prefix)
        # One more shows whether this is the last page.
        values = (names.first, names.end, limit + 1)
        rows = await self._reader.run(lambda database: database.execute(_LIST, values).fetchall())
        shown = rows[:limit]
        return self._record_page(shown, shown[-1][0] if len(rows) > limit else None)

    def _record_page(self, rows: Sequence[_ListedRow], last: str | None) -> RecordPage:
        return RecordPage(
            records=tuple(
                (name, self._records.open_listed(name, etag, sealed))
                for name, etag, sealed in rows
                if is_connection(name)
            ),
            next=last,
        )

    async def complete_listing(self) -> None:
        """Do nothing: the primary key is the listing."""

    async def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record. Raises StoreUnavailableError."""
        query = (
            "SELECT connection FROM grants WHERE connection {} CAST(? AS TEXT) "
            "AND typeof(connection) = 'text' ORDER BY connection LIMIT ?"
        )
        names = await self._names(query.format(">="), b"", _PAGE_SIZE)
        while names:
            for name in names:
                if is_text(name):
                    yield name
                else:
                    _log.error("skipped a record whose connection is not UTF-8: %a", name)
            # As bytes, which can hold any name.
            names = await self._names(query.format(">"), as_bytes(names[-1]), _PAGE_SIZE)

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Store a pending login. Raises StoreUnavailableError."""
        values = (key, self._records.seal_login(key, pending), pending.expires_at.timestamp())

        def write(database: sqlite3.Connection) -> None:
            database.execute(
                "INSERT INTO logins (key, sealed, expires_at) VALUES (?, ?, ?)", values
            )

        await self._writer.write(write)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker only. Raises StoreUnavailableError."""

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
        """Add one to a count and return the new count. Raises StoreUnavailableError."""
        window = (key, window_ends.timestamp())
        # All other clocks, and all open windows, are later than that.
        forgotten = (window_ends - LONGEST_WINDOW).timestamp()

        def write(database: sqlite3.Connection) -> int:
            # Once per window, because it scans all counts.
            if forgotten > self._removed_before:
                database.execute("DELETE FROM counts WHERE window_ends <= ?", (forgotten,))
                self._removed_before = forgotten
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
        """Remove expired logins and counts. Raises StoreUnavailableError."""
        expired, over = now.timestamp(), (now - LONGEST_WINDOW).timestamp()
        # SQLite orders any other type after all numbers.
        too_far = (now + 2 * LONGEST_WINDOW).timestamp()

        def write(database: sqlite3.Connection) -> None:
            logins = "DELETE FROM logins WHERE expires_at <= ? OR expires_at > ?"
            database.execute(logins, (expired, too_far))
            counts = "DELETE FROM counts WHERE window_ends <= ? OR window_ends > ?"
            database.execute(counts, (over, too_far))

        await self._writer.write(write, is_count=True)

    async def close(self) -> None:
        """Close the file."""
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
    """A thread that SQLite may block, and its connection. The first call opens it."""

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path)
        # The other thread of the same store.
        self.sibling: _DatabaseThread | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite")

    async def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in the thread, after all earlier calls.

        Raises StoreUnavailableError.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, work)

    async def close(self) -> None:
        """Close the file and stop the thread."""
        if self._file.is_open:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._file.close)
        self._thread.shutdown()

    def check_file(self) -> None:
        """Check in the thread whether its open file is still the one at the path.

        SQLite shares a log's index between a process's connections. An idle connection would keep
        a removed index in use for the new ones.
        """
        with suppress(RuntimeError):
            self._thread.submit(self._check)

    def _check_sibling(self) -> None:
        if self.sibling is not None:
            self.sibling.check_file()

    def _check(self) -> None:
        if self._file.is_open:
            with suppress(sqlite3.Error, OSError):
                self._file.current()

    def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return work(self._file.current())
        except (sqlite3.Error, OSError) as error:
            self._check_sibling()
            raise self._file.to_store_error(error) from error


class _WriterThread(_DatabaseThread):
    """A thread with group commit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writes = SqliteWriter(self._thread, self._file, busy_limit=BUSY_TIMEOUT)

    async def write(
        self, work: Callable[[sqlite3.Connection], _Result], *, is_count: bool = False
    ) -> _Result:
        """Run `work` in a transaction. Counts wait for all other writes.

        Raises StoreUnavailableError.
        """
        try:
            return await asyncio.wrap_future(self._writes.write(work, is_count=is_count))
        except StoreUnavailableError:
            self._check_sibling()
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

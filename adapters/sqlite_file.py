"""The SQLite store's file: private to its owner, and checked for replacement before each use.

SQLite continues to use an opened file after its removal, and what it writes there is lost. So each
use first compares the file, its write-ahead log and the log's index with those that were opened.
The comparison takes some microseconds.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from adapters.sqlite_database import create, open_database
from ports.store import StoreDamagedError, StoreUnavailableError

# https://sqlite.org/fileformat2.html §1.3.2: the smallest page. A database has at least one.
_SMALLEST = 512
# A lock, or a full disk: afterwards the same connection works again.
_TEMPORARY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

# Device and inode; None where there is no file.
_Inode: TypeAlias = tuple[int, int] | None

_log = logging.getLogger(__name__)


class _Parts(NamedTuple):
    """The files at a path: the database, its write-ahead log, and the log's index.

    A tuple, because each read compares one.
    """

    database: _Inode
    wal: _Inode
    shm: _Inode
    is_cut_off: bool


class SqliteFile:
    """One thread's connection to the file at a path. The first use opens it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # SQLite keeps the log and its index next to the target of a link.
        self._real = str(path)
        self._connection: sqlite3.Connection | None = None
        self._opened: _Parts | None = None
        self._damaged: _Parts | None = None
        # The connection may have failed. Any thread sets this, and the connection's own closes it.
        self._must_reopen = False

    @property
    def is_open(self) -> bool:
        """Whether a connection is open."""
        return self._connection is not None

    def current(self) -> sqlite3.Connection:
        """Return a connection to the current file at the path. Raises sqlite3.Error, OSError.

        Call it before each read, and just before each writing transaction.
        """
        if self._must_reopen:
            self.close()
        if self._connection is not None and (found := _read_parts(self._real)) != self._opened:
            self._abandon(self._connection, found)
        if self._connection is None:
            self._real = os.path.realpath(self._path)
            self._connection, self._opened = _open_current(self._real)
        return self._connection

    def to_store_error(self, error: Exception) -> StoreUnavailableError:
        """Return the store's error for a connection's error. Reopen the file if that may help."""
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else code & 0xFF
        self._must_reopen |= kind is not None and kind not in _TEMPORARY
        text = f"SQLite at {self._path}: {error}"
        if kind not in _DAMAGE:
            return StoreUnavailableError(text)
        if (found := _read_parts(self._real)) != self._damaged:
            self._damaged = found
            # Operators search logs for this word: docs/sqlite.md.
            _log.critical("store-file-damaged: %s", text)
        return StoreDamagedError(text)

    def close(self) -> None:
        """Close the file."""
        connection, self._connection, self._must_reopen = self._connection, None, False
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _abandon(self, connection: sqlite3.Connection, found: _Parts) -> None:
        """Log that the file has changed, save its write-ahead log, and close the old file."""
        opened = self._opened
        assert opened is not None  # noqa: S101 - it is set with the connection
        # Operators search logs for this word: docs/sqlite.md.
        _log.critical("store-file-changed: %s %s", self._path, _describe_change(opened, found))
        # A checkpoint moves the log into its own file, at its present place.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.close()
        if found.database != opened.database or found.is_cut_off:
            with _lock_folder(self._real):
                _remove_leftovers(self._real, opened, is_emptied=found.is_cut_off)


def _describe_change(opened: _Parts, found: _Parts) -> str:
    if found.database is None:
        return "was removed while in use; an empty file replaces it"
    if found.database != opened.database:
        return "was replaced while in use; the new file is used"
    if found.is_cut_off:
        return "was emptied while in use"
    return "lost its write-ahead log while in use"


def _remove_leftovers(path: str, opened: _Parts, *, is_emptied: bool) -> None:
    """Remove the log and index of a lost file: they would damage the file in its place.

    Files that another process has put there meanwhile stay.
    """
    found = _read_parts(path)
    if found.database == opened.database:
        if not is_emptied or _is_intact(path):
            return
        # SQLite cannot open the rest of the file. It is kept for its owner under another name.
        Path(path).rename(f"{path}.emptied-{time.time_ns()}")
    for suffix, before, now in (
        ("-wal", opened.wal, found.wal),
        ("-shm", opened.shm, found.shm),
    ):
        if now is not None and now == before:
            Path(path + suffix).unlink(missing_ok=True)


def _is_intact(path: str) -> bool:
    """Whether the write-ahead log has restored all of an emptied file."""
    with suppress(sqlite3.Error):
        database = sqlite3.connect(path, isolation_level=None)
        try:
            found = database.execute("PRAGMA quick_check(1)").fetchone()
            tables = database.execute("SELECT count(*) FROM grants").fetchone()
        finally:
            database.close()
        return found == ("ok",) and tables is not None
    return False


@contextmanager
def _lock_folder(path: str) -> Iterator[None]:
    """Hold a lock on the folder, against other processes that do the same."""
    descriptor = os.open(Path(path).parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_current(path: str) -> tuple[sqlite3.Connection, _Parts]:
    """Open the file at the path. Retry if it changed meanwhile. Raises sqlite3.Error, OSError."""
    while True:
        create(path)
        before = _read_parts(path).database
        connection = open_database(path)
        parts = _read_parts(path)
        if parts.database == before:
            return connection, parts
        connection.close()


def _read_parts(path: str) -> _Parts:
    database, size = _read_inode(path)
    return _Parts(
        database, _read_inode(f"{path}-wal")[0], _read_inode(f"{path}-shm")[0], size < _SMALLEST
    )


def _read_inode(path: str) -> tuple[_Inode, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - three times for each read, and a Path is slower
    except OSError:
        return None, 0
    return (found.st_dev, found.st_ino), found.st_size

"""The SQLite store's file: opened for its owner only, and noticed where it is another one by now.

SQLite goes on with the file that it has opened, whatever becomes of its name: one that was removed
takes what is written with it. So before each use the file, its write-ahead log and its index are
compared with what was opened, which costs some microseconds.
"""

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import NamedTuple, TypeAlias

from ports.store import StoreDamagedError, StoreUnavailableError

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
BUSY_TIMEOUT = timedelta(seconds=5)
_BUSY_PAUSE = timedelta(milliseconds=10)
# https://sqlite.org/fileformat2.html §1.3.2: no page is smaller, and a database has one.
_SMALLEST = 512
# Others hold a lock, or there is no space: the same connection works once that is over.
_PASSING = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL})
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

# Device and inode; None where there is no file.
_Inode: TypeAlias = tuple[int, int] | None

_log = logging.getLogger(__name__)
_creation = Lock()


class _Parts(NamedTuple):
    """Which files are at a path: the database, its write-ahead log, and the log's index.

    A tuple, as it is compared before each read.
    """

    database: _Inode
    wal: _Inode
    shm: _Inode
    is_cut_off: bool


class SqliteFile:
    """One thread's connection to the file at a path, opened when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # SQLite keeps the others beside the file that a link leads to.
        self._real = str(path)
        self._connection: sqlite3.Connection | None = None
        self._opened: _Parts | None = None
        self._damaged: _Parts | None = None
        # The connection may be of no use any more; any thread may say so, and its own closes it.
        self._is_doubtful = False

    @property
    def is_open(self) -> bool:
        """Whether there is something to let go of."""
        return self._connection is not None

    def current(self) -> sqlite3.Connection:
        """Return a connection to what is at the path now. Raises sqlite3.Error, OSError.

        To be asked before each read, and just before each transaction that writes.
        """
        if self._is_doubtful:
            self.close()
        if self._connection is not None and (found := _parts(self._real)) != self._opened:
            self._leave(self._connection, found)
        if self._connection is None:
            self._real = os.path.realpath(self._path)
            self._connection, self._opened = _open_what_is_there(self._real)
        return self._connection

    def failed(self, error: Exception) -> StoreUnavailableError:
        """Say what an error of the connection's means; it is opened anew where that may help."""
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else code & 0xFF
        self._is_doubtful |= kind is not None and kind not in _PASSING
        text = f"SQLite at {self._path}: {error}"
        if kind not in _DAMAGE:
            return StoreUnavailableError(text)
        if (found := _parts(self._real)) != self._damaged:
            self._damaged = found
            # To be found in logs by these words: docs/sqlite.md.
            _log.critical("store-file-damaged: %s", text)
        return StoreDamagedError(text)

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection, self._is_doubtful = self._connection, None, False
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _leave(self, connection: sqlite3.Connection, found: _Parts) -> None:
        """Say that the file is another one, save what can be, and let go of what was opened."""
        opened = self._opened
        assert opened is not None  # noqa: S101 - it is set with the connection
        # To be found in logs by these words: docs/sqlite.md.
        _log.critical("store-file-changed: %s %s", self._path, _what_happened(opened, found))
        # What is in the log only comes into the file that it belongs to, wherever that is now.
        with suppress(sqlite3.Error):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.close()
        if found.database != opened.database or found.is_cut_off:
            with _alone_beside(self._real):
                _clear_away(self._real, opened, is_emptied=found.is_cut_off)


def _what_happened(opened: _Parts, found: _Parts) -> str:
    if found.database is None:
        return "was removed while it was in use; an empty one is made in its place"
    if found.database != opened.database:
        return "was replaced while it was in use; what is there now is used"
    if found.is_cut_off:
        return "was emptied while it was in use"
    return "has lost its write-ahead log while it was in use"


def _clear_away(path: str, opened: _Parts, *, is_emptied: bool) -> None:
    """Take away what belongs to a file that is gone, and would spoil the one in its place.

    Nothing that another process has put there meanwhile.
    """
    found = _parts(path)
    if found.database == opened.database:
        if not is_emptied or _is_whole(path):
            return
        # What is left of it is nothing that SQLite opens, but is not this program's to destroy.
        Path(path).rename(f"{path}.emptied-{time.time_ns()}")
    for suffix, before, now in (
        ("-wal", opened.wal, found.wal),
        ("-shm", opened.shm, found.shm),
    ):
        if now is not None and now == before:
            Path(path + suffix).unlink(missing_ok=True)


def _is_whole(path: str) -> bool:
    """Whether the write-ahead log had all of a file that was emptied, and has brought it back."""
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
def _alone_beside(path: str) -> Iterator[None]:
    """Keep other processes from doing the same at the same time."""
    descriptor = os.open(Path(path).parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_what_is_there(path: str) -> tuple[sqlite3.Connection, _Parts]:
    """Open the file that is at the path before and after. Raises sqlite3.Error, OSError."""
    while True:
        _create(path)
        before = _parts(path).database
        connection = _open(path)
        parts = _parts(path)
        if parts.database == before:
            return connection, parts
        connection.close()


def _create(path: str) -> None:
    # Created here, because SQLite would make it readable by everybody the umask lets in; its
    # -wal and -shm files inherit the mode. Only created, and by one thread at a time: to close a
    # file that this process has open elsewhere would drop its locks.
    with _creation, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # What is no UTF-8 is no record either, and does not make a row unreadable.
        database.text_factory = _text
        _prepare(database)
        database.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT // timedelta(milliseconds=1)}")
        # A swap that was answered survives a power cut: it may hold the only living refresh token.
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return what the database has for a text that was read from it."""
    return text.encode(errors="surrogateescape")


def is_text(text: str) -> bool:
    """Whether the database has UTF-8 for a text that was read from it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _prepare(database: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side, and let there be the tables.

    With a limit for the whole of it, and no busy timeout yet: whether the switch heeds that
    depends on who has locked what.
    """
    limit = time.monotonic() + BUSY_TIMEOUT.total_seconds()
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


def _parts(path: str) -> _Parts:
    database, size = _look(path)
    return _Parts(database, _look(f"{path}-wal")[0], _look(f"{path}-shm")[0], size < _SMALLEST)


def _look(path: str) -> tuple[_Inode, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - three times for each read, and a Path takes longer
    except OSError:
        return None, 0
    return (found.st_dev, found.st_ino), found.st_size

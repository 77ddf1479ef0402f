"""Opens a SQLite database: its file, its tables, and the settings of a connection."""

import os
import sqlite3
import time
from contextlib import suppress
from datetime import timedelta
from threading import Lock

# The index of an earlier version had the dates alone. An instance of that version, which may still
# run, works without it.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (
    connection TEXT PRIMARY KEY, etag TEXT NOT NULL, sealed TEXT NOT NULL, due_at REAL
);
CREATE INDEX IF NOT EXISTS grants_due_order ON grants (due_at, connection)
    WHERE due_at IS NOT NULL;
DROP INDEX IF EXISTS grants_due;
CREATE TABLE IF NOT EXISTS logins (
    key TEXT PRIMARY KEY, sealed TEXT NOT NULL, expires_at REAL NOT NULL, taker TEXT
);
CREATE TABLE IF NOT EXISTS counts (
    key TEXT, window_ends REAL, number INTEGER NOT NULL, PRIMARY KEY (key, window_ends)
);
"""
# A writer locks the file for milliseconds: after this limit the disk does not work.
BUSY_TIMEOUT = timedelta(seconds=5)
_BUSY_PAUSE = timedelta(milliseconds=10)

_creation_lock = Lock()


def create(path: str) -> None:
    """Create an empty file that only its owner can access; a file that is there stays.

    Raises OSError.
    """
    # SQLite would create the file with the umask's permissions. Its -wal and -shm files inherit the
    # mode. Only create it: closing a file that is open elsewhere in this process drops its
    # locks. For the same reason, one thread creates at a time.
    with _creation_lock, suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def open_database(path: str) -> sqlite3.Connection:
    """Open a connection, and create the tables. Raises sqlite3.Error."""
    database = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # Text that is not UTF-8 must not make the other columns of its row unreadable.
        database.text_factory = _text
        _prepare(database)
        database.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT // timedelta(milliseconds=1)}")
        # A finished swap survives a power cut: it may hold the only valid refresh token.
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return the database's bytes of a text that was read from it."""
    return text.encode(errors="surrogateescape")


def is_text(text: str) -> bool:
    """Whether a text that was read from the database is UTF-8 there."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _prepare(database: sqlite3.Connection) -> None:
    """Switch to write-ahead logging, and create the tables.

    One time limit covers both. The busy timeout is not set yet: for some locks, the switch to
    write-ahead logging ignores it.
    """
    limit = time.monotonic() + BUSY_TIMEOUT.total_seconds()
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            # https://sqlite.org/rescode.html: the low byte is the kind of error.
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > limit:
                raise
            time.sleep(_BUSY_PAUSE.total_seconds())
        else:
            return

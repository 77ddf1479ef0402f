"""Writes to a SQLite file: those that wait are committed together, each as if it were alone.

A commit waits for the disk, which may take 40 ms, and costs that once, whatever is in it. So the
thread that writes takes all that waits by now: tokens and logins first, then some counts, which
strangers can cause. None is answered before all are on the disk. Where one fails, all are undone,
and the others begin anew without it: savepoints would spare that, and cost each write two more
statements, for each of which the thread may have to wait for Python's lock (5 ms).

Processes take turns: SQLite's own way of waiting sleeps longer and longer, up to 100 ms, and who
writes without a pause would keep all others out.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

# Some milliseconds of work: those that come meanwhile should not wait for much more than the disk.
MOST_TOGETHER = 200
COUNTS_TOGETHER = 8
# How often a writer that waits for its turn looks whether the file is free.
_LOOK = 0.001
# Who has had a turn leaves the file alone for several looks of the others.
_OTHERS_TURN = 3 * _LOOK

# Unlike `time.sleep`, it works in a process that libfaketime gives another time.
_pause = threading.Event().wait

_Result = TypeVar("_Result")


class DatabaseFile(Protocol):
    """The file that is written to, as the thread uses it."""

    def current(self) -> sqlite3.Connection:
        """Return the connection to write with, before each commit."""
        ...

    def failed(self, error: Exception) -> Exception:
        """Say what an error of the file's means to a caller."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Write(Generic[_Result]):
    work: Callable[[sqlite3.Connection], _Result]
    future: Future[_Result]

    def fail(self, error: BaseException, file: DatabaseFile) -> None:
        """Tell the caller, in the words of the port where the file is at fault."""
        if isinstance(error, sqlite3.Error | OSError):
            error = file.failed(error)
        self.future.set_exception(error)


class SqliteWriter:
    """What waits to be written, and how it is; `thread` has a single worker."""

    def __init__(
        self,
        thread: Executor,
        file: DatabaseFile,
        *,
        busy_limit: timedelta,
    ) -> None:
        """`file` is used in the thread only; `busy_limit` is for a turn."""
        self._thread = thread
        self._file = file
        self._busy_limit = busy_limit.total_seconds()
        self._others_turn_ends = 0.0
        self._tokens: deque[_Write[Any]] = deque()
        self._counts: deque[_Write[Any]] = deque()

    def write(
        self, work: Callable[[sqlite3.Connection], _Result], *, is_count: bool = False
    ) -> Future[_Result]:
        """Let the thread do it in a transaction; the future is done when that is on the disk.

        It fails with what the work raises, or with what kept all that waited from being written.
        """
        write = _Write(work, Future())
        (self._counts if is_count else self._tokens).append(write)
        # One call a write, so that none is left; most of them find that it has been done.
        self._thread.submit(self._write_what_waits)
        return write.future

    def _write_what_waits(self) -> None:
        writes = self._taken()
        try:
            while writes and (failed := self._commit(writes)) is not None:
                writes.remove(failed)
        except BaseException as error:  # noqa: BLE001 - whatever it is, each caller is told
            for write in writes:
                write.fail(error, self._file)

    def _taken(self) -> list[_Write[Any]]:
        """Take what goes first, and leave out what nobody waits for any more."""
        tokens = _taken_from(self._tokens, MOST_TOGETHER)
        return tokens + _taken_from(self._counts, min(COUNTS_TOGETHER, MOST_TOGETHER - len(tokens)))

    def _commit(self, writes: list[_Write[Any]]) -> _Write[Any] | None:
        """Write all of them; or none, and return the one that failed and was told so."""
        database = self._file.current()
        self._begin(database)
        try:
            results = []
            for write in writes:
                try:
                    results.append(write.work(database))
                except Exception as error:
                    # https://sqlite.org/lang_transaction.html: some errors end a transaction, and
                    # are not of one write.
                    if not database.in_transaction:
                        raise
                    write.fail(error, self._file)
                    return write
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._others_turn_ends = time.monotonic() + _OTHERS_TURN
        for write, result in zip(writes, results, strict=True):
            write.future.set_result(result)
        return None

    def _begin(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA busy_timeout = 0")
        if (left := self._others_turn_ends - time.monotonic()) > 0:
            _pause(left)
        limit = time.monotonic() + self._busy_limit
        while True:
            try:
                # IMMEDIATE: a transaction that reads first and then wants to write fails at once
                # where somebody else has written in between.
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # https://sqlite.org/rescode.html: the low byte; the others say with what.
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > limit:
                    raise
                _pause(_LOOK)
            else:
                return


def _taken_from(waiting: deque[_Write[Any]], most: int) -> list[_Write[Any]]:
    taken: list[_Write[Any]] = []
    while waiting and len(taken) < most:
        write = waiting.popleft()
        if write.future.set_running_or_notify_cancel():
            taken.append(write)
    return taken

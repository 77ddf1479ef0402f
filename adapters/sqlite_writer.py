"""Group commit for a SQLite file: waiting writes share one transaction, isolated from one another.

A commit waits for the disk, 40 ms on a cheap one, regardless of its size. So the writer thread
takes all waiting writes: tokens and logins first, then some counts, which strangers can cause. It
answers after all are on the disk. If a write fails, the transaction is rolled back and repeated
without it. Savepoints would avoid the repetition, but cost each write two statements. Each
statement may wait for Python's lock (5 ms).

Processes take turns. SQLite's own wait sleeps up to 100 ms, and a process that writes without a
pause would block all others.
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

# Some milliseconds of work: later writes should wait for little more than the disk.
MAX_BATCH = 200
MAX_COUNTS = 8
# The interval at which a waiting writer checks whether the file is free.
_POLL_INTERVAL = 0.001
# After its turn a writer pauses for several checks of the others.
_TURN_PAUSE = 3 * _POLL_INTERVAL

# Unlike `time.sleep`, it works under libfaketime.
_pause = threading.Event().wait

_Result = TypeVar("_Result")


class DatabaseFile(Protocol):
    """The file that the thread writes to."""

    def current(self) -> sqlite3.Connection:
        """Return the connection. Called before each transaction."""
        ...

    def to_store_error(self, error: Exception) -> Exception:
        """Return the caller's error for an error of the file."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Write(Generic[_Result]):
    work: Callable[[sqlite3.Connection], _Result]
    future: Future[_Result]

    def fail(self, error: BaseException, file: DatabaseFile) -> None:
        """Fail the caller's future. An error of the file becomes the port's error."""
        if isinstance(error, sqlite3.Error | OSError):
            error = file.to_store_error(error)
        self.future.set_exception(error)


class SqliteWriter:
    """The queues of waiting writes. `thread` has a single worker."""

    def __init__(
        self,
        thread: Executor,
        file: DatabaseFile,
        *,
        busy_limit: timedelta,
    ) -> None:
        """`file` is used in the thread only. `busy_limit` limits the wait for a turn."""
        self._thread = thread
        self._file = file
        self._busy_limit = busy_limit.total_seconds()
        self._next_turn_at = 0.0
        self._tokens: deque[_Write[Any]] = deque()
        self._counts: deque[_Write[Any]] = deque()

    def write(
        self, work: Callable[[sqlite3.Connection], _Result], *, is_count: bool = False
    ) -> Future[_Result]:
        """Run `work` in a transaction. The future is done when that is on the disk.

        The future fails with the exception of the work, or of the whole transaction.
        """
        write = _Write(work, Future())
        (self._counts if is_count else self._tokens).append(write)
        # One call per write, so that each is taken. Most calls find their write done.
        self._thread.submit(self._write_batch)
        return write.future

    def _write_batch(self) -> None:
        writes = self._take_batch()
        try:
            while writes and (failed := self._commit(writes)) is not None:
                writes.remove(failed)
        except BaseException as error:  # noqa: BLE001 - each caller receives the error
            for write in writes:
                write.fail(error, self._file)

    def _take_batch(self) -> list[_Write[Any]]:
        """Take the next writes, without those that were cancelled."""
        tokens = _take_from(self._tokens, MAX_BATCH)
        return tokens + _take_from(self._counts, min(MAX_COUNTS, MAX_BATCH - len(tokens)))

    def _commit(self, writes: list[_Write[Any]]) -> _Write[Any] | None:
        """Commit all writes. If one fails, roll back, fail its future, and return it."""
        database = self._file.current()
        self._begin(database)
        try:
            results = []
            for write in writes:
                try:
                    results.append(write.work(database))
                except Exception as error:
                    # https://sqlite.org/lang_transaction.html: errors that end the transaction do
                    # not belong to one write.
                    if not database.in_transaction:
                        raise
                    write.fail(error, self._file)
                    return write
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            self._next_turn_at = time.monotonic() + _TURN_PAUSE
        for write, result in zip(writes, results, strict=True):
            write.future.set_result(result)
        return None

    def _begin(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA busy_timeout = 0")
        if (left := self._next_turn_at - time.monotonic()) > 0:
            _pause(left)
        limit = time.monotonic() + self._busy_limit
        while True:
            try:
                # IMMEDIATE: a transaction that reads before it writes fails at once if another
                # process has written in between.
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                # https://sqlite.org/rescode.html: the low byte is the kind of error.
                is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > limit:
                    raise
                _pause(_POLL_INTERVAL)
            else:
                return


def _take_from(waiting: deque[_Write[Any]], most: int) -> list[_Write[Any]]:
    taken: list[_Write[Any]] = []
    while waiting and len(taken) < most:
        write = waiting.popleft()
        if write.future.set_running_or_notify_cancel():
            taken.append(write)
    return taken

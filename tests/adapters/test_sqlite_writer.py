"""Writes to SQLite that wait together: one commit, and a result for each."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters import sqlite_writer
from adapters.sqlite_writer import MAX_BATCH, SqliteWriter
from ports.store import StoreUnavailableError

# Longer than a busy machine needs.
LIMIT = 30
TURNS = 40
# In seconds: the time of a write, longer than the other steps of a writer.
DISK = 0.005
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS parents (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS written (
    name TEXT PRIMARY KEY, parent TEXT REFERENCES parents DEFERRABLE INITIALLY DEFERRED
);
"""


class Writing:
    """A writer whose thread can be held up, and its statements."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(SCHEMA)
        self.statements: list[str] = []
        self._database.set_trace_callback(self.statements.append)
        self._thread = ThreadPoolExecutor(max_workers=1)
        self.writer = SqliteWriter(self._thread, self, busy_limit=timedelta(seconds=LIMIT))

    def current(self) -> sqlite3.Connection:
        return self._database

    def to_store_error(self, error: Exception) -> Exception:
        return error

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Hold the writes that begin inside until the end."""
        go_on = threading.Event()
        self._thread.submit(go_on.wait, LIMIT)
        yield
        go_on.set()

    def names(self) -> list[str]:
        """The written names, in order."""
        return [
            name for (name,) in self._database.execute("SELECT name FROM written ORDER BY rowid")
        ]

    @property
    def commits(self) -> int:
        """The number of commits."""
        return self.statements.count("COMMIT")

    def close(self) -> None:
        """Close the thread and the file."""
        self._thread.shutdown()
        self._database.close()


class MissingFile:
    """A file that cannot be opened, and the number of tries."""

    def __init__(self) -> None:
        self.tries = 0

    def current(self) -> sqlite3.Connection:
        self.tries += 1
        raise FileNotFoundError

    def to_store_error(self, error: Exception) -> Exception:
        return StoreUnavailableError(type(error).__name__)


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Writing]:
    writing = Writing(tmp_path / "file.sqlite")
    yield writing
    writing.close()


def insert(name: str, *, parent: str | None = None) -> Callable[[sqlite3.Connection], str]:
    def work(database: sqlite3.Connection) -> str:
        database.execute("INSERT INTO written VALUES (?, ?)", (name, parent))
        return f"wrote {name}"

    return work


def insert_and(error: Exception) -> Callable[[sqlite3.Connection], str]:
    def work(database: sqlite3.Connection) -> str:
        insert("half")(database)
        raise error

    return work


def slow_insert(name: str) -> Callable[[sqlite3.Connection], str]:
    def work(database: sqlite3.Connection) -> str:
        time.sleep(DISK)
        return insert(name)(database)

    return work


def results(futures: list[Future[Any]]) -> list[str]:
    """Return each result, or the error's name."""
    return [
        str(future.result()) if (error := future.exception(LIMIT)) is None else type(error).__name__
        for future in futures
    ]


def test_waiting_writes_share_one_commit(writing: Writing) -> None:
    with writing.held_up():
        futures = [writing.writer.write(insert(f"{number}")) for number in range(100)]
    assert results(futures) == [f"wrote {number}" for number in range(100)]
    assert writing.commits == 1


def test_a_commit_has_a_limited_number_of_writes(writing: Writing) -> None:
    with writing.held_up():
        futures = [writing.writer.write(insert(f"{n}")) for n in range(2 * MAX_BATCH + 1)]
    assert len(set(results(futures))) == 2 * MAX_BATCH + 1
    assert writing.commits == 3


@pytest.mark.parametrize("error", [ValueError("its own"), sqlite3.OperationalError("disk")])
def test_a_write_that_fails_undoes_its_own_changes_only(writing: Writing, error: Exception) -> None:
    with writing.held_up():
        works = [insert("before"), insert_and(error), insert("before"), insert("after")]
        futures = [writing.writer.write(work) for work in works]
    expected = ["wrote before", type(error).__name__, "IntegrityError", "wrote after"]
    assert results(futures) == expected
    assert writing.names() == ["before", "after"]
    assert writing.commits == 1


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO written VALUES ('orphan', 'nobody')",
        "INSERT OR ROLLBACK INTO written VALUES ('before', NULL)",
    ],
    ids=["at the commit", "with the whole transaction"],
)
def test_a_failed_commit_is_an_error_for_all_and_the_next_write_succeeds(
    writing: Writing, statement: str
) -> None:
    with writing.held_up():
        works = [insert("before"), lambda database: database.execute(statement), insert("after")]
        futures: list[Future[Any]] = [writing.writer.write(work) for work in works]
    kinds = {type(future.exception(LIMIT)) for future in futures}
    assert all(issubclass(kind, sqlite3.Error) for kind in kinds)
    assert writing.names() == []
    assert results([writing.writer.write(insert("next"))]) == ["wrote next"]


def test_a_file_that_cannot_be_opened_is_an_error_and_opened_again() -> None:
    thread, file = ThreadPoolExecutor(max_workers=1), MissingFile()
    writer = SqliteWriter(thread, file, busy_limit=timedelta(seconds=LIMIT))
    for number in (1, 2):
        assert results([writer.write(insert("one"))]) == ["StoreUnavailableError"]
        assert file.tries == number
    thread.shutdown()


def test_tokens_are_written_before_counts(
    writing: Writing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "MAX_BATCH", 3)
    with writing.held_up():
        futures = [writing.writer.write(insert(f"count {n}"), is_count=True) for n in range(3)]
        futures += [writing.writer.write(insert(f"token {n}")) for n in range(4)]
    results(futures)
    assert writing.names() == [
        *("token 0", "token 1", "token 2"),
        *("token 3", "count 0", "count 1"),
        "count 2",
    ]
    assert writing.commits == 3


def test_a_cancelled_write_is_not_made(writing: Writing) -> None:
    with writing.held_up():
        futures = [writing.writer.write(insert(name)) for name in ("gone", "there")]
        futures[0].cancel()
    assert results(futures[1:]) == ["wrote there"]
    with pytest.raises(CancelledError):
        futures[0].result()
    assert writing.names() == ["there"]


def test_a_busy_writer_does_not_keep_another_one_out(tmp_path: Path) -> None:
    path, done = tmp_path / "file.sqlite", threading.Event()

    def write_on(busy: Writing) -> int:
        number = 0
        while not done.is_set():
            busy.writer.write(slow_insert(f"busy {number}")).result(LIMIT)
            number += 1
        return number

    with (
        closing(Writing(path)) as busy,
        closing(Writing(path)) as other,
        ThreadPoolExecutor() as pool,
    ):
        writes = pool.submit(write_on, busy)
        for number in range(TURNS):
            other.writer.write(slow_insert(f"other {number}")).result(LIMIT)
        done.set()
        # In turns, each would have as many.
        assert writes.result(LIMIT) < TURNS * 3

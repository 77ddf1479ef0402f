"""The SQLite store's file: its permissions, its content, and the failures that it survives."""

# ruff: noqa: ASYNC240 - nothing else runs on these loops

import asyncio
import os
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_sqlite import _DUE, SqliteStore
from domain.grant import Grant
from ports.store import (
    LONGEST_WINDOW,
    ConflictError,
    Record,
    Store,
    StoreUnavailableError,
    UnreadableRecordError,
)
from tests.ports.store_contract import KEYS, Processes, SqliteFile
from tests.ports.test_store_contract import (
    NOTHING,
    NOW,
    PENDING,
    TOKENS,
    authorized,
    due,
    fill,
    refreshing,
    walk_due,
)
from tests.records import record_of

pytestmark = pytest.mark.anyio

OTHER_KEYS = KeyRing([bytes(32)])
OPENERS = 8
# One round in forty fails if opening does not wait.
ROUNDS = 40
LOG_WRITES = 300
# Longer than a busy machine needs.
LIMIT = 30


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sqlite_database", "store_sqlite"):
        monkeypatch.setattr(f"adapters.{module}.BUSY_TIMEOUT", timedelta(milliseconds=50))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a write wait longer than the test."""
    for module in ("sqlite_database", "store_sqlite"):
        monkeypatch.setattr(f"adapters.{module}.BUSY_TIMEOUT", timedelta(seconds=2 * LIMIT))


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def store_at(path: Path, keys: KeyRing = KEYS) -> SqliteStore:
    return SqliteStore(path, SealedRecords(keys))


def files_of(path: Path) -> list[Path]:
    return [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]


def execute(path: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Run a statement without the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Hold the locks of these statements."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
        yield


async def write_first(store: Store, grant: Grant, *, connection: str = "default") -> None:
    await store.swap(connection, record_of(grant, "one"), expected_etag=None)


# Secrecy


@pytest.mark.usefixtures("open_umask")
async def test_only_the_owner_may_read_the_files(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    await store.put_login("key", PENDING)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in files_of(path)} == {
        "store.sqlite": "0o600",
        "store.sqlite-wal": "0o600",
        "store.sqlite-shm": "0o600",
    }


async def test_the_files_contain_no_token_and_no_verifier(path: Path) -> None:
    store = store_at(path)
    secrets = ["plain-access-token", "plain-refresh-token", "plain-code-verifier"]
    tokens = replace(TOKENS, access_token=secrets[0], refresh_token=secrets[1])
    await write_first(store, replace(authorized(1), tokens=tokens))
    await store.put_login("key", replace(PENDING, code_verifier=secrets[2]))
    everything = b"".join(file.read_bytes() for file in files_of(path))
    assert b"default" in everything
    assert [secret for secret in secrets if secret.encode() in everything] == []


# Altered records


async def unreadable(store: Store, connection: str = "default") -> str | None:
    """Return the etag of a record that cannot be read."""
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load(connection)
    return caught.value.etag


async def test_a_record_copied_to_another_connection_does_not_open_and_stays(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1), connection="mine")
    execute(path, "INSERT INTO grants SELECT 'theirs', etag, sealed, due_at FROM grants")
    rows = execute(path, "SELECT * FROM grants ORDER BY connection")
    assert await unreadable(store, "theirs") == "one"
    assert execute(path, "SELECT * FROM grants ORDER BY connection") == rows
    assert await store.load("mine") == record_of(authorized(1), "one")


async def test_an_old_record_put_back_under_the_new_etag_does_not_open_and_stays(
    path: Path,
) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    ((old,),) = execute(path, "SELECT sealed FROM grants")
    await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    execute(path, "UPDATE grants SET sealed = ?", old)
    assert await unreadable(store) == "two"
    assert execute(path, "SELECT etag, sealed FROM grants") == [("two", old)]


@pytest.mark.parametrize("sealed", ["", "v1..", "v2.x.y", "é"])
async def test_a_text_that_was_never_sealed_does_not_open(path: Path, sealed: str) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    execute(path, "UPDATE grants SET sealed = ?", sealed)
    assert await unreadable(store) == "one"


async def test_a_record_sealed_with_another_key_can_be_replaced(path: Path) -> None:
    await write_first(store_at(path), authorized(1))
    row = execute(path, "SELECT * FROM grants")
    store = store_at(path, OTHER_KEYS)
    assert await unreadable(store) == "one"
    with pytest.raises(UnreadableRecordError) as caught:
        await store.swap("default", record_of(authorized(2), "two"), expected_etag=None)
    assert caught.value.etag == "one"
    assert execute(path, "SELECT * FROM grants") == row
    await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    assert await store.load("default") == record_of(authorized(2), "two")


async def test_a_login_sealed_to_another_key_is_ignored(path: Path) -> None:
    store = store_at(path)
    await store.put_login("mine", PENDING)
    execute(path, "INSERT INTO logins SELECT 'theirs', sealed, expires_at, taker FROM logins")
    assert await store.take_login("theirs", taker="one", now=NOW) is None
    assert await store.take_login("mine", taker="one", now=NOW) == PENDING


# Failures


async def test_a_record_is_there_after_reopening(path: Path) -> None:
    await write_first(store_at(path), authorized(1))
    assert await store_at(path).load("default") == record_of(authorized(1), "one")
    execute(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    for file in files_of(path)[1:]:
        file.unlink(missing_ok=True)
    assert await store_at(path).load("default") == record_of(authorized(1), "one")


async def test_an_empty_file_is_a_new_store(path: Path) -> None:
    path.touch()
    store = store_at(path)
    assert await store.load("default") == NOTHING
    await write_first(store, authorized(1))
    assert await store.load("default") == record_of(authorized(1), "one")


async def test_counts_of_old_windows_are_removed(path: Path) -> None:
    store = store_at(path)
    instant = timedelta(microseconds=1)
    assert await store.count("gone", window_ends=NOW - LONGEST_WINDOW) == 1
    assert await store.count("kept", window_ends=NOW - LONGEST_WINDOW + instant) == 1
    assert await store.count("new", window_ends=NOW) == 1
    assert execute(path, "SELECT key FROM counts ORDER BY key") == [("kept",), ("new",)]


async def test_expired_rows_of_a_clock_that_was_years_ahead_are_removed(path: Path) -> None:
    store = store_at(path)
    years = timedelta(days=1500)
    for key, late in (("ahead", years), ("over", timedelta(0)), ("goes on", timedelta(minutes=9))):
        await store.put_login(key, replace(PENDING, expires_at=NOW + late))
        await store.count(key, window_ends=NOW - LONGEST_WINDOW + late)
    await store.forget_expired(NOW)
    assert execute(path, "SELECT key FROM logins") == [("goes on",)]
    assert execute(path, "SELECT key FROM counts") == [("goes on",)]


async def test_a_changed_file_does_not_extend_a_login(path: Path) -> None:
    store = store_at(path)
    await store.put_login("key", PENDING)
    execute(path, "UPDATE logins SET expires_at = 1e12")
    assert await store.take_login("key", taker="one", now=PENDING.expires_at) is None
    before = PENDING.expires_at - timedelta(microseconds=1)
    assert await store.take_login("key", taker="one", now=before) == PENDING


async def test_a_file_of_the_last_version_gets_the_index_of_due_grants(path: Path) -> None:
    store = store_at(path)
    await fill(store, dict.fromkeys("cab", refreshing(NOW)))
    await store.close()
    execute(path, "DROP INDEX grants_due_order")
    execute(path, "CREATE INDEX grants_due ON grants (due_at) WHERE due_at IS NOT NULL")
    for _ in range(2):
        store = store_at(path)
        found = await walk_due(store, 1, NOW)
        assert [name for _, name in found] == ["a", "b", "c"]
        await store.close()
    names = execute(path, "SELECT name FROM sqlite_master WHERE name LIKE 'grants_due%'")
    assert names == [("grants_due_order",)]
    # No table is read, nothing is sorted, and a page begins at its first row.
    [(_, _, _, step)] = execute(path, f"EXPLAIN QUERY PLAN {_DUE}", 0.0, b"a", 1.0, 9)
    assert str(step).startswith(
        "SEARCH grants USING COVERING INDEX grants_due_order ((due_at,connection)>"
    )


async def test_due_grants_are_paged_past_a_name_that_is_not_utf_8(path: Path) -> None:
    store = store_at(path)
    await fill(store, dict.fromkeys(("a", "b", "z"), refreshing(NOW)))
    execute(path, "UPDATE grants SET connection = CAST(x'c3' AS TEXT) WHERE connection = 'b'")
    assert [name for _, name in await walk_due(store, 1, NOW)] == ["a", "z", "\udcc3"]


async def unavailable_to_all(store: Store) -> None:
    """Try every operation: none may succeed."""
    with pytest.raises(StoreUnavailableError):
        await store.load("default")
    await unavailable_to_writers(store)
    with pytest.raises(StoreUnavailableError):
        await due(store, NOW)


async def unavailable_to_writers(store: Store) -> None:
    for write in (
        write_first(store, refreshing(NOW)),
        store.put_login("key", PENDING),
        store.take_login("key", taker="one", now=NOW),
        store.count("key", window_ends=NOW),
    ):
        with pytest.raises(StoreUnavailableError):
            await write


async def available(store: Store) -> None:
    """Check that no refused write was made, and that each succeeds now."""
    assert await store.load("default") == NOTHING
    assert await due(store, NOW) == []
    assert await store.take_login("key", taker="one", now=NOW) is None
    await write_first(store, authorized(1))
    await store.put_login("key", PENDING)
    assert await store.load("default") == record_of(authorized(1), "one")
    assert await store.take_login("key", taker="one", now=NOW) == PENDING


@contextmanager
def no_folder(path: Path) -> Iterator[None]:
    path.parent.rmdir()
    yield
    path.parent.mkdir()


@contextmanager
def folder_at(path: Path) -> Iterator[None]:
    path.mkdir()
    yield
    path.rmdir()


@contextmanager
def text_at(path: Path) -> Iterator[None]:
    content = b"no database, and long enough to be recognised as a text\n" * 100
    path.write_bytes(content)
    yield
    assert path.read_bytes() == content
    path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with held(path, "BEGIN EXCLUSIVE", "CREATE TABLE other (x)"):
        yield


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [no_folder, folder_at, text_at, locked])
async def test_a_file_that_cannot_be_opened_is_unavailable_until_it_can(
    tmp_path: Path, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "folder" / "store.sqlite"
    path.parent.mkdir()
    store = store_at(path)
    with fault(path):
        await unavailable_to_all(store)
    await available(store)


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_can_be_read_and_is_unavailable_to_writers_until_released(
    path: Path,
) -> None:
    store = store_at(path)
    assert await store.load("default") == NOTHING
    with held(path, "BEGIN EXCLUSIVE"):
        await unavailable_to_writers(store)
        assert await store.load("default") == NOTHING
        assert await due(store, NOW) == []
    await available(store)


@pytest.mark.parametrize(
    "lock",
    [
        ["BEGIN EXCLUSIVE", "CREATE TABLE other (x)"],
        ["PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "CREATE TABLE other (x)"],
        ["PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", "CREATE TABLE other (x)"],
    ],
    ids=["without a log", "alone with its log", "without tables"],
)
async def test_opening_waits_for_a_lock_once_and_not_at_each_try(
    path: Path, monkeypatch: pytest.MonkeyPatch, lock: list[str]
) -> None:
    # As many tries as in production, each a tenth as long: if each waits, the limit is exceeded.
    monkeypatch.setattr("adapters.sqlite_database.BUSY_TIMEOUT", timedelta(milliseconds=500))
    monkeypatch.setattr("adapters.sqlite_database._BUSY_PAUSE", timedelta(milliseconds=1))
    store = store_at(path)
    with held(path, *lock):
        async with asyncio.timeout(LIMIT):
            with pytest.raises(StoreUnavailableError, match="database is locked"):
                await store.load("default")
    await available(store)


@pytest.mark.usefixtures("patient")
async def test_a_read_does_not_wait_for_a_write_that_waits_for_the_lock(path: Path) -> None:
    store = store_at(path)
    await write_first(store, refreshing(NOW))
    with held(path, "BEGIN IMMEDIATE"):
        after = record_of(authorized(2), "two")
        writing = asyncio.create_task(store.swap("default", after, expected_etag="one"))
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            assert await store.load("default") == record_of(refreshing(NOW), "one")
            assert await due(store, NOW) == ["default"]
            assert [name async for name in store.connections()] == ["default"]
        assert not writing.done()
    await writing
    assert await store.load("default") == after
    assert await due(store, NOW) == []


@pytest.mark.usefixtures("patient")
async def test_writes_that_wait_together_are_decided_one_after_the_other(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    second, third = record_of(authorized(2), "two"), record_of(authorized(3), "three")
    with held(path, "BEGIN IMMEDIATE"):
        waiting = asyncio.gather(
            store.swap("default", second, expected_etag="one"),
            # Its own retry, and a late write.
            store.swap("default", second, expected_etag="one"),
            store.swap("default", third, expected_etag="one"),
            store.count("key", window_ends=NOW),
            store.count("key", window_ends=NOW),
            return_exceptions=True,
        )
        await asyncio.sleep(0)
    done, retried, late, *counts = await waiting
    assert (done, retried, counts) == (None, None, [1, 2])
    assert isinstance(late, ConflictError)
    assert late.current == await store.load("default") == second


async def test_a_closed_store_has_no_open_file_and_no_thread(path: Path) -> None:
    before = set(threading.enumerate())
    store = store_at(path)
    await write_first(store, authorized(1))
    assert await store.load("default") == record_of(authorized(1), "one")
    await store.close()
    # SQLite removes the other files with its last connection.
    assert [file.name for file in files_of(path) if file.exists()] == ["store.sqlite"]
    assert set(threading.enumerate()) <= before


# Several processes


@pytest.fixture(scope="module")
def openers() -> Iterator[Processes]:
    openers = Processes(OPENERS)
    yield openers
    openers.close()


async def fill_the_disk(path: Path, store: Store, _number: int) -> str:
    """Limit every file to its present length, then lift the limit of this process again."""
    await write_first(store, authorized(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (files_of(path)[1].stat().st_size, hard))
    try:
        await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    except StoreUnavailableError:
        outcome = "unavailable"
    else:
        outcome = "written"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = await store.load("default")
    await store.swap("default", record_of(authorized(3), "three"), expected_etag=kept.etag)
    return f"{outcome}, {kept.etag} was kept, {(await store.load('default')).etag} came after"


async def test_a_full_disk_is_unavailable_until_there_is_space(
    path: Path, openers: Processes
) -> None:
    results = openers.contend(SqliteFile(path), partial(fill_the_disk, path), contenders=1)
    assert results == ["unavailable, one was kept, three came after"]


async def open_and_read(store: Store, _number: int) -> str:
    """Open the store at the same time as the others."""
    try:
        await store.load("default")
    except StoreUnavailableError as error:
        return str(error)
    return "opened"


@pytest.mark.parametrize("is_left_by_a_crash", [False, True], ids=["new", "after a crash"])
async def test_eight_processes_may_open_a_store_at_the_same_time(
    path: Path, openers: Processes, *, is_left_by_a_crash: bool
) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    # The longer the log, the longer the others wait for the process that reads it.
    for number in range(LOG_WRITES):
        await store.count(f"{number}", window_ends=NOW)
    results: list[str] = []
    for number in range(ROUNDS):
        opened = path.with_name(f"{number}.sqlite")
        if is_left_by_a_crash:
            for file, copy in zip(files_of(path)[:2], files_of(opened), strict=False):
                shutil.copyfile(file, copy)
        results += openers.contend(SqliteFile(opened), open_and_read, contenders=OPENERS)
    assert set(results) == {"opened"}


async def look_around(path: Path, _store: Store, _number: int) -> list[tuple[object, ...]]:
    """Open the file as an operator would, and close it again."""
    return execute(path, "SELECT connection, etag FROM grants")


async def read(store: Store, _number: int) -> Record:
    return await store.load("default")


async def test_two_stores_in_one_process_keep_their_log_when_another_process_leaves(
    path: Path, openers: Processes
) -> None:
    # POSIX drops all of a process's locks on a file as soon as it closes one descriptor of it.
    # Without its locks, the next process to leave removes the write-ahead log.
    first, second = store_at(path), store_at(path)
    await write_first(first, authorized(1))
    assert await second.load("default") == record_of(authorized(1), "one")
    seen = openers.contend(SqliteFile(path), partial(look_around, path), contenders=1)
    assert seen == [[("default", "one")]]
    ours = record_of(authorized(2), "two")
    await first.swap("default", ours, expected_etag="one")
    assert openers.contend(SqliteFile(path), read, contenders=1) == [ours]

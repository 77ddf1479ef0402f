"""The SQLite store's file: who can read it, what is in it, and what it survives."""

# ruff: noqa: ASYNC240 - nothing else runs on these loops

import asyncio
import os
import resource
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_sqlite import SqliteStore
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
from tests.ports.test_store_contract import NOTHING, NOW, PENDING, TOKENS, authorized, refreshing
from tests.records import record_of

pytestmark = pytest.mark.anyio

OTHER_KEYS = KeyRing([bytes(32)])
OPENERS = 8
# One round in forty fails where opening is not made to wait.
ROUNDS = 40
LOG_WRITES = 300
# Nobody waits this long unless something is wrong.
LIMIT = 30


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sqlite_database.BUSY_TIMEOUT", timedelta(milliseconds=50))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a write outwait the test."""
    monkeypatch.setattr("adapters.sqlite_database.BUSY_TIMEOUT", timedelta(seconds=2 * LIMIT))


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
    """Reach around the store."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        return database.execute(statement, values).fetchall()


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Keep the database locked from a connection of one's own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
        yield


async def write_first(store: Store, grant: Grant, *, connection: str = "default") -> None:
    await store.swap(connection, record_of(grant, "one"), expected_etag=None)


# Secrecy


@pytest.mark.usefixtures("open_umask")
async def test_only_the_owner_may_read_the_file_and_what_lies_beside_it(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    await store.put_login("key", PENDING)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in files_of(path)} == {
        "store.sqlite": "0o600",
        "store.sqlite-wal": "0o600",
        "store.sqlite-shm": "0o600",
    }


async def test_no_token_and_no_verifier_can_be_found_in_the_files(path: Path) -> None:
    store = store_at(path)
    secrets = ["plain-access-token", "plain-refresh-token", "plain-code-verifier"]
    tokens = replace(TOKENS, access_token=secrets[0], refresh_token=secrets[1])
    await write_first(store, replace(authorized(1), tokens=tokens))
    await store.put_login("key", replace(PENDING, code_verifier=secrets[2]))
    everything = b"".join(file.read_bytes() for file in files_of(path))
    assert b"default" in everything
    assert [secret for secret in secrets if secret.encode() in everything] == []


# Records that were tampered with


async def test_a_record_copied_to_another_connection_does_not_open_and_stays(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1), connection="mine")
    execute(path, "INSERT INTO grants SELECT 'theirs', etag, sealed, due_at FROM grants")
    rows = execute(path, "SELECT * FROM grants ORDER BY connection")
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("theirs")
    assert caught.value.etag == "one"
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
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("default")
    assert caught.value.etag == "two"
    assert execute(path, "SELECT etag, sealed FROM grants") == [("two", old)]


@pytest.mark.parametrize("sealed", ["", "v1", "v1..", "v2.x.y", "not sealed at all", "é"])
async def test_what_was_never_sealed_does_not_open(path: Path, sealed: str) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    execute(path, "UPDATE grants SET sealed = ?", sealed)
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("default")
    assert caught.value.etag == "one"


async def test_a_record_sealed_with_another_key_tells_its_etag_and_can_be_replaced(
    path: Path,
) -> None:
    await write_first(store_at(path), authorized(1))
    row = execute(path, "SELECT * FROM grants")
    store = store_at(path, OTHER_KEYS)
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("default")
    assert caught.value.etag == "one"
    with pytest.raises(UnreadableRecordError) as caught:
        await store.swap("default", record_of(authorized(2), "two"), expected_etag=None)
    assert caught.value.etag == "one"
    assert execute(path, "SELECT * FROM grants") == row
    await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    assert await store.load("default") == record_of(authorized(2), "two")


async def test_a_login_sealed_to_another_key_is_no_login(path: Path) -> None:
    store = store_at(path)
    await store.put_login("mine", PENDING)
    execute(path, "INSERT INTO logins SELECT 'theirs', sealed, expires_at, taker FROM logins")
    assert await store.take_login("theirs", taker="one", now=NOW) is None
    assert await store.take_login("mine", taker="one", now=NOW) == PENDING


# What it survives


async def test_what_was_written_is_there_after_reopening(path: Path) -> None:
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


async def test_counts_of_windows_that_are_long_over_are_forgotten(path: Path) -> None:
    store = store_at(path)
    instant = timedelta(microseconds=1)
    assert await store.count("gone", window_ends=NOW - LONGEST_WINDOW) == 1
    assert await store.count("kept", window_ends=NOW - LONGEST_WINDOW + instant) == 1
    assert await store.count("new", window_ends=NOW) == 1
    assert execute(path, "SELECT key FROM counts ORDER BY key") == [("kept",), ("new",)]


async def test_what_is_over_is_forgotten_also_where_a_clock_was_years_ahead(path: Path) -> None:
    store = store_at(path)
    years = timedelta(days=1500)
    for key, late in (("ahead", years), ("over", timedelta(0)), ("goes on", timedelta(minutes=9))):
        await store.put_login(key, replace(PENDING, expires_at=NOW + late))
        await store.count(key, window_ends=NOW - LONGEST_WINDOW + late)
    await store.forget_expired(NOW)
    assert execute(path, "SELECT key FROM logins") == [("goes on",)]
    assert execute(path, "SELECT key FROM counts") == [("goes on",)]


async def test_who_writes_the_file_makes_no_login_last_longer(path: Path) -> None:
    store = store_at(path)
    await store.put_login("key", PENDING)
    execute(path, "UPDATE logins SET expires_at = 1e12")
    assert await store.take_login("key", taker="one", now=PENDING.expires_at) is None
    before = PENDING.expires_at - timedelta(microseconds=1)
    assert await store.take_login("key", taker="one", now=before) == PENDING


async def unavailable_to_all(store: Store) -> None:
    """Ask for everything there is; nothing must be available."""
    with pytest.raises(StoreUnavailableError):
        await store.load("default")
    await unavailable_to_writers(store)
    with pytest.raises(StoreUnavailableError):
        await store.due(NOW, limit=10)


async def unavailable_to_writers(store: Store) -> None:
    with pytest.raises(StoreUnavailableError):
        await write_first(store, refreshing(NOW))
    with pytest.raises(StoreUnavailableError):
        await store.put_login("key", PENDING)
    with pytest.raises(StoreUnavailableError):
        await store.take_login("key", taker="one", now=NOW)
    with pytest.raises(StoreUnavailableError):
        await store.count("key", window_ends=NOW)


async def available(store: Store) -> None:
    """Nothing of what was refused has been written, and all of it can be written now."""
    assert await store.load("default") == NOTHING
    assert await store.due(NOW, limit=10) == []
    assert await store.take_login("key", taker="one", now=NOW) is None
    await write_first(store, authorized(1))
    await store.put_login("key", PENDING)
    assert await store.load("default") == record_of(authorized(1), "one")
    assert await store.take_login("key", taker="one", now=NOW) == PENDING


async def test_without_its_folder_it_is_unavailable_until_the_folder_is_there(
    tmp_path: Path,
) -> None:
    store = store_at(tmp_path / "missing" / "store.sqlite")
    await unavailable_to_all(store)
    (tmp_path / "missing").mkdir()
    await available(store)


async def test_a_folder_in_the_place_of_its_file_makes_it_unavailable_until_it_is_gone(
    path: Path,
) -> None:
    path.mkdir()
    store = store_at(path)
    await unavailable_to_all(store)
    path.rmdir()
    await available(store)


async def test_a_file_that_is_no_database_makes_it_unavailable_until_it_is_gone(
    path: Path,
) -> None:
    path.write_bytes(b"this is no database, and it is long enough to be seen to be none\n" * 100)
    content = path.read_bytes()
    store = store_at(path)
    await unavailable_to_all(store)
    assert path.read_bytes() == content
    path.unlink()
    await available(store)


@pytest.mark.usefixtures("impatient")
async def test_a_database_locked_at_first_sight_is_unavailable_until_it_is_released(
    path: Path,
) -> None:
    store = store_at(path)
    with held(path, "BEGIN EXCLUSIVE", "CREATE TABLE other (x)"):
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
        assert await store.due(NOW, limit=10) == []
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
    # As many tries as in earnest, each a tenth as long: if each waits, all wait beyond the limit.
    monkeypatch.setattr("adapters.sqlite_database.BUSY_TIMEOUT", timedelta(milliseconds=500))
    monkeypatch.setattr("adapters.sqlite_database._BUSY_PAUSE", timedelta(milliseconds=1))
    store = store_at(path)
    with held(path, *lock):
        async with asyncio.timeout(LIMIT):
            with pytest.raises(StoreUnavailableError, match="database is locked"):
                await store.load("default")
    await available(store)


@pytest.mark.usefixtures("patient")
async def test_who_reads_does_not_wait_for_a_write_that_waits_for_the_lock(path: Path) -> None:
    store = store_at(path)
    await write_first(store, refreshing(NOW))
    with held(path, "BEGIN IMMEDIATE"):
        after = record_of(authorized(2), "two")
        writing = asyncio.create_task(store.swap("default", after, expected_etag="one"))
        await asyncio.sleep(0)
        async with asyncio.timeout(LIMIT):
            assert await store.load("default") == record_of(refreshing(NOW), "one")
            assert await store.due(NOW, limit=10) == ["default"]
            assert [name async for name in store.connections()] == ["default"]
        assert not writing.done()
    await writing
    assert await store.load("default") == after
    assert await store.due(NOW, limit=10) == []


@pytest.mark.usefixtures("patient")
async def test_writes_that_wait_together_are_decided_one_after_the_other(path: Path) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    second, third = record_of(authorized(2), "two"), record_of(authorized(3), "three")
    with held(path, "BEGIN IMMEDIATE"):
        waiting = asyncio.gather(
            store.swap("default", second, expected_etag="one"),
            # Its own retry, and another one's that comes too late.
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


async def test_closed_it_has_nothing_open_and_no_thread(path: Path) -> None:
    before = set(threading.enumerate())
    store = store_at(path)
    await write_first(store, authorized(1))
    assert await store.load("default") == record_of(authorized(1), "one")
    await store.close()
    # SQLite removes what lies beside the file when the last connection goes.
    assert [file.name for file in files_of(path) if file.exists()] == ["store.sqlite"]
    assert set(threading.enumerate()) <= before


async def fill_the_disk(store: Store, _number: int) -> str:
    """Let every file be as long as it is now at most, then lift the limit again.

    In a process of its own: the limit is the whole process's.
    """
    assert isinstance(store, SqliteStore)
    await write_first(store, authorized(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = Path(os.environ["WAL"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size, hard))
    try:
        await store.swap("default", record_of(authorized(2), "two"), expected_etag="one")
    except StoreUnavailableError:
        told = "unavailable"
    else:
        told = "written"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = await store.load("default")
    await store.swap("default", record_of(authorized(3), "three"), expected_etag=kept.etag)
    return f"{told}, {kept.etag} was kept, {(await store.load('default')).etag} came after"


async def test_a_full_disk_makes_it_unavailable_until_there_is_space(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAL", str(files_of(path)[1]))
    alone = Processes(1)
    try:
        results = alone.contend(SqliteFile(path), fill_the_disk, contenders=1)
    finally:
        alone.close()
    assert results == ["unavailable, one was kept, three came after"]


# Several processes


async def open_and_read(store: Store, _number: int) -> str:
    """Be the first to open the store, like everybody else."""
    try:
        await store.load("default")
    except StoreUnavailableError as error:
        return str(error)
    return "opened"


async def test_eight_processes_may_open_a_new_store_at_the_same_time(tmp_path: Path) -> None:
    crowd = Processes(OPENERS)
    try:
        rounds = [
            crowd.contend(
                SqliteFile(tmp_path / f"{number}.sqlite"), open_and_read, contenders=OPENERS
            )
            for number in range(ROUNDS)
        ]
    finally:
        crowd.close()
    assert {told for results in rounds for told in results} == {"opened"}


async def test_eight_processes_may_open_at_the_same_time_what_a_crash_has_left(
    path: Path, tmp_path: Path
) -> None:
    store = store_at(path)
    await write_first(store, authorized(1))
    # The longer the log, the longer they wait for the one that reads all of it.
    for number in range(LOG_WRITES):
        await store.count(f"{number}", window_ends=NOW)
    crowd = Processes(OPENERS)
    try:
        rounds = []
        for number in range(ROUNDS):
            left = tmp_path / f"{number}.sqlite"
            for file, copy in zip(files_of(path)[:2], files_of(left), strict=False):
                shutil.copyfile(file, copy)
            rounds.append(crowd.contend(SqliteFile(left), open_and_read, contenders=OPENERS))
    finally:
        crowd.close()
    assert {told for results in rounds for told in results} == {"opened"}


async def look_around(_store: Store, _number: int) -> list[tuple[object, ...]]:
    """Open the file as an operator would, and close it again."""
    return execute(Path(os.environ["DATABASE"]), "SELECT connection, etag FROM grants")


async def read(store: Store, _number: int) -> Record:
    """Read the record as another process sees it."""
    return await store.load("default")


async def test_two_stores_in_one_process_keep_their_log_when_another_process_leaves(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # POSIX drops all of a process's locks on a file as soon as it closes one descriptor of it;
    # without them the next process to leave takes the write-ahead log away with it.
    monkeypatch.setenv("DATABASE", str(path))
    first, second = store_at(path), store_at(path)
    await write_first(first, authorized(1))
    assert await second.load("default") == record_of(authorized(1), "one")
    other = Processes(1)
    try:
        seen = other.contend(SqliteFile(path), look_around, contenders=1)
        assert seen == [[("default", "one")]]
        await first.swap("default", record_of(authorized(2), "two"), expected_etag="one")
        ours = record_of(authorized(2), "two")
        assert other.contend(SqliteFile(path), read, contenders=1) == [ours]
    finally:
        other.close()

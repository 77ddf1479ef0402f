"""The SQLite store when its file changes, moves or vanishes during use."""

# ruff: noqa: ASYNC240 - nothing else runs on these loops

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.sealed_records import SealedRecords
from adapters.store_sqlite import SqliteStore
from ports.store import StoreDamagedError, StoreUnavailableError
from tests.ports.store_contract import KEYS
from tests.ports.test_store_contract import NOTHING, authorized
from tests.records import record_of

pytestmark = pytest.mark.anyio

CHANGED = "store-file-changed"
DAMAGED = "store-file-damaged"
OLD, NEW = record_of(authorized(1), "one"), record_of(authorized(2), "two")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def store_at(path: Path) -> SqliteStore:
    return SqliteStore(path, SealedRecords(KEYS))


def sibling(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def checkpoint(path: Path) -> None:
    """Write the write-ahead log into the file, as SQLite does at times."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def in_use(path: Path) -> SqliteStore:
    """Open a store for reading and writing, with a record in it."""
    store = store_at(path)
    await store.swap("default", OLD, expected_etag=None)
    assert await store.load("default") == OLD
    return store


async def etags_in_the_file(path: Path) -> list[str | None]:
    """Read the file at the path, as another process would."""
    copy = path.with_name("copy.sqlite")
    for suffix in ("", "-wal"):
        if sibling(path, suffix).exists():
            shutil.copyfile(sibling(path, suffix), sibling(copy, suffix))
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [etag for (etag,) in database.execute("SELECT etag FROM grants ORDER BY etag")]


def remove(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        sibling(path, suffix).unlink()


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere.sqlite"))


def replace_by_an_empty_one(path: Path) -> None:
    path.unlink()
    path.touch(0o600)


def empty(path: Path) -> None:
    checkpoint(path)
    os.truncate(path, 0)


@pytest.mark.parametrize("lose", [remove, remove_all, rename, replace_by_an_empty_one, empty])
@pytest.mark.parametrize("first", ["read", "write"])
async def test_a_write_after_the_file_is_gone_is_in_the_file_at_its_path(
    path: Path, lose: Callable[[Path], None], first: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = await in_use(path)
    lose(path)
    if first == "read":
        assert await store.load("default") == NOTHING
    await store.swap("other", NEW, expected_etag=None)
    assert await store.load("default") == NOTHING
    assert await store.load("other") == NEW
    assert await etags_in_the_file(path) == ["two"]
    assert CHANGED in caplog.text
    own = [each.levelname for each in caplog.records if each.name == "adapters.sqlite_file"]
    assert set(own) == {"CRITICAL"}
    logged = caplog.text
    await store.swap("more", OLD, expected_etag=None)
    assert await store.load("default") == NOTHING
    assert caplog.text == logged
    await store.close()
    assert await etags_in_the_file(path) == ["one", "two"]
    assert oct(path.stat().st_mode & 0o777) == "0o600"


async def test_the_log_stays_with_the_file_that_was_renamed(path: Path) -> None:
    store = await in_use(path)
    rename(path)
    assert await store.load("default") == NOTHING
    assert await etags_in_the_file(path.with_name("elsewhere.sqlite")) == ["one"]


@pytest.mark.parametrize("is_log_left", [True, False])
async def test_a_backup_that_is_renamed_over_the_file_is_used_as_it_is(
    path: Path, *, is_log_left: bool
) -> None:
    store = await in_use(path)
    backup = backup_of(path)
    await store.swap("default", NEW, expected_etag="one")
    await store.swap("other", NEW, expected_etag=None)
    backup.rename(path)
    if not is_log_left:
        sibling(path, "-wal").unlink()
        sibling(path, "-shm").unlink()
    # The old log would spoil it.
    assert await store.load("default") == OLD
    assert await store.load("other") == NOTHING
    await store.swap("default", NEW, expected_etag="one")
    await store.close()
    assert await etags_in_the_file(path) == ["two"]


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
@pytest.mark.parametrize("first", ["read", "write"])
async def test_a_removed_log_loses_no_record(
    path: Path, suffixes: list[str], first: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, second = await in_use(path), store_at(path)
    assert await second.load("default") == OLD
    for suffix in suffixes:
        sibling(path, suffix).unlink()
    if first == "read":
        assert await second.load("default") == OLD
    await store.swap("default", NEW, expected_etag="one")
    assert await store.load("default") == await second.load("default") == NEW
    await second.swap("other", OLD, expected_etag=None)
    assert CHANGED in caplog.text
    assert await etags_in_the_file(path) == ["one", "two"]
    await store.close()
    await second.close()
    assert await etags_in_the_file(path) == ["one", "two"]


async def test_the_log_restores_a_file_that_was_emptied(path: Path) -> None:
    store = await in_use(path)
    os.truncate(path, 0)
    assert await store.load("default") == OLD
    await store.swap("default", NEW, expected_etag="one")
    await store.close()
    assert await etags_in_the_file(path) == ["two"]


def backup_of(path: Path) -> Path:
    backup = path.with_name("backup.sqlite")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
    return backup


async def test_a_database_copied_over_the_file_is_read_as_it_is(path: Path) -> None:
    store = await in_use(path)
    backup = backup_of(path)
    await store.swap("default", NEW, expected_etag="one")
    checkpoint(path)
    path.write_bytes(backup.read_bytes())
    assert await store.load("default") == OLD
    await store.swap("default", NEW, expected_etag="one")
    await store.close()
    assert await etags_in_the_file(path) == ["two"]


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_damaged_file_is_reported_once_and_left_as_it_is(
    path: Path, caplog: pytest.LogCaptureFixture, *, is_open: bool
) -> None:
    store = await in_use(path)
    checkpoint(path)
    if not is_open:
        await store.close()
        store = store_at(path)
    header = path.read_bytes()[:100]
    damaged = header + b"no page of a database " * (path.stat().st_size // 22)
    path.write_bytes(damaged)
    for _ in range(3):
        with pytest.raises(StoreDamagedError):
            await store.load("default")
    assert [each.levelname for each in caplog.records if DAMAGED in each.message] == ["CRITICAL"]
    assert path.read_bytes() == damaged
    path.unlink()
    assert await store.load("default") == NOTHING


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, if this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"]
    if subprocess.run(
        ["mount", *options, str(folder)], check=False, capture_output=True
    ).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_disk_that_is_read_only_for_a_while_takes_writes_again_after_it(
    small_disk: Path,
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True)

    path = small_disk / "store.sqlite"
    # A disk with files that are open for writing does not become read-only by this.
    await (await in_use(path)).close()
    remount("ro")
    store = store_at(path)
    with pytest.raises(StoreUnavailableError):
        await store.load("default")
    remount("rw")
    await store.swap("default", NEW, expected_etag="one")
    assert await store.load("default") == NEW
    await store.close()


async def test_a_full_disk_keeps_its_records_and_takes_writes_once_there_is_space(
    small_disk: Path,
) -> None:
    store = await in_use(small_disk / "store.sqlite")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(StoreUnavailableError):
        await fill(store)
    assert await store.load("default") == OLD
    filler.unlink()
    await store.swap("default", NEW, expected_etag="one")
    assert await store.load("default") == NEW
    await store.close()


async def fill(store: SqliteStore) -> None:
    for number in range(100):
        await store.swap(f"more-{number}", NEW, expected_etag=None)

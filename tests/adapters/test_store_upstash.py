"""The Upstash store: its scans, and the keys that Redis removes.

A scan may return a name twice, and an empty page.
"""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from adapters.sealed_records import SealedRecords
from adapters.store_upstash import UpstashStore
from ports.store import (
    LONGEST_WINDOW,
    ConflictError,
    RecordPage,
    StoreUnavailableError,
    UnreadableRecordError,
)
from tests.ports.scripted_server import Arrived, Script, answer, in_turn, serving
from tests.ports.store_contract import KEYS, UpstashDatabase
from tests.ports.test_store_contract import NOW, authorized
from tests.records import record_of

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


def base64(text: str) -> str:
    """Encode a text as the client library expects it."""
    return b64encode(text.encode()).decode()


def page(cursor: str, *names: str) -> Script:
    """Answer with names, and the cursor of the next page."""
    keys = [base64(f"oauth-callback:grant:{name}") for name in names]
    return answer("200 OK", json.dumps({"result": [base64(cursor), keys]}).encode())


async def scan(*pages: Script) -> tuple[list[str], list[Arrived]]:
    with serving(in_turn(pages)) as server:
        store = UpstashStore(server.endpoint, "not-a-real-token", SealedRecords(KEYS))
        try:
            return [name async for name in store.connections()], server.requests
        finally:
            await store.close()


async def test_a_scan_returns_each_name_once_and_continues_after_an_empty_page() -> None:
    found, asked = await scan(
        page("7", "one", "two"), page("5"), page("9", "two", "one"), page("0", "three", "one")
    )
    assert sorted(found) == ["one", "three", "two"]
    cursors = [json.loads(request.body)[1] for request in asked]
    assert cursors == ["0", "7", "5", "9"]


@pytest.mark.parametrize("result", [[], ["MA=="], ["MA==", "a"], ["MA==", [1]], "MA==", None, 5])
async def test_an_invalid_scan_is_unavailable(
    result: object,
) -> None:
    with pytest.raises(StoreUnavailableError):
        await scan(answer("200 OK", json.dumps({"result": result}).encode()))


@pytest.fixture
def database(tmp_path: Path) -> UpstashDatabase:
    return UpstashDatabase.at(tmp_path)


def execute(database: UpstashDatabase, *command: str) -> object:
    headers = {"authorization": f"Bearer {database.token}"}
    return httpx.post(database.url, json=command, headers=headers).json()["result"]


@pytest.mark.parametrize("lasts", [-HOUR, LONGEST_WINDOW])
async def test_a_count_is_removed_some_time_after_its_window(
    database: UpstashDatabase, lasts: timedelta
) -> None:
    store = database.open()
    ends = datetime.now(UTC) + lasts
    for number in (1, 2):
        assert await store.count("key", window_ends=ends) == number
        (key,) = list(execute(database, "KEYS", "*"))  # type: ignore[call-overload]
        left = execute(database, "TTL", key)
        assert isinstance(left, int)
        # It stays until its window ends, and not for long: strangers must not fill the store.
        rest = max(lasts, timedelta(0))
        assert rest + HOUR / 2 <= timedelta(seconds=left) <= rest + 2 * HOUR
        # Each count sets it again.
        execute(database, "PERSIST", key)
    await store.close()


async def test_an_invalid_count_is_unavailable(database: UpstashDatabase) -> None:
    store = database.open()
    assert isinstance(store, UpstashStore)
    await store.count("key", window_ends=NOW)
    (key,) = list(execute(database, "KEYS", "*"))  # type: ignore[call-overload]
    execute(database, "SET", key, "text")
    with pytest.raises(StoreUnavailableError):
        await store.count("key", window_ends=NOW)
    await store.close()


@pytest.mark.parametrize(
    "command",
    [
        ("RPUSH", "x", "y"),
        ("SET", "x"),
        ("HSET", "etag", "x"),
        ("HSET", "sealed", "x"),
        ("HSET", "etag", "", "sealed", ""),
    ],
    ids=str,
)
async def test_a_foreign_value_cannot_be_read_and_a_login_replaces_it(
    database: UpstashDatabase, command: tuple[str, ...]
) -> None:
    execute(database, command[0], "oauth-callback:grant:default", *command[1:])
    store = database.open()
    with pytest.raises(UnreadableRecordError) as caught:
        await store.load("default")
    assert caught.value.is_damaged
    after = record_of(authorized(1), "one")
    with pytest.raises(UnreadableRecordError):
        await store.swap("default", after, expected_etag="other")
    await store.swap("default", after, expected_etag=caught.value.etag)
    assert await store.load("default") == after
    other = record_of(authorized(2), "two")
    with pytest.raises(ConflictError):
        await store.swap("default", other, expected_etag=caught.value.etag)
    await store.close()


async def test_a_foreign_value_is_not_a_login(database: UpstashDatabase) -> None:
    execute(database, "SET", "oauth-callback:login:key", "x")
    store = database.open()
    assert await store.take_login("key", taker="one", now=NOW) is None
    await store.close()


# The listing


async def list_all(store: UpstashStore) -> tuple[list[str], int]:
    """Return all names, and the number of pages."""
    page, found, pages = await store.list_records(None), list[str](), 1
    while True:
        found += [name for name, _ in page.records]
        if page.next is None:
            return found, pages
        page, pages = await store.list_records(page.next), pages + 1


async def opened(database: UpstashDatabase, *names: str) -> UpstashStore:
    """Open the store, with a record of each name."""
    store = database.open()
    assert isinstance(store, UpstashStore)
    for name in names:
        await store.swap(name, record_of(authorized(1), f"etag-{name}"), expected_etag=None)
    return store


async def test_records_of_the_last_version_are_listed_by_the_first_page(
    database: UpstashDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.redis_listing._NAMES_AT_ONCE", 16)
    names = [f"{number:03}" for number in range(130)]
    store = await opened(database, *names, "foreign name")
    # As the last version wrote them, and a record of this one.
    execute(database, "DEL", "oauth-callback:names")
    await store.swap("new", record_of(authorized(1), "one"), expected_etag=None)
    assert await list_all(store) == ([*names, "new"], 2)
    assert await list_all(store) == ([*names, "new"], 2)
    # The database is scanned once only.
    execute(database, "DEL", "oauth-callback:names")
    assert await list_all(store) == ([], 1)
    await store.complete_listing()
    assert await list_all(store) == ([], 1)
    await store.close()


def requests_to(database: UpstashDatabase) -> int:
    return int(httpx.get(f"{database.url}/_control/stats").json()["requests"])


async def test_records_that_are_too_large_together_are_read_in_parts(
    database: UpstashDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.redis_listing._LARGEST_PAGE", 1)
    store = await opened(database, "a", "b")
    page = await store.load_records(["a", "b", "c"])
    assert ([name for name, _ in page.records], page.next) == (["a"], "a")
    page = await store.load_records(["b", "c"])
    assert ([name for name, _ in page.records], page.next) == (["b"], "b")
    assert await store.load_records(["c"]) == RecordPage(records=(), next=None)
    await store.close()


async def test_a_page_is_one_request(database: UpstashDatabase) -> None:
    store = await opened(database, *(f"{number:03}" for number in range(201)))
    await store.complete_listing()
    before = requests_to(database)
    found, pages = await list_all(store)
    assert (len(found), pages) == (201, 3)
    assert requests_to(database) - before == 3
    await store.close()


@pytest.mark.parametrize(
    ("command", "listed"),
    [
        pytest.param(("DEL", "oauth-callback:grant:b"), ["a", "c"], id="gone"),
        pytest.param(("HDEL", "oauth-callback:grant:b", "sealed"), ["a", "b", "c"], id="no-text"),
        pytest.param(("ZADD", "oauth-callback:names", "0", "b b"), ["a", "b", "c"], id="foreign"),
        pytest.param(("ZADD", "oauth-callback:names", "0", "d"), ["a", "b", "c"], id="no-record"),
    ],
)
async def test_what_another_program_has_changed_costs_no_other_row(
    database: UpstashDatabase, command: tuple[str, ...], listed: list[str]
) -> None:
    store = await opened(database, "a", "b", "c")
    await store.complete_listing()
    execute(database, *command)
    assert await list_all(store) == (listed, 1)
    await store.close()


async def test_a_record_of_another_type_is_listed_as_unreadable(database: UpstashDatabase) -> None:
    store = await opened(database, "a", "b")
    execute(database, "SET", "oauth-callback:grant:a", "text")
    found = dict((await store.list_records(None)).records)
    assert isinstance(found["a"], UnreadableRecordError)
    assert found["b"] == record_of(authorized(1), "etag-b")
    await store.close()


async def test_a_listing_that_cannot_be_written_costs_no_record(database: UpstashDatabase) -> None:
    execute(database, "SET", "oauth-callback:names", "text")
    store = await opened(database, "a")
    assert (await store.load("a")).etag == "etag-a"
    with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
        await store.list_records(None)
    await store.close()


@pytest.mark.parametrize(
    "result",
    [
        *([], None, 5, [1], [1, None], [1, None, None], [1, 5, []]),
        *([1, None, [[]]], [1, None, ["a"]], [1, None, [["a", 1, None]]]),
    ],
    ids=str,
)
async def test_an_invalid_page_is_unavailable(result: object) -> None:
    with serving(answer("200 OK", json.dumps({"result": result}).encode())) as server:
        store = UpstashStore(server.endpoint, "not-a-real-token", SealedRecords(KEYS))
        with pytest.raises(StoreUnavailableError):
            await store.list_records(None)
        await store.close()

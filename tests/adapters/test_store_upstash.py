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

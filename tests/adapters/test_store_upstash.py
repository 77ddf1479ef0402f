"""The Upstash store: what Redis removes by itself."""

from pathlib import Path

import httpx
import pytest

from adapters.store_upstash import UpstashStore
from ports.store import LONGEST_WINDOW, StoreUnavailableError
from tests.ports.store_contract import UpstashDatabase
from tests.ports.test_store_contract import NOW

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> UpstashDatabase:
    return UpstashDatabase.at(tmp_path)


def execute(database: UpstashDatabase, *command: str) -> object:
    headers = {"authorization": f"Bearer {database.token}"}
    return httpx.post(database.url, json=command, headers=headers).json()["result"]


async def test_a_count_is_removed_some_time_after_its_window(database: UpstashDatabase) -> None:
    store = database.open()
    for number in (1, 2):
        assert await store.count("key", window_ends=NOW) == number
        (key,) = list(execute(database, "KEYS", "*"))  # type: ignore[call-overload]
        left = execute(database, "TTL", key)
        assert isinstance(left, int)
        assert LONGEST_WINDOW.total_seconds() <= left <= 2 * LONGEST_WINDOW.total_seconds()
        # It begins anew with each that is counted.
        execute(database, "PERSIST", key)
    await store.close()


async def test_answer_that_is_no_number_is_no_count(database: UpstashDatabase) -> None:
    store = database.open()
    assert isinstance(store, UpstashStore)
    await store.count("key", window_ends=NOW)
    (key,) = list(execute(database, "KEYS", "*"))  # type: ignore[call-overload]
    execute(database, "SET", key, "text")
    with pytest.raises(StoreUnavailableError):
        await store.count("key", window_ends=NOW)
    await store.close()

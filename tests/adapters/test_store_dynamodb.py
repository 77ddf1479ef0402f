"""The DynamoDB store: lost answers, and the items in the table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from adapters.dynamodb_table import DynamoDbTable
from adapters.sealed_records import SealedRecords
from adapters.store_dynamodb import DynamoDbStore
from domain.grant import Unauthorized
from ports.store import ConflictError, Store, StoreUnavailableError, UnreadableRecordError
from tests.ports.store_contract import KEYS, Contender, DynamoDbTableAt, Processes, dynamodb
from tests.ports.test_store_contract import (
    NOW,
    PENDING,
    authorized,
    refreshing,
    swap_over_the_first,
    swap_where_there_is_none,
    take_as_myself,
)
from tests.records import record_of
from tests.system.dynamodb_peer import DynamoDbPeer
from tests.system.lossy_proxy import lossy_proxy

pytestmark = pytest.mark.anyio

INSTANCES, CONNECTIONS = 2, 10
TURNS = count()


@pytest.fixture
def peer() -> DynamoDbPeer:
    return dynamodb()


@pytest.fixture
def table(peer: DynamoDbPeer) -> str:
    return peer.new_table()


@asynccontextmanager
async def opened(
    peer: DynamoDbPeer, table: str, **access: str | None
) -> AsyncIterator[DynamoDbStore]:
    """Open a store. `access` replaces parts of the access to the peer."""
    reached = DynamoDbTable(table, **{**peer.access, **access})
    store = DynamoDbStore(reached, SealedRecords(KEYS))
    try:
        yield store
    finally:
        await store.close()


def first_answers(_operation: str, attempt: int) -> bool:
    return attempt == 1


def first_answers_of_two(_operation: str, attempt: int) -> bool:
    """Lose every second one of the first answers."""
    return attempt == 1 and next(TURNS) % 2 == 0


def all_answers(_operation: str, _attempt: int) -> bool:
    return True


async def write(store: Store, connection: str = "default") -> None:
    await store.swap(connection, record_of(authorized(1), "one"), expected_etag=None)


def item_of(peer: DynamoDbPeer, table: str, key: str) -> dict[str, Any]:
    found = peer.client.get_item(TableName=table, Key={"id": {"S": key}}, ConsistentRead=True)
    item: dict[str, Any] = found["Item"]
    return item


# Lost answers


async def make_every_write(store: Store, connection: str) -> None:
    await write(store, connection)
    await store.swap(connection, record_of(authorized(2), "two"), expected_etag="one")
    await store.put_login(connection, PENDING)
    assert await store.take_login(connection, taker="taker", now=NOW) == PENDING


async def test_no_write_whose_answer_is_lost_is_a_conflict(peer: DynamoDbPeer, table: str) -> None:
    # Two instances: after a hundred failed repetitions botocore stops repeating.
    with lossy_proxy(peer.url, first_answers) as proxy:
        for instance in range(INSTANCES):
            async with opened(peer, table, endpoint_url=proxy.url) as store:
                names = [f"{instance}-{number}" for number in range(CONNECTIONS)]
                await asyncio.gather(*(make_every_write(store, name) for name in names))
    each = INSTANCES * CONNECTIONS
    assert proxy.lost == {"PutItem": 3 * each, "UpdateItem": each}


@pytest.mark.parametrize(
    ("contender", "contenders"),
    [(swap_where_there_is_none, 100), (swap_over_the_first, 100), (take_as_myself, 50)],
)
async def test_one_of_many_in_several_processes_wins_though_answers_are_lost(
    peer: DynamoDbPeer,
    table: str,
    processes: Processes,
    contender: Contender[tuple[int, object]],
    contenders: int,
) -> None:
    async with opened(peer, table) as store:
        if contender is swap_over_the_first:
            await store.swap("default", record_of(authorized(-1), "first"), expected_etag=None)
        await store.put_login("key", PENDING)
        with lossy_proxy(peer.url, first_answers_of_two) as proxy:
            address = DynamoDbTableAt(table, {**peer.access, "endpoint_url": proxy.url})
            results = await asyncio.to_thread(
                processes.contend, address, contender, contenders=contenders
            )
        assert len(results) == contenders
        assert proxy.lost.total() > 0
        if contender is take_as_myself:
            taken = [number for number, pending in results if pending == PENDING]
            assert len(taken) == 1
            assert await store.take_login("key", taker=f"taker-{taken[0]}", now=NOW) == PENDING
            return
        [winner] = [number for number, current in results if current is None]
        written = record_of(authorized(winner), f"etag-{winner}")
        assert all(current in {None, written} for _, current in results)
        assert await store.load("default") == written


async def test_a_write_whose_answers_were_all_lost_is_unavailable_and_then_complete(
    peer: DynamoDbPeer, table: str
) -> None:
    with lossy_proxy(peer.url, all_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            with pytest.raises(StoreUnavailableError):
                await write(store)
            proxy.stop_losing()
            await write(store)
            assert await store.load("default") == record_of(authorized(1), "one")


async def test_a_write_whose_answer_is_lost_conflicts_with_another_one(
    peer: DynamoDbPeer, table: str
) -> None:
    with lossy_proxy(peer.url, first_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            await write(store)
            with pytest.raises(ConflictError) as caught:
                await store.swap(
                    "default",
                    record_of(authorized(2), "two"),
                    expected_etag=None,
                )
    assert caught.value.current == record_of(authorized(1), "one")


async def test_a_login_is_put_and_taken_once_though_the_answers_are_lost(
    peer: DynamoDbPeer, table: str
) -> None:
    with lossy_proxy(peer.url, first_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            await store.put_login("key", PENDING)
            assert await store.take_login("key", taker="one", now=NOW) == PENDING
            assert await store.take_login("key", taker="two", now=NOW) is None
    assert proxy.lost.keys() == {"PutItem", "UpdateItem"}


async def test_a_login_that_is_put_again_too_late_stays_taken(
    peer: DynamoDbPeer, table: str
) -> None:
    async with opened(peer, table) as store:
        await store.put_login("key", PENDING)
        assert await store.take_login("key", taker="one", now=NOW) == PENDING
        with pytest.raises(StoreUnavailableError, match="another login"):
            await store.put_login("key", PENDING)
        assert await store.take_login("key", taker="two", now=NOW) is None


# Items in the table


async def test_an_expired_login_that_is_still_in_the_table_is_not_returned(
    peer: DynamoDbPeer, table: str
) -> None:
    async with opened(peer, table) as store:
        await store.put_login("key", PENDING)
        expired = await store.take_login("key", taker="one", now=PENDING.expires_at)
        kept_until = int(item_of(peer, table, "login#key")["delete_after"]["N"])
    assert expired is None
    assert kept_until > PENDING.expires_at.timestamp()


async def test_a_count_is_removed_by_the_table_once_its_window_is_over(
    peer: DynamoDbPeer, table: str
) -> None:
    async with opened(peer, table) as store:
        assert await store.count("key", window_ends=NOW) == 1
    item = item_of(peer, table, f"count#{NOW.timestamp()}#key")
    assert NOW.timestamp() < int(item["delete_after"]["N"]) < NOW.timestamp() + 3600
    assert item.keys() == {"id", "how_many", "delete_after"}


async def test_a_count_continues_though_answers_are_lost(peer: DynamoDbPeer, table: str) -> None:
    with lossy_proxy(peer.url, first_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            # Each is counted twice, on the safe side.
            assert [await store.count("key", window_ends=NOW) for _ in range(3)] == [2, 4, 6]


async def test_only_a_grant_that_will_be_due_is_in_the_index(
    peer: DynamoDbPeer, table: str
) -> None:
    def index() -> list[str]:
        found = peer.client.scan(TableName=table, IndexName="due")["Items"]
        return [item["id"]["S"] for item in found]

    async with opened(peer, table) as store:
        await store.put_login("key", PENDING)
        await store.swap("one", record_of(refreshing(NOW), "1"), expected_etag=None)
        assert index() == ["grant#one"]
        await store.swap("one", record_of(Unauthorized(), "2"), expected_etag="1")
        assert index() == []


async def test_items_are_sealed(peer: DynamoDbPeer, table: str) -> None:
    async with opened(peer, table) as store:
        await write(store)
        await store.put_login("key", PENDING)
    kept = str(peer.client.scan(TableName=table)["Items"])
    assert "grant#default" in kept
    assert "access-1" not in kept
    assert "verifier" not in kept


@pytest.mark.parametrize(
    "item",
    [
        {"etag": {"N": "1"}},
        {"etag": {"B": b"\0"}, "sealed": {"S": "x"}},
        {"etag": {"S": "x"}},
        {"etag": {"S": "x"}, "sealed": {"L": []}},
    ],
    ids=str,
)
async def test_a_foreign_item_cannot_be_read_and_a_login_replaces_it(
    peer: DynamoDbPeer, table: str, item: dict[str, Any]
) -> None:
    peer.client.put_item(TableName=table, Item={"id": {"S": "grant#default"}, **item})
    async with opened(peer, table) as store:
        with pytest.raises(UnreadableRecordError) as caught:
            await store.load("default")
        assert caught.value.is_damaged
        with pytest.raises(UnreadableRecordError):
            await write(store)
        after = record_of(authorized(1), "one")
        await store.swap("default", after, expected_etag=caught.value.etag)
        assert await store.load("default") == after
        other = record_of(authorized(2), "two")
        with pytest.raises(ConflictError):
            await store.swap("default", other, expected_etag=caught.value.etag)

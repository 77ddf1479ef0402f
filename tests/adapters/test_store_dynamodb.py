"""The DynamoDB store: answers that are lost, and what is in the table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.sealed_records import SealedRecords
from adapters.store_dynamodb import DynamoDbStore
from domain.grant import Unauthorized
from ports.store import ConflictError, Record, Store, StoreUnavailableError
from tests.ports.store_contract import KEYS, dynamodb
from tests.ports.test_store_contract import NOW, PENDING, authorized, refreshing
from tests.system.dynamodb_peer import DynamoDbPeer
from tests.system.lossy_proxy import lossy_proxy

pytestmark = pytest.mark.anyio

INSTANCES, WRITES = 4, 50


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
    """Open a store; `access` differs from how the peer is reached."""
    store = DynamoDbStore(table, SealedRecords(KEYS), **{**peer.access, **access})
    try:
        yield store
    finally:
        await store.close()


def first_answers(_operation: str, attempt: int) -> bool:
    return attempt == 1


def all_answers(_operation: str, _attempt: int) -> bool:
    return True


async def write(store: Store, connection: str = "default") -> None:
    await store.swap(connection, expected_etag=None, new_etag="one", grant=authorized(1))


def item_of(peer: DynamoDbPeer, table: str, key: str) -> dict[str, Any]:
    found = peer.client.get_item(TableName=table, Key={"id": {"S": key}}, ConsistentRead=True)
    item: dict[str, Any] = found["Item"]
    return item


# Lost answers


async def test_of_two_hundred_writes_whose_answers_are_lost_none_is_taken_for_a_conflict(
    peer: DynamoDbPeer, table: str
) -> None:
    # Instances, because botocore stops repeating after a hundred repetitions that were no success.
    with lossy_proxy(peer.url, first_answers) as proxy:
        for instance in range(INSTANCES):
            async with opened(peer, table, endpoint_url=proxy.url) as store:
                writes = (write(store, f"{instance}-{number}") for number in range(WRITES))
                await asyncio.gather(*writes)
    assert proxy.lost["PutItem"] == INSTANCES * WRITES == 200


async def test_a_write_whose_answers_were_all_lost_is_unknown_and_then_found_done(
    peer: DynamoDbPeer, table: str
) -> None:
    with lossy_proxy(peer.url, all_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            with pytest.raises(StoreUnavailableError):
                await write(store)
            proxy.is_lossy = False
            await write(store)
            assert await store.load("default") == Record(grant=authorized(1), etag="one")


async def test_a_write_whose_answer_is_lost_still_meets_the_conflict_with_somebody_elses(
    peer: DynamoDbPeer, table: str
) -> None:
    with lossy_proxy(peer.url, first_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            await write(store)
            with pytest.raises(ConflictError) as caught:
                await store.swap("default", expected_etag=None, new_etag="two", grant=authorized(2))
    assert caught.value.current == Record(grant=authorized(1), etag="one")


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


# What is in the table


async def test_a_login_that_has_expired_is_not_given_out_though_the_table_still_has_it(
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


async def test_a_count_goes_on_though_the_answers_are_lost(peer: DynamoDbPeer, table: str) -> None:
    with lossy_proxy(peer.url, first_answers) as proxy:
        async with opened(peer, table, endpoint_url=proxy.url) as store:
            # Each is counted twice; that is on the side of who counts.
            assert [await store.count("key", window_ends=NOW) for _ in range(3)] == [2, 4, 6]


async def test_only_a_grant_that_will_be_due_is_in_the_index(
    peer: DynamoDbPeer, table: str
) -> None:
    def index() -> list[str]:
        found = peer.client.scan(TableName=table, IndexName="due")["Items"]
        return [item["id"]["S"] for item in found]

    async with opened(peer, table) as store:
        await store.put_login("key", PENDING)
        await store.swap("one", expected_etag=None, new_etag="1", grant=refreshing(NOW))
        assert index() == ["grant#one"]
        await store.swap("one", expected_etag="1", new_etag="2", grant=Unauthorized())
        assert index() == []


async def test_what_is_kept_is_sealed(peer: DynamoDbPeer, table: str) -> None:
    async with opened(peer, table) as store:
        await write(store)
        await store.put_login("key", PENDING)
    kept = str(peer.client.scan(TableName=table)["Items"])
    assert "grant#default" in kept
    assert "access-1" not in kept
    assert "verifier" not in kept


async def test_item_that_is_not_the_stores_is_no_record(peer: DynamoDbPeer, table: str) -> None:
    peer.client.put_item(TableName=table, Item={"id": {"S": "grant#default"}, "etag": {"N": "1"}})
    async with opened(peer, table) as store:
        with pytest.raises(StoreUnavailableError, match="'etag'"):
            await store.load("default")
        with pytest.raises(StoreUnavailableError, match="'etag'"):
            await write(store)

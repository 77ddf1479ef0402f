"""The DynamoDB store: lost answers, and the items in the table."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from adapters.dynamodb_agenda import SHARDS
from adapters.dynamodb_table import BATCH_READ, DynamoDbTable
from adapters.sealed_records import SealedRecords
from adapters.store_dynamodb import DynamoDbStore
from domain.grant import Unauthorized
from ports.store import ConflictError, Due, Store, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import SECOND
from tests.ports.store_contract import KEYS, Contender, DynamoDbTableAt, Processes, dynamodb
from tests.ports.test_store_contract import (
    NOW,
    PENDING,
    authorized,
    due,
    fill,
    refreshing,
    swap_over_the_first,
    swap_where_there_is_none,
    take_as_myself,
    walk_due,
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


# The agenda


class CountingTable(DynamoDbTable):
    """A table that counts its calls, and leaves items out of some answers, as a throttled one."""

    def __init__(self, peer: DynamoDbPeer, name: str, *, most: int = 100) -> None:
        super().__init__(name, **peer.access)
        self.calls: Counter[str] = Counter()
        self._most = most

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        self.calls[operation] += 1
        if operation != BATCH_READ:
            return await super().call(operation, **arguments)
        keys: Any = arguments.pop("Keys")
        answer = await super().call(operation, Keys=keys[: self._most], **arguments)
        return {**answer, "UnprocessedKeys": keys[self._most :]}


async def as_the_last_version_wrote_it(peer: DynamoDbPeer, table: str, *names: str) -> None:
    for name in names:
        peer.client.update_item(
            TableName=table,
            Key={"id": {"S": f"grant#{name}"}},
            UpdateExpression="SET agenda = :agenda",
            ExpressionAttributeValues={":agenda": {"S": "refresh"}},
        )


async def test_a_walk_costs_a_query_a_page_and_a_few_of_each_part(
    peer: DynamoDbPeer, table: str
) -> None:
    counting = CountingTable(peer, table)
    store = DynamoDbStore(counting, SealedRecords(KEYS))
    names = [f"{number:03}" for number in range(200)]
    await fill(store, {name: refreshing(NOW + int(name) * SECOND) for name in names})
    counting.calls.clear()
    assert [name for _, name in await walk_due(store, 5, None)] == names
    # The last page of a part may be short, or empty.
    assert 40 <= counting.calls["query"] <= 40 + 2 * (SHARDS + 1)
    # Two sweeps take turns, and each skips what the other has taken.
    counting.calls.clear()
    found, after = list[str](), None
    while page := await store.due(after, None, limit=5):
        found += [name for _, name in page]
        between = await DynamoDbStore(counting, SealedRecords(KEYS)).due(page[-1], None, limit=5)
        found += [name for _, name in between]
        after = between[-1] if between else page[-1]
    assert found == names
    await store.close()


async def test_dates_of_the_last_version_are_read_and_moved_although_it_is_stopped_half_way(
    peer: DynamoDbPeer, table: str
) -> None:
    class Stopped(CountingTable):
        async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
            if self.calls["update_item"] == 30:
                raise StoreUnavailableError("stopped")
            return await super().call(operation, **arguments)

    def agendas() -> Counter[str]:
        items = peer.client.scan(TableName=table, IndexName="due")["Items"]
        return Counter("old" if item["agenda"] == {"S": "refresh"} else "new" for item in items)

    names = [f"{number:03}" for number in range(60)]
    async with opened(peer, table) as store:
        await fill(store, {name: refreshing(NOW - int(name) * SECOND) for name in names})
        await as_the_last_version_wrote_it(peer, table, *names)
        before = await walk_due(store, 7, NOW)
        assert [name for _, name in before] == names[::-1]
        # A record that is written enters its part. One is not due any more.
        record = record_of(refreshing(NOW - 7 * SECOND), "two")
        await store.swap("007", record, expected_etag="etag-007")
        await store.swap("059", record_of(Unauthorized(), "two"), expected_etag="etag-059")
        assert agendas() == {"old": 58, "new": 1}
        stopped = DynamoDbStore(Stopped(peer, table), SealedRecords(KEYS))
        with pytest.raises(StoreUnavailableError, match="stopped"):
            await stopped.complete_listing()
        await stopped.close()
        moved = agendas()
        assert 0 < moved["old"] < 58
        assert await walk_due(store, 7, NOW) == before[1:]
        # A walk may miss what moves meanwhile. It has the others in order, each once.
        page = await store.due(None, NOW, limit=7)
        await store.complete_listing()
        found = page + await walk_due(store, 7, NOW, page[-1])
        assert found == sorted(set(found))
        assert set(found) < set(before)
        # The next one has all.
        assert await walk_due(store, 100, None) == before[1:]
        assert agendas() == {"new": 59}
        assert await store.load("003") == record_of(refreshing(NOW - 3 * SECOND), "etag-003")


async def test_the_move_changes_nothing_that_is_written_or_deleted_meanwhile(
    peer: DynamoDbPeer, table: str
) -> None:
    class Writing(CountingTable):
        async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
            if operation == "update_item" and not self.calls[operation]:
                async with opened(peer, table) as other:
                    later = record_of(refreshing(NOW + SECOND), "two")
                    await other.swap("written", later, expected_etag="etag-written")
                peer.client.delete_item(TableName=table, Key={"id": {"S": "grant#deleted"}})
            return await super().call(operation, **arguments)

    store = DynamoDbStore(Writing(peer, table), SealedRecords(KEYS))
    await fill(store, dict.fromkeys(("written", "deleted"), refreshing(NOW)))
    await as_the_last_version_wrote_it(peer, table, "written", "deleted")
    await store.complete_listing()
    assert await walk_due(store, 10, None) == [Due((NOW + SECOND).timestamp(), "written")]
    assert item_of(peer, table, "grant#written")["agenda"] != {"S": "refresh"}
    assert [name async for name in store.connections()] == ["written"]
    await store.close()


async def test_an_item_that_moves_after_it_was_read_ahead_is_found_once(
    peer: DynamoDbPeer, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dynamodb_agenda.SHARDS", 1)
    async with opened(peer, table) as store:
        await fill(store, {name: refreshing(NOW + n * SECOND) for n, name in enumerate("abcx")})
        await as_the_last_version_wrote_it(peer, table, "x")
        first = await store.due(None, None, limit=1)
        await store.complete_listing()
        found = first + await walk_due(store, 10, None, first[-1])
        assert [name for _, name in found] == ["a", "b", "c", "x"]


async def test_many_of_one_date_in_one_part_are_read_in_the_order_of_their_names(
    peer: DynamoDbPeer, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dynamodb_agenda.SHARDS", 1)
    async with opened(peer, table) as store:
        # In another order than the names, and than any hash of theirs.
        names = [f"{7 * number % 31:02}" for number in range(31)]
        await fill(store, dict.fromkeys(names, refreshing(NOW)))
        await fill(store, {"before": refreshing(NOW - SECOND), "later": refreshing(NOW + SECOND)})
        for limit in (2, 3):
            found = await walk_due(store, limit, None)
            assert [name for _, name in found] == ["before", *sorted(names), "later"]


# The listing


async def list_all(store: Store, *, limit: int = 100) -> list[str]:
    found: list[str] = []
    page = await store.list_records(None, limit=limit)
    while True:
        found += [name for name, _ in page.records]
        if page.next is None:
            return found
        page = await store.list_records(page.next, limit=limit)


async def test_a_walk_costs_a_call_a_page_and_one_for_a_thousand_names(
    peer: DynamoDbPeer, table: str
) -> None:
    counting = CountingTable(peer, table)
    store = DynamoDbStore(counting, SealedRecords(KEYS))
    names = [f"{number:03}" for number in range(230)]
    for name in names:
        await write(store, name)
    counting.calls.clear()
    assert await list_all(store) == names
    assert counting.calls == {"query": 1, BATCH_READ: 3}
    # Another walk finds what is new.
    await write(store, "000-new")
    counting.calls.clear()
    assert await list_all(store) == ["000", "000-new", *names[1:]]
    assert counting.calls == {"query": 1, BATCH_READ: 3}
    await store.close()


async def test_more_names_than_a_query_returns_are_listed(
    peer: DynamoDbPeer, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dynamodb_listing._NAMES_AHEAD", 7)
    async with opened(peer, table) as store:
        names = [f"{number:02}" for number in range(24)]
        for name in names:
            await write(store, name)
        for limit in (1, 3, 7, 8, 100):
            assert await list_all(store, limit=limit) == names


async def test_items_that_were_left_out_are_read_again(peer: DynamoDbPeer, table: str) -> None:
    counting = CountingTable(peer, table, most=3)
    store = DynamoDbStore(counting, SealedRecords(KEYS))
    names = [f"{number}" for number in range(8)]
    for name in names:
        await write(store, name)
    assert await list_all(store) == names
    assert counting.calls[BATCH_READ] == 3
    await store.close()


async def test_a_record_that_is_gone_is_not_listed(peer: DynamoDbPeer, table: str) -> None:
    async with opened(peer, table) as store:
        for name in ("a", "b", "c"):
            await write(store, name)
        await store.list_records(None, limit=1)
        peer.client.delete_item(TableName=table, Key={"id": {"S": "grant#b"}})
        # Its name was read already.
        assert [name for name, _ in (await store.list_records("a", limit=2)).records] == ["c"]


async def test_items_of_the_last_version_are_listed_once_the_listing_is_completed(
    peer: DynamoDbPeer, table: str
) -> None:
    counting = CountingTable(peer, table)
    store = DynamoDbStore(counting, SealedRecords(KEYS))
    for name in ("due", "not-due", "foreign name", "refreshed"):
        record = record_of(refreshing(NOW) if name == "due" else authorized(1), "one")
        await store.swap(name, record, expected_etag=None)
        # As the last version wrote it.
        peer.client.update_item(
            TableName=table, Key={"id": {"S": f"grant#{name}"}}, UpdateExpression="REMOVE listing"
        )
    await store.put_login("key", PENDING)
    assert await list_all(store) == []
    # A new version enters what it writes.
    await store.swap("refreshed", record_of(authorized(2), "two"), expected_etag="one")
    assert await list_all(store) == ["refreshed"]
    counting.calls.clear()
    await store.complete_listing()
    assert await list_all(store) == ["due", "not-due", "refreshed"]
    assert counting.calls["scan"] == 1
    assert await store.load("due") == record_of(refreshing(NOW), "one")
    assert await due(store, NOW) == ["due"]
    # Once per table.
    await store.complete_listing()
    assert counting.calls["scan"] == 1
    assert [name async for name in store.connections()] != []
    await store.close()


async def test_the_completion_of_the_listing_restores_no_item(
    peer: DynamoDbPeer, table: str
) -> None:
    """An operator deletes an item between the scan and its update."""

    class Deleting(CountingTable):
        async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
            answer = await super().call(operation, **arguments)
            if operation == "scan":
                peer.client.delete_item(TableName=table, Key={"id": {"S": "grant#a"}})
            return answer

    item = {"id": {"S": "grant#a"}, "etag": {"S": "one"}, "sealed": {"S": "x"}}
    peer.client.put_item(TableName=table, Item=item)
    store = DynamoDbStore(Deleting(peer, table), SealedRecords(KEYS))
    await store.complete_listing()
    assert (await store.load("a")).etag is None
    assert await list_all(store) == []
    await store.close()


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

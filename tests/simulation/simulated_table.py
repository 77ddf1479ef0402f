"""The DynamoDB store as it is, over a simulated table that evaluates what it asks for.

A write is judged by the content of the table after it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from adapters.aws_client import _READ_LIMIT, _TRIES
from adapters.dynamodb_table import ConditionFailedError
from adapters.sealed_records import SealedRecords
from adapters.store_dynamodb import DynamoDbStore
from domain.grant import Unauthorized
from functions.refresh.sweep_walk import SWEEP
from ports.store import Record, StoreUnavailableError
from tests.records import record_of
from tests.simulation.exchanges import Call, current_call
from tests.simulation.instance import Instance
from tests.simulation.moto_table import MotoTable
from tests.simulation.store_network import NetworkedStore, current_instance
from tests.simulation.watching import RING, Keys, watched_load, watched_swap

if TYPE_CHECKING:
    from tests.simulation.world import World

_GRANT = "grant#"
# How far the index may be behind the table, and a read without ConsistentRead.
_LAGS = (0.0, 0.05, 1.0, 30.0)


class SimulatedTable(NetworkedStore):
    """A table behind a network, and a client that repeats a call once, as botocore does."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._items = MotoTable()
        self._behind = MotoTable()
        self._records = SealedRecords(RING)
        self._store = WatchedStore(world, self, Keys(world, self._opens))

    @property
    def port(self) -> "WatchedStore":
        """The store of the instances."""
        return self._store

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Return the answer to an operation. Raises ConditionFailedError, StoreUnavailableError."""
        connection, writes = connection_of(arguments), operation == "put_item"
        if connection == SWEEP:
            # It is about no connection, and a fault may concern any.
            connection = None
        work = partial(
            self._evaluate, current_instance(), current_call.get(None), operation, arguments
        )
        for tries_left in reversed(range(_TRIES)):
            is_spared = _is_one_of_many(arguments) and self._world.loop.time() >= self.away_until
            fault = None if is_spared else self._fault(operation, connection, writes=writes)
            try:
                async with asyncio.timeout(_READ_LIMIT.total_seconds()):
                    answer = await self._carry(work, fault)
            except (StoreUnavailableError, TimeoutError) as error:
                if not tries_left:
                    raise StoreUnavailableError("simulated") from error
            else:
                assert isinstance(answer, Mapping)
                return answer
            # botocore waits for up to a second before it repeats a call for the first time.
            await asyncio.sleep(self._world.fate.random())
        raise AssertionError("there is one try at least")

    def close(self) -> None:
        """Do nothing: there is no connection."""

    # At the table.

    def _evaluate(
        self, process: Instance, call: Call | None, operation: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if operation == "put_item":
            return self._put(process, call, arguments)
        table = self._items if arguments.get("ConsistentRead") else self._behind
        return table.evaluate(operation, **arguments)

    def _put(
        self, process: Instance, call: Call | None, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        world, connection = self._world, connection_of(arguments)
        assert connection is not None
        if connection == SWEEP:
            return self._items.evaluate("put_item", **arguments)
        assert call is not None
        before = self._current(connection)
        try:
            answer = self._items.evaluate("put_item", **arguments)
        except ConditionFailedError:
            world.note(process.name, f"{connection}: put_item: the condition fails")
            raise
        world.later(world.fate.choice(_LAGS), self._catch_up, connection)
        after = self._current(connection)
        process.has_read.add(str(after.etag))
        self._judge_write(process, call, connection, before=before, after=after)
        return answer

    def _catch_up(self, connection: str) -> None:
        if item := self._items.item(_GRANT + connection):
            self._behind.evaluate("put_item", Item=item)

    def _current(self, connection: str) -> Record:
        item = self._items.item(_GRANT + connection)
        if not item:
            return record_of(Unauthorized(), None)
        return self._records.open_record(connection, item["etag"]["S"], item["sealed"]["S"])

    def _rename(self, connection: str, etag: str) -> None:
        record = replace(self._current(connection), etag=etag)
        sealed = self._records.seal_record(connection, record)
        item = self._items.item(_GRANT + connection)
        renamed = {**item, "etag": {"S": etag}, "sealed": {"S": sealed}}
        self._items.evaluate("put_item", Item=renamed)

    def _remove(self, connection: str) -> None:
        self._items.evaluate("delete_item", Key={"id": {"S": _GRANT + connection}})


class WatchedStore(DynamoDbStore):
    """The adapter, which records the answers to its callers."""

    def __init__(self, world: "World", table: SimulatedTable, keys: Keys) -> None:
        super().__init__(table, keys)
        self._world = world

    async def load(self, connection: str) -> Record:
        """Return the latest record, and note for how long it is waited for."""
        with watched_load(self._world, connection):
            return await super().load(connection)

    async def complete_listing(self) -> None:
        """Do nothing: no earlier version has written a record."""

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record if its etag is the expected one; note that it cannot be, or judge."""
        with watched_swap(self._world, connection, record):
            await super().swap(connection, record, expected_etag=expected_etag)


def _is_one_of_many(arguments: Mapping[str, Any]) -> bool:
    """Whether a query is of a part of the index. Faults of each would spoil every sweep."""
    agenda = arguments.get("ExpressionAttributeValues", {}).get(":agenda", {}).get("S", "")
    return "#" in agenda


def connection_of(arguments: Mapping[str, Any]) -> str | None:
    """Name the connection that a request is about; None where it is about many."""
    about = arguments.get("Item") or arguments.get("Key")
    return None if about is None else str(about["id"]["S"]).removeprefix(_GRANT)

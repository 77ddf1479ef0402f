"""The listing of records in DynamoDB: an index of the names, and the records of a page.

The index `listing` has only the keys of the items that have the attribute `listing`, in name order.
A swap does not change these keys, so that only a new connection costs a write of the index.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from adapters.dynamodb_table import ConditionFailedError, Item
from adapters.listing import NameRange, names_after
from adapters.sealed_records import SealedRecords
from domain.connection import is_connection
from ports.store import RecordPage, StoreUnavailableError

GRANT = "grant#"
"""The prefix of the key of each record."""

# One value for all records. The index takes a thousand new connections per second.
_LISTING = {"S": "grants"}
_COMPLETE = {"id": {"S": "meta#listing"}}
# Names that one query reads, for the next pages of the same walk.
_NAMES_AHEAD = 1000
_AHEAD_LIMIT = timedelta(seconds=30)
# Before another try to read the items that DynamoDB left out.
_PAUSE = timedelta(seconds=0.05)
_MAX_CONCURRENCY = 16


class Table(Protocol):
    """The table of the items: `DynamoDbTable`, or one that evaluates the same calls."""

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an operation. Raises ConditionFailedError, StoreUnavailableError."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def listing_of(connection: str) -> Item:
    """Return the attribute that enters a record into the listing."""
    return {"listing": _LISTING} if is_connection(connection) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Names of a range, in order. Without `is_all` there are more."""

    of: NameRange
    names: Sequence[str]
    is_all: bool
    read_at: float = field(default_factory=time.monotonic)

    def has_page(self, wanted: NameRange, limit: int) -> bool:
        """Whether a page of the range can be taken from these."""
        is_recent = time.monotonic() - self.read_at < _AHEAD_LIMIT.total_seconds()
        return self.of == wanted and is_recent and (self.is_all or len(self.names) > limit)


class DynamoDbListing:
    """Reads the records of a table in pages."""

    def __init__(self, table: Table, records: SealedRecords) -> None:
        self._table = table
        self._records = records
        # The names after the last page.
        self._ahead: _Names | None = None

    async def page(self, after: str | None, *, limit: int, prefix: str) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError."""
        wanted, ahead = names_after(after, prefix), self._ahead
        if ahead is None or not ahead.has_page(wanted, limit):
            ahead = await self._query_names(wanted)
        names, rest = ahead.names[:limit], ahead.names[limit:]
        last = names[-1] if names and (rest or not ahead.is_all) else None
        if last is not None:
            self._ahead = _Names(
                of=names_after(last, prefix),
                names=rest,
                is_all=ahead.is_all,
                read_at=ahead.read_at,
            )
        return await self._record_page(names, last)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the records of some connections. Raises StoreUnavailableError."""
        return await self._record_page(connections, None)

    async def _record_page(self, names: Sequence[str], last: str | None) -> RecordPage:
        items = await self._get_items(names)
        return RecordPage(
            records=tuple(
                (name, self._records.open_listed(name, *_stored(items[name])))
                for name in names
                if name in items and is_connection(name)
            ),
            next=last,
        )

    async def _query_names(self, wanted: NameRange) -> _Names:
        page = await self._table.call(
            "query",
            IndexName="listing",
            KeyConditionExpression="listing = :listing AND id BETWEEN :first AND :end",
            ExpressionAttributeValues={
                ":listing": _LISTING,
                ":first": {"S": GRANT + wanted.first},
                ":end": {"S": GRANT + wanted.end},
            },
            Limit=_NAMES_AHEAD,
        )
        names = [text_of(item, "id").removeprefix(GRANT) for item in items_of(page)]
        return _Names(of=wanted, names=names, is_all="LastEvaluatedKey" not in page)

    async def _get_items(self, names: Sequence[str]) -> Mapping[str, Item]:
        """Return the items of some connections, each as it is now."""
        found: dict[str, Item] = {}
        keys: Sequence[Item] = [{"id": {"S": GRANT + name}} for name in names]
        while keys:
            answer = await self._table.call("batch_get_item", Keys=keys, ConsistentRead=True)
            for item in items_of(answer):
                found[text_of(item, "id").removeprefix(GRANT)] = item
            keys = answer.get("UnprocessedKeys", ())
            if keys:
                # It was throttled, or the answer would be too large.
                await asyncio.sleep(_PAUSE.total_seconds())
        return found

    async def complete(self) -> None:
        """Enter the records of earlier versions into the listing, once per table.

        Raises StoreUnavailableError.
        """
        done = await self._table.call("get_item", Key=_COMPLETE, ConsistentRead=True)
        if "Item" in done:
            return
        start: dict[str, object] = {}
        while True:
            page = await self._table.call(
                "scan",
                ConsistentRead=True,
                FilterExpression="begins_with(id, :grant) AND attribute_not_exists(listing)",
                ExpressionAttributeValues={":grant": {"S": GRANT}},
                ProjectionExpression="id",
                **start,
            )
            await self._enter([text_of(item, "id").removeprefix(GRANT) for item in items_of(page)])
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        await self._table.call(
            "update_item",
            Key=_COMPLETE,
            UpdateExpression="SET complete = :true",
            ExpressionAttributeValues={":true": {"BOOL": True}},
        )

    async def _enter(self, names: Sequence[str]) -> None:
        fitting = list(filter(is_connection, names))
        for start in range(0, len(fitting), _MAX_CONCURRENCY):
            await asyncio.gather(*map(self._enter_one, fitting[start : start + _MAX_CONCURRENCY]))

    async def _enter_one(self, name: str) -> None:
        try:
            await self._table.call(
                "update_item",
                Key={"id": {"S": GRANT + name}},
                UpdateExpression="SET listing = :listing",
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeValues={":listing": _LISTING},
            )
        except ConditionFailedError:
            # An operator has deleted the item meanwhile.
            return


def items_of(page: Mapping[str, Any]) -> list[Item]:
    """Return the items of a page, or raise StoreUnavailableError."""
    if "Items" not in page:
        raise StoreUnavailableError("DynamoDB returned a page without items")
    items: list[Item] = page["Items"]
    return items


def text_of(item: Item, name: str, *, kind: str = "S") -> str:
    """Return an attribute of an item, or raise StoreUnavailableError."""
    try:
        return item[name][kind]
    except KeyError as error:
        raise StoreUnavailableError(f"DynamoDB returned an item without {name!r}") from error


def _stored(item: Item) -> tuple[str | None, str | None]:
    return item.get("etag", {}).get("S"), item.get("sealed", {}).get("S")

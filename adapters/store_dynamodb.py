"""The store in one DynamoDB table: one request per operation, two for a page of records.

A page of the due connections takes one for each part of the index `due` (`dynamodb_agenda`).

`infra/aws/table.json` defines the table. Its key `id` is `grant#CONNECTION`, `login#KEY` or
`count#WINDOW#KEY`. Only grants that become due have `agenda` and `due_at`, the keys of the index
`due`. Only grants have `listing`, a key of the index `listing`. Only logins and counts have
`delete_after`, the table's time to live.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from adapters.dynamodb_listing import (
    GRANT,
    DynamoDbListing,
    Table,
    items_of,
    listing_of,
    text_of,
)
from adapters.dynamodb_table import ConditionFailedError, Item
from adapters.sealed_records import SealedRecords
from domain.authorization import PendingLogin
from domain.grant import Unauthorized
from ports.store import (
    LARGEST_PAGE,
    NO_ETAG,
    ConflictError,
    Due,
    Record,
    RecordPage,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    # Imported where it is made: reading a fresh token must not pay for it.
    from adapters.dynamodb_agenda import DynamoDbAgenda

_LOGIN = "login#"
_COUNT = "count#"
# DynamoDB removes items late, by its clock. Whether a login has expired depends on our clock.
_DELETION_DELAY = timedelta(minutes=1)


class DynamoDbStore:
    """Stores encrypted records as items, with consistent reads and conditional writes."""

    def __init__(self, table: Table, records: SealedRecords) -> None:
        self._table = table
        self._records = records
        self._agenda: DynamoDbAgenda | None = None
        self._listing = DynamoDbListing(table, records)

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        answer = await self._table.call(
            "get_item", Key={"id": {"S": GRANT + connection}}, ConsistentRead=True
        )
        return self._record(connection, answer.get("Item", {}))

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        item = {
            "id": {"S": GRANT + connection},
            "etag": {"S": record.etag},
            "sealed": {"S": self._records.seal_record(connection, record)},
            **listing_of(connection),
            **_when_due(connection, record),
        }
        try:
            await self._table.call("put_item", Item=item, **_if_etag_is(expected_etag))
        except ConditionFailedError as failed:
            # Our own etag: a retry after a lost answer.
            if failed.item.get("etag") != item["etag"]:
                raise ConflictError(self._record(connection, failed.item)) from failed

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections after `after` that are due until `before`.

        The index follows the table with a delay, so a recent change may be missing.

        Raises StoreUnavailableError.
        """
        return await self._open_agenda().page(after, before, limit=limit)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the latest records of some connections. Raises StoreUnavailableError."""
        return await self._listing.load_records(connections)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError.

        The index follows the table with a delay, so a new connection may be missing.
        """
        return await self._listing.page(after, limit=limit, prefix=prefix)

    async def complete_listing(self) -> None:
        """Enter the records of earlier versions into the indexes. Raises StoreUnavailableError.

        It needs `dynamodb:Scan`, once per table.
        """
        await self._open_agenda().complete()
        await self._listing.complete()

    async def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record. Raises StoreUnavailableError."""
        start: dict[str, object] = {}
        while True:
            page = await self._table.call(
                "scan",
                ConsistentRead=True,
                FilterExpression="begins_with(id, :grant)",
                ExpressionAttributeValues={":grant": {"S": GRANT}},
                ProjectionExpression="id",
                **start,
            )
            for item in items_of(page):
                yield text_of(item, "id").removeprefix(GRANT)
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Store a pending login. Raises StoreUnavailableError."""
        sealed = {"S": self._records.seal_login(key, pending)}
        try:
            await self._table.call(
                "put_item",
                Item={
                    "id": {"S": _LOGIN + key},
                    "sealed": sealed,
                    "delete_after": _deletion_time(pending.expires_at),
                },
                # A late retry must not restore a login that was taken meanwhile.
                **_if_etag_is(None),
            )
        except ConditionFailedError as failed:
            if failed.item.get("sealed") != sealed:
                raise StoreUnavailableError("another login has this key") from failed

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker only. Raises StoreUnavailableError."""
        try:
            answer = await self._table.call(
                "update_item",
                Key={"id": {"S": _LOGIN + key}},
                UpdateExpression="SET taker = :taker",
                # The taker stays, so that the same taker can repeat the call after a lost answer.
                ConditionExpression=(
                    "attribute_exists(id) AND (attribute_not_exists(taker) OR taker = :taker)"
                ),
                ExpressionAttributeValues={":taker": {"S": taker}},
                ReturnValues="ALL_NEW",
            )
        except ConditionFailedError:
            return None
        if "Attributes" not in answer:
            raise StoreUnavailableError("DynamoDB returned an update without attributes")
        sealed = answer["Attributes"].get("sealed", {}).get("S")
        return self._records.open_login(key, sealed, now=now)

    async def forget_expired(self, now: datetime) -> None:
        """Do nothing: DynamoDB removes expired items by their time to live."""

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to a count and return the new count. Raises StoreUnavailableError.

        A request whose answer is lost is sent again, and counts twice.
        """
        answer = await self._table.call(
            "update_item",
            Key={"id": {"S": f"{_COUNT}{window_ends.timestamp()}#{key}"}},
            UpdateExpression="ADD how_many :one SET delete_after = :delete_after",
            ExpressionAttributeValues={
                ":one": {"N": "1"},
                ":delete_after": _deletion_time(window_ends),
            },
            ReturnValues="UPDATED_NEW",
        )
        return int(text_of(answer.get("Attributes", {}), "how_many", kind="N"))

    async def close(self) -> None:
        """Close all connections."""
        self._table.close()

    def _open_agenda(self) -> "DynamoDbAgenda":
        if self._agenda is None:
            from adapters.dynamodb_agenda import DynamoDbAgenda

            self._agenda = DynamoDbAgenda(self._table)
        return self._agenda

    def _record(self, connection: str, item: Item) -> Record:
        if not item:
            return Record(grant=Unauthorized(), etag=None, ledger=())
        etag, sealed = (item.get(name, {}).get("S") for name in ("etag", "sealed"))
        return self._records.open_stored(connection, etag, sealed)


def _if_etag_is(expected: str | None) -> Mapping[str, Any]:
    """Return the condition that the etag is stored. On failure, DynamoDB returns the item."""
    condition: dict[str, Any] = {
        "ConditionExpression": "attribute_not_exists(id)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if expected == NO_ETAG:
        condition["ConditionExpression"] = (
            "attribute_exists(id) AND NOT attribute_type(etag, :text)"
        )
        condition["ExpressionAttributeValues"] = {":text": {"S": "S"}}
    elif expected is not None:
        condition["ConditionExpression"] = "etag = :expected"
        condition["ExpressionAttributeValues"] = {":expected": {"S": expected}}
    return condition


def _when_due(connection: str, record: Record) -> Item:
    at = record.due_at
    if at is None:
        return {}
    from adapters.dynamodb_agenda import agenda_of

    return agenda_of(connection, at)


def _deletion_time(end: datetime) -> dict[str, str]:
    return {"N": str(math.ceil((end + _DELETION_DELAY).timestamp()))}

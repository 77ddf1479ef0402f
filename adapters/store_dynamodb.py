"""The store in one DynamoDB table: one request per operation, two for a page of records.

`infra/aws/table.json` defines the table. Its key `id` is `grant#CONNECTION`, `login#KEY` or
`count#WINDOW#KEY`. Only grants that become due have `agenda` and `due_at`, the keys of the index
`due`. Only grants have `listing`, a key of the index `listing`. Only logins and counts have
`delete_after`, the table's time to live.
"""

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

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
    Record,
    RecordPage,
    StoreUnavailableError,
)

_LOGIN = "login#"
_COUNT = "count#"
# One value for all, so that one query finds all due grants. It limits the writes of all grants to
# those of one partition, a thousand per second.
_AGENDA = {"S": "refresh"}
# DynamoDB removes items late, by its clock. Whether a login has expired depends on our clock.
_DELETION_DELAY = timedelta(minutes=1)


class DynamoDbStore:
    """Stores encrypted records as items, with consistent reads and conditional writes."""

    def __init__(self, table: Table, records: SealedRecords) -> None:
        self._table = table
        self._records = records
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
            **_when_due(record),
        }
        try:
            await self._table.call("put_item", Item=item, **_if_etag_is(expected_etag))
        except ConditionFailedError as failed:
            # Our own etag: a retry after a lost answer.
            if failed.item.get("etag") != item["etag"]:
                raise ConflictError(self._record(connection, failed.item)) from failed

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Return the connections that are due, longest overdue first.

        The index follows the table with a delay, so a recent change may be missing.

        Raises StoreUnavailableError.
        """
        return await self._query_due("due_at <= :at", before, limit)

    async def due_later(self, after: datetime, *, limit: int) -> list[str]:
        """Return the connections that are due after that time, earliest first.

        Raises StoreUnavailableError.
        """
        return await self._query_due("due_at > :at", after, limit)

    async def _query_due(self, condition: str, at: datetime, limit: int) -> list[str]:
        names: list[str] = []
        start: dict[str, object] = {}
        while len(names) < limit:
            page = await self._table.call(
                "query",
                IndexName="due",
                KeyConditionExpression=f"agenda = :agenda AND {condition}",
                ExpressionAttributeValues={":agenda": _AGENDA, ":at": _number(at)},
                Limit=limit - len(names),
                **start,
            )
            names += [text_of(item, "id").removeprefix(GRANT) for item in items_of(page)]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        return names

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
        """Enter the records of earlier versions into the listing. Raises StoreUnavailableError.

        It needs `dynamodb:Scan`, once per table.
        """
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

        A retry of botocore counts twice.
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


def _when_due(record: Record) -> Item:
    at = record.due_at
    return {} if at is None else {"agenda": _AGENDA, "due_at": _number(at)}


def _number(at: datetime) -> dict[str, str]:
    return {"N": str(at.timestamp())}


def _deletion_time(end: datetime) -> dict[str, str]:
    return {"N": str(math.ceil((end + _DELETION_DELAY).timestamp()))}

"""The facts about a DynamoDB table that the credentials may read."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from adapters.dynamodb_table import DynamoDbTable
from ports.facts import DynamoDbFacts, UnreadFact
from ports.store import StoreUnavailableError

# From infra/aws/table.json: attribute, type, role.
_KEY = [("id", "S", "HASH")]
_INDEX = "due"
_INDEX_KEY = [("agenda", "S", "HASH"), ("due_at", "N", "RANGE")]
_LISTING = "listing"
_LISTING_KEY = [("listing", "S", "HASH"), ("id", "S", "RANGE")]
_EXPIRY = "delete_after"

_Fact = TypeVar("_Fact")


async def dynamodb_facts(name: str, **access: str | None) -> DynamoDbFacts:
    """Return the table's facts. `access` is passed to `DynamoDbTable`."""
    table = DynamoDbTable(name, **access)
    try:
        return DynamoDbFacts(
            schema_fault=await _describe(table, "describe_table", _find_difference),
            has_listing=await _describe(table, "describe_table", _has_listing),
            has_time_to_live=await _describe(table, "describe_time_to_live", _has_time_to_live),
            has_point_in_time_recovery=await _describe(
                table, "describe_continuous_backups", _has_point_in_time_recovery
            ),
        )
    finally:
        table.close()


async def _describe(
    table: DynamoDbTable, operation: str, read: Callable[[Mapping[str, Any]], _Fact]
) -> _Fact | UnreadFact:
    try:
        return read(await table.call(operation))
    except StoreUnavailableError as error:
        return UnreadFact(str(error))
    except (AttributeError, KeyError, TypeError):
        return UnreadFact(f"{operation} returned an invalid answer")


def _find_difference(answer: Mapping[str, Any]) -> str | None:
    table = answer["Table"]
    types, indexes = _types(table), _indexes(table)
    if _key(table, types) != _KEY:
        return "its key is not `id` (text)"
    if _INDEX not in indexes:
        return f"it has no index {_INDEX}"
    if _key(indexes[_INDEX], types) != _INDEX_KEY:
        return f"the key of its index {_INDEX} is not `agenda` (text) and `due_at` (number)"
    return None


def _has_listing(answer: Mapping[str, Any]) -> bool:
    table = answer["Table"]
    index = _indexes(table).get(_LISTING)
    return index is not None and _key(index, _types(table)) == _LISTING_KEY


def _types(table: Mapping[str, Any]) -> Mapping[str, str]:
    return {part["AttributeName"]: part["AttributeType"] for part in table["AttributeDefinitions"]}


def _indexes(table: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}


def _key(schema: Mapping[str, Any], types: Mapping[str, str]) -> list[tuple[str, str, str]]:
    named = [(part["AttributeName"], part["KeyType"]) for part in schema["KeySchema"]]
    return [(name, types[name], role) for name, role in named]


def _has_time_to_live(answer: Mapping[str, Any]) -> bool:
    status = answer["TimeToLiveDescription"]
    is_on = status.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}
    return is_on and status.get("AttributeName") == _EXPIRY


def _has_point_in_time_recovery(answer: Mapping[str, Any]) -> bool:
    status = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(status.get("PointInTimeRecoveryStatus") == "ENABLED")

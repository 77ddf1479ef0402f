"""One DynamoDB table: calls in threads, with a time limit and the store's errors."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from adapters.aws_client import AwsClient
from adapters.aws_errors import THROTTLED, NoAnswerError, RefusedError
from ports.store import StoreUnavailableError

Item: TypeAlias = Mapping[str, Mapping[str, str]]
"""Attributes by name, each by its type: `{"id": {"S": "x"}, "due_at": {"N": "1"}}`."""

# Concurrent calls of each kind. Each has its own connection.
MAX_CONCURRENCY = 16
# For a call, its retry, the pause between them, and the lookup of credentials.
_LIMIT = timedelta(seconds=5)
# The members of answers that hold one item or its key, and those that hold a list.
_OF_ONE_ITEM = ("Attributes", "Item", "LastEvaluatedKey")
_OF_ITEMS = ("Items", "UnprocessedKeys")
_INVALID = "DynamoDB returned an invalid answer"

BATCH_READ = "batch_get_item"
"""The operation whose arguments and answer are made for several tables."""


class ConditionFailedError(Exception):
    """The item does not meet the call's condition. `item` is the stored item, or empty."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class DynamoDbTable:
    """A table in the region, and with the credentials, of AWS's own variables.

    The client blocks, so threads make the calls, for any event loop. Puts have their own threads:
    new tokens do not wait for reads or for counts, which strangers can cause.
    """

    def __init__(self, name: str, **access: str | None) -> None:
        """`access` (`region_name`, `endpoint_url`, …) overrides the variables."""
        self._name = name
        # With standard retries, many callers that return after a throttle block one another.
        self._client = AwsClient(
            "dynamodb",
            label="DynamoDB",
            max_connections=2 * MAX_CONCURRENCY,
            retries="adaptive",
            **access,
        )
        self._puts = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="dynamodb-put")
        self._others = ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix="dynamodb")
        self._is_closed = False

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an idempotent operation on the table and return the answer.

        `batch_get_item` has `Keys`. Its answer has `Items` and, if there are any,
        `UnprocessedKeys`.

        Raises ConditionFailedError, StoreUnavailableError.
        """
        if self._is_closed:
            raise RuntimeError("the table is closed")
        work = partial(self._call, operation, arguments)
        threads = self._puts if operation == "put_item" else self._others
        try:
            async with asyncio.timeout(_LIMIT.total_seconds()):
                return await asyncio.get_running_loop().run_in_executor(threads, work)
        except TimeoutError as error:
            raise StoreUnavailableError("DynamoDB does not answer in time") from error
        except RuntimeError as error:
            # A thread could not be started. Another thread may still run the call.
            raise StoreUnavailableError(f"DynamoDB: {error}") from error

    def close(self) -> None:
        """Close all connections."""
        self._is_closed = True
        self._others.shutdown()
        self._puts.shutdown()
        self._client.close()

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            answer = self._client.call(operation, **request_of(operation, self._name, arguments))
            return _checked(answer_of(operation, self._name, answer))
        except RefusedError as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailedError(_checked(error.response).get("Item", {})) from None
            raise StoreUnavailableError(self._refusal(error)) from None
        except NoAnswerError as error:
            raise StoreUnavailableError(str(error)) from None

    def _refusal(self, error: RefusedError) -> str:
        """Return what to do. AWS's text may repeat the session token, so little is quoted."""
        table = f"table {self._name!r} (DYNAMODB_TABLE)"
        match error.code:
            case "ResourceNotFoundException":
                return f"{table} does not exist in this account and region: create it"
            case "ValidationException":
                schema = "docs/adr/0011-dynamodb.md"
                return f"{table} does not have the schema of {schema}: {error.message}"
            case "AccessDeniedException":
                return f"the credentials do not allow dynamodb:{error.operation} on {table}"
            case code if code in THROTTLED:
                return (
                    f"{table} is throttled ({code}): raise its capacity, or use on-demand capacity"
                )
            case code:
                return f"{table}: {error.operation} failed: {code}"


def request_of(operation: str, table: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments of an operation on one table, as AWS wants them."""
    if operation == BATCH_READ:
        return {"RequestItems": {table: arguments}}
    return {"TableName": table, **arguments}


def answer_of(operation: str, table: str, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of an answer that is about one table."""
    if operation != BATCH_READ:
        return answer
    try:
        left_out = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
        return {"Items": answer.get("Responses", {}).get(table, []), "UnprocessedKeys": left_out}
    except AttributeError:
        raise StoreUnavailableError(_INVALID) from None


def _checked(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an answer whose items are items. Raises StoreUnavailableError."""
    each = [answer[name] for name in _OF_ONE_ITEM if name in answer]
    many = [answer[name] for name in _OF_ITEMS if name in answer]
    if all(isinstance(items, list) for items in many) and all(map(_is_item, chain(each, *many))):
        return answer
    raise StoreUnavailableError(_INVALID)


def _is_item(item: object) -> bool:
    return isinstance(item, dict) and all(map(_is_value, item.values()))


def _is_value(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(kind, ""), str) for kind in "SN")

"""One DynamoDB table: calls off the event loop, within a limit of time, and how they fail."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeAlias

from adapters.aws_client import THROTTLED, AwsClient, NoAnswerError, RefusedError
from ports.store import StoreUnavailableError

Item: TypeAlias = Mapping[str, Mapping[str, str]]
"""Attributes by name, each by its type: `{"id": {"S": "x"}, "due_at": {"N": "1"}}`."""

# Calls at one time of either kind, each on a connection of its own.
AT_ONCE = 16
# For a call with its repetition, the pause between them, and the search for credentials.
_LIMIT = timedelta(seconds=5)


class ConditionFailedError(Exception):
    """The item is not as the call's condition wants it; `item` is what is there, if anything."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class DynamoDbTable:
    """A table of the region, and with the credentials, that AWS's own variables tell.

    Its client blocks, so threads make the calls; on any event loop. What is put there has threads
    of its own: tokens do not wait behind however many who read, or strangers who are counted.
    """

    def __init__(self, name: str, **access: str | None) -> None:
        """Take `access` (`region_name`, `endpoint_url`, …) for what the variables would tell."""
        self._name = name
        # Of many callers that come back after a throttle, hardly any would get through by itself.
        self._client = AwsClient(
            "dynamodb", called="DynamoDB", at_once=2 * AT_ONCE, retries="adaptive", **access
        )
        self._puts = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="dynamodb-put")
        self._others = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="dynamodb")
        self._is_closed = False

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Return the answer to an operation on the table, which can be done twice.

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
            # A thread that cannot be started; another one may still find the call.
            raise StoreUnavailableError(f"DynamoDB: {error}") from error

    def close(self) -> None:
        """Let go of the connections."""
        self._is_closed = True
        self._others.shutdown()
        self._puts.shutdown()
        self._client.close()

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            return self._client.call(operation, TableName=self._name, **arguments)
        except RefusedError as error:
            if error.code == "ConditionalCheckFailedException":
                raise ConditionFailedError(error.response.get("Item", {})) from None
            raise StoreUnavailableError(self._refusal(error)) from None
        except NoAnswerError as error:
            raise StoreUnavailableError(str(error)) from None

    def _refusal(self, error: RefusedError) -> str:
        """Say what to do; AWS's words may repeat the session's token, so few of them are quoted."""
        table = f"table {self._name!r} (DYNAMODB_TABLE)"
        match error.code:
            case "ResourceNotFoundException":
                return f"{table} does not exist in this account and region: create it"
            case "ValidationException":
                return f"{table} is not made as docs/adr/0011-dynamodb.md says: {error.message}"
            case "AccessDeniedException":
                return f"the credentials do not allow dynamodb:{error.operation} on {table}"
            case code if code in THROTTLED:
                return f"{table} is throttled ({code}): raise its capacity, or let it be on demand"
            case code:
                return f"{table}: {error.operation} failed: {code}"

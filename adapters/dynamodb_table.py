"""One DynamoDB table through botocore: calls off the event loop, within limits, and how they fail.

botocore repeats a call once by itself, after an answer that was lost as well as after a refusal. So
whatever is asked for here must be the same when it is done twice.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache, partial
from threading import Lock
from typing import Any, TypeAlias

import botocore.session
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError

from ports.store import StoreUnavailableError

Item: TypeAlias = Mapping[str, Mapping[str, str]]
"""Attributes by name, each by its type: `{"id": {"S": "x"}, "due_at": {"N": "1"}}`."""

# Calls at one time, each on a connection of its own.
_AT_ONCE = 16
# DynamoDB answers in milliseconds; whoever waits this long waits for a network that is gone.
_CONNECT_LIMIT = timedelta(seconds=1)
_READ_LIMIT = timedelta(seconds=2)
_TRIES = 2
# For a call with its repetition, the pause between them, and the search for credentials.
_LIMIT = timedelta(seconds=5)

_THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
_REFUSED = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


class ConditionFailedError(Exception):
    """The item is not as the call's condition wants it; `item` is what is there, if anything."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition does not hold")
        self.item = item


class DynamoDbTable:
    """A table of the region, and with the credentials, that AWS's own variables tell.

    botocore blocks, so threads make the calls; on any event loop.
    """

    def __init__(self, name: str, **access: str | None) -> None:
        """Take `access` (`region_name`, `endpoint_url`, …) for what the variables would tell."""
        self._name = name
        self._access = access
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dynamodb")
        # To make a client is not safe among threads, and takes long; to use one is safe.
        self._making = Lock()
        self._client: BaseClient | None = None

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Return the answer to an operation on the table, which can be done twice.

        Raises ConditionFailedError, StoreUnavailableError.
        """
        work = partial(self._call, operation, arguments)
        try:
            async with asyncio.timeout(_LIMIT.total_seconds()):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            raise StoreUnavailableError("DynamoDB does not answer in time") from error

    def close(self) -> None:
        """Let go of the connections."""
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            method = getattr(self._made_client(), operation)
            answer: Mapping[str, Any] = method(TableName=self._name, **arguments)
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                raise ConditionFailedError(error.response.get("Item", {})) from None
            raise StoreUnavailableError(self._refusal(error)) from None
        # Beside its own errors botocore lets through those of files that it reads, and what an
        # answer of the wrong form makes its parser fail with.
        except (
            BotoCoreError,
            ResponseParserError,
            AttributeError,
            LookupError,
            OSError,
            TypeError,
            ValueError,
        ) as error:
            raise StoreUnavailableError(self._failure(error)) from None
        if "RequestId" not in answer["ResponseMetadata"]:
            # To botocore the page of a proxy is an answer without an item.
            raise StoreUnavailableError("something else answered instead of DynamoDB")
        return answer

    def _made_client(self) -> BaseClient:
        with self._making:
            if self._client is None:
                session = botocore.session.Session()
                session.register_component("data_loader", _loader())
                self._client = session.create_client(
                    "dynamodb",
                    config=Config(
                        connect_timeout=_CONNECT_LIMIT.total_seconds(),
                        read_timeout=_READ_LIMIT.total_seconds(),
                        retries={"mode": "standard", "total_max_attempts": _TRIES},
                        max_pool_connections=_AT_ONCE,
                    ),
                    **self._access,
                )
            return self._client

    def _refusal(self, error: ClientError) -> str:
        """Say what to do; AWS's words may repeat the session's token, so few of them are quoted."""
        table = f"table {self._name!r} (DYNAMODB_TABLE)"
        match _code(error):
            case "ResourceNotFoundException":
                return f"{table} does not exist in this account and region: create it"
            case "ValidationException":
                return f"{table} is not made as docs/adr/0011-dynamodb.md says: {_message(error)}"
            case "AccessDeniedException":
                return f"the credentials do not allow dynamodb:{error.operation_name} on {table}"
            case code if code in _REFUSED:
                return f"AWS does not accept the credentials: {code}"
            case code if code in _THROTTLED:
                return f"{table} is throttled ({code}): raise its capacity, or let it be on demand"
            case code:
                return f"{table}: {error.operation_name} failed: {code}"

    def _failure(self, error: Exception) -> str:
        """Say what to do where nothing was answered, or something that makes no sense."""
        match error:
            case NoRegionError():
                return "AWS_REGION is not set"
            case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
                return (
                    f"no AWS credentials ({type(error).__name__}): give the process a role, or set "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
            case _:
                return f"DynamoDB cannot be reached: {type(error).__name__}"


@cache
def _loader() -> Loader:
    """Return what has AWS's description of DynamoDB: megabytes, which all clients can share."""
    return create_loader()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code"))


def _message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message"))

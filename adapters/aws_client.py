"""The client of one AWS service, with time limits and two kinds of error.

A call is repeated once, after a lost answer as well as after a refusal. So each call made here must
be idempotent.

Where the environment says where to go and with which keys, as on Lambda, calls of AWS's JSON
protocols need no client of botocore, whose creation is slow. botocore makes all other calls.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from adapters.aws_access import access_without_search
from adapters.aws_json_calls import JsonCalls, JsonService

if TYPE_CHECKING:
    # Imported where it is made.
    from adapters.aws_botocore_calls import BotocoreCalls

_Calls: TypeAlias = "JsonCalls | BotocoreCalls"

# AWS answers in milliseconds: after these limits the network is down.
_CONNECT_LIMIT = timedelta(seconds=1)
_READ_LIMIT = timedelta(seconds=2)
_TRIES = 2

_JSON_SERVICES = {
    "dynamodb": JsonService(
        name="dynamodb",
        target="DynamoDB_20120810",
        version="1.0",
        variable="AWS_ENDPOINT_URL_DYNAMODB",
    ),
    "secretsmanager": JsonService(
        name="secretsmanager",
        target="secretsmanager",
        version="1.1",
        variable="AWS_ENDPOINT_URL_SECRETS_MANAGER",
    ),
}

# Its DEBUG lines hold whole requests and responses: session tokens, and the text of a secret.
logging.getLogger("botocore").setLevel(logging.INFO)

if find_spec("botocore") is None:
    # Without it a deployment would work only as long as its keys are in the environment.
    raise ModuleNotFoundError("No module named 'botocore'", name="botocore")


class AwsClient:
    """A client with the region and credentials of AWS's own variables.

    The first call reads them. Threads can share it.
    """

    def __init__(
        self,
        service: str,
        *,
        label: str,
        max_connections: int,
        retries: str | None = None,
        **access: str | None,
    ) -> None:
        """`access` (`region_name`, `endpoint_url`, …) overrides the variables.

        `label`: the service's name in errors.
        `max_connections`: the number of connections.
        `retries`: botocore's mode. `adaptive` lowers the rate of calls after a throttle.
        """
        self._service = service
        self._label = label
        self._max_connections = max_connections
        self._retries = retries or "standard"
        self._access = access
        # Creating botocore's client is slow and not thread-safe. Using one is thread-safe.
        self._lock = Lock()
        self._calls: _Calls | None = None

    def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an idempotent operation and return the answer. Blocks.

        Raises RefusedError, NoAnswerError.
        """
        return self._open().call(operation, arguments)

    def close(self) -> None:
        """Close all connections."""
        if self._calls is not None:
            self._calls.close()

    def _open(self) -> _Calls:
        with self._lock:
            if self._calls is None:
                self._calls = self._json_calls() or self._botocore_calls()
            return self._calls

    def _json_calls(self) -> JsonCalls | None:
        if (service := _JSON_SERVICES.get(self._service)) is None:
            return None
        access = access_without_search(service.name, self._access, variable=service.variable)
        if access is None:
            return None
        return JsonCalls(
            service,
            access,
            label=self._label,
            connect_limit=_CONNECT_LIMIT,
            read_limit=_READ_LIMIT,
            tries=_TRIES,
            is_adaptive=self._retries == "adaptive",
        )

    def _botocore_calls(self) -> "BotocoreCalls":
        from adapters.aws_botocore_calls import BotocoreCalls

        return BotocoreCalls(
            self._service,
            label=self._label,
            connect_limit=_CONNECT_LIMIT,
            read_limit=_READ_LIMIT,
            tries=_TRIES,
            max_connections=self._max_connections,
            retries=self._retries,
            access=self._access,
        )

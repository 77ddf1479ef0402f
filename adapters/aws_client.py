"""The client of one AWS service through botocore, with time limits and two kinds of error.

botocore retries a call once, after a lost answer as well as after a refusal. So each call made
here must be idempotent.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from threading import Lock
from typing import Any

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

# AWS answers in milliseconds: after these limits the network is down.
_CONNECT_LIMIT = timedelta(seconds=1)
_READ_LIMIT = timedelta(seconds=2)
_TRIES = 2

# Its DEBUG lines hold whole requests and responses: session tokens, and the text of a secret.
logging.getLogger("botocore").setLevel(logging.INFO)

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
"""Error codes of AWS's rate limits."""

_CREDENTIALS_REFUSED = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
    }
)


class RefusedError(Exception):
    """The service refused a call. The message is the code: AWS's own text may repeat secrets."""

    def __init__(self, error: ClientError) -> None:
        details = error.response.get("Error", {})
        self.code = str(details.get("Code"))
        self.message = str(details.get("Message"))
        self.operation = error.operation_name
        self.response: Mapping[str, Any] = error.response
        super().__init__(self.code)


class NoAnswerError(Exception):
    """The service did not receive the call, or did not answer. The message says what to do.

    `is_passing`: whether a retry can succeed without a change to this deployment.
    """

    def __init__(self, text: str, *, is_passing: bool) -> None:
        super().__init__(text)
        self.is_passing = is_passing


class AwsClient:
    """A client with the region and credentials of AWS's own variables.

    The first call creates the botocore client. Threads can share it.
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
        # Creating a client is slow and not thread-safe. Using one is thread-safe.
        self._lock = Lock()
        self._client: BaseClient | None = None

    def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an idempotent operation and return the answer. Blocks.

        Raises RefusedError, NoAnswerError.
        """
        try:
            answer: Mapping[str, Any] = getattr(self._open(), operation)(**arguments)
        except ClientError as error:
            raise _refusal(error) from None
        # botocore also raises the errors of its files, and of its parser for an invalid answer.
        except (
            BotoCoreError,
            ResponseParserError,
            AttributeError,
            LookupError,
            OSError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise self._failure(error) from None
        if "RequestId" not in answer["ResponseMetadata"]:
            # botocore reads the page of a proxy as an empty answer.
            text = f"another server answered instead of {self._label}"
            raise NoAnswerError(text, is_passing=True)
        return answer

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()

    def _open(self) -> BaseClient:
        with self._lock:
            if self._client is None:
                session = botocore.session.Session()
                session.register_component("data_loader", _loader())
                self._client = session.create_client(
                    self._service,
                    config=Config(
                        connect_timeout=_CONNECT_LIMIT.total_seconds(),
                        read_timeout=_READ_LIMIT.total_seconds(),
                        retries={"mode": self._retries, "total_max_attempts": _TRIES},
                        max_pool_connections=self._max_connections,
                    ),
                    **self._access,
                )
            return self._client

    def _failure(self, error: Exception) -> NoAnswerError:
        match error:
            case NoRegionError():
                return NoAnswerError("AWS_REGION is not set", is_passing=False)
            case NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
                text = (
                    f"no AWS credentials ({type(error).__name__}): give the process a role, or set "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
                return NoAnswerError(text, is_passing=False)
            case _:
                text = f"{self._label} cannot be reached: {type(error).__name__}"
                return NoAnswerError(text, is_passing=True)


def _refusal(error: ClientError) -> RefusedError | NoAnswerError:
    refused = RefusedError(error)
    if refused.code in _CREDENTIALS_REFUSED:
        text = f"AWS refused the credentials: {refused.code}"
        return NoAnswerError(text, is_passing=False)
    return refused


@cache
def _loader() -> Loader:
    """Return the loader of AWS's service descriptions: megabytes, which all clients share."""
    return create_loader()

"""A client of one of AWS's services through botocore: within limits, and how its calls fail.

botocore repeats a call once by itself, after an answer that was lost as well as after a refusal. So
whatever is asked for here must be the same when it is done twice.
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

# AWS answers in milliseconds; whoever waits this long waits for a network that is gone.
_CONNECT_LIMIT = timedelta(seconds=1)
_READ_LIMIT = timedelta(seconds=2)
_TRIES = 2

# What it has to say below that is all that it sends and is sent: the credentials' session token,
# and the text of a secret.
logging.getLogger("botocore").setLevel(logging.INFO)

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
"""The codes of refusals because of too many calls."""

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
    """The service refuses a call; its text is the code, since AWS's words may repeat secrets."""

    def __init__(self, error: ClientError) -> None:
        told = error.response.get("Error", {})
        self.code = str(told.get("Code"))
        self.message = str(told.get("Message"))
        self.operation = error.operation_name
        self.response: Mapping[str, Any] = error.response
        super().__init__(self.code)


class NoAnswerError(Exception):
    """The service has not been asked, or has not answered; the text says what to do.

    `is_passing` where the cause is not of this deployment's making.
    """

    def __init__(self, text: str, *, is_passing: bool) -> None:
        super().__init__(text)
        self.is_passing = is_passing


class AwsClient:
    """A client in the region, and with the credentials, that AWS's own variables tell.

    It is made at the first call, and can be used by several threads.
    """

    def __init__(
        self,
        service: str,
        *,
        called: str,
        at_once: int,
        retries: str | None = None,
        **access: str | None,
    ) -> None:
        """Take `access` (`region_name`, `endpoint_url`, …) for what the variables would tell.

        `at_once` is the number of connections; errors call the service what it is `called`. With
        `adaptive` retries, not botocore's standard, it calls less often once it was throttled.
        """
        self._service = service
        self._called = called
        self._at_once = at_once
        self._retries = retries or "standard"
        self._access = access
        # To make a client is not safe among threads, and takes long; to use one is safe.
        self._making = Lock()
        self._client: BaseClient | None = None

    def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Return the answer to an operation that can be done twice. It blocks.

        Raises RefusedError, NoAnswerError.
        """
        try:
            answer: Mapping[str, Any] = getattr(self._made(), operation)(**arguments)
        except ClientError as error:
            raise _refusal(error) from None
        # Beside its own errors botocore lets through those of files that it reads, and what an
        # answer of the wrong form makes its parser fail with.
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
            # To botocore the page of a proxy is an answer with nothing in it.
            text = f"something else answered instead of {self._called}"
            raise NoAnswerError(text, is_passing=True)
        return answer

    def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            self._client.close()

    def _made(self) -> BaseClient:
        with self._making:
            if self._client is None:
                session = botocore.session.Session()
                session.register_component("data_loader", _loader())
                self._client = session.create_client(
                    self._service,
                    config=Config(
                        connect_timeout=_CONNECT_LIMIT.total_seconds(),
                        read_timeout=_READ_LIMIT.total_seconds(),
                        retries={"mode": self._retries, "total_max_attempts": _TRIES},
                        max_pool_connections=self._at_once,
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
                text = f"{self._called} cannot be reached: {type(error).__name__}"
                return NoAnswerError(text, is_passing=True)


def _refusal(error: ClientError) -> RefusedError | NoAnswerError:
    refused = RefusedError(error)
    if refused.code in _CREDENTIALS_REFUSED:
        text = f"AWS does not accept the credentials: {refused.code}"
        return NoAnswerError(text, is_passing=False)
    return refused


@cache
def _loader() -> Loader:
    """Return what has AWS's description of its services: megabytes, which all clients can share."""
    return create_loader()

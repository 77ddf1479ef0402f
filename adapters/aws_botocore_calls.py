"""Calls to one AWS service through botocore's client, for all that `aws_access` leaves to it.

Its import and its client take most of the INIT of a Lambda function (`docs/adr/0033-aws-calls.md`).
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

import botocore.session
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

from adapters.aws_errors import NoAnswerError, RefusedError, another_server, refusal, unreachable


class BotocoreCalls:
    """A client with the region and credentials of AWS's own variables. Threads can share it."""

    def __init__(
        self,
        service: str,
        *,
        label: str,
        connect_limit: timedelta,
        read_limit: timedelta,
        tries: int,
        max_connections: int,
        retries: str,
        access: Mapping[str, str | None],
    ) -> None:
        """`retries`: botocore's mode, such as `adaptive`. Raises NoAnswerError."""
        self._label = label
        config = Config(
            connect_timeout=connect_limit.total_seconds(),
            read_timeout=read_limit.total_seconds(),
            retries={"mode": retries, "total_max_attempts": tries},
            max_pool_connections=max_connections,
        )
        try:
            session = botocore.session.Session()
            session.register_component("data_loader", _loader())
            self._client = session.create_client(service, config=config, **access)
        # botocore also raises the errors of its files.
        except (BotoCoreError, LookupError, OSError, TypeError, ValueError) as error:
            raise self._failure(error) from None

    def call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """Call an idempotent operation and return the answer. Raises RefusedError, NoAnswerError.

        Blocks.
        """
        try:
            answer: Mapping[str, Any] = getattr(self._client, operation)(**arguments)
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
            raise another_server(self._label)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

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
                return unreachable(self._label, error)


def _refusal(error: ClientError) -> RefusedError | NoAnswerError:
    details = error.response.get("Error", {})
    refused = RefusedError(
        str(details.get("Code")),
        message=str(details.get("Message")),
        operation=error.operation_name,
        response=error.response,
    )
    return refusal(refused)


@cache
def _loader() -> Loader:
    """Return the loader of AWS's service descriptions: megabytes, which all clients share."""
    return create_loader()

"""A DynamoDB in this process: moto answers the requests of botocore.

It is a second implementation of DynamoDB, next to that of `tests.system.dynamodb_peer`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import botocore.session
from botocore.httpsession import URLLib3Session
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler

from tests.system.dynamodb_peer import TABLE

ACCESS: Mapping[str, str] = {
    # AWS's own: the environment may name the server of another test.
    "endpoint_url": "https://dynamodb.eu-central-1.amazonaws.com",
    "region_name": "eu-central-1",
    "aws_access_key_id": "not-a-real-key-id",
    "aws_secret_access_key": "not-a-real-secret-key",
}

_turn = Lock()
_call_action = DynamoHandler.call_action


@contextmanager
def moto_dynamodb() -> Iterator[None]:
    """Answer all clients of botocore, and send nothing over the network."""
    with (
        mock_aws(),
        patch.object(DynamoHandler, "call_action", _call_in_turn),
        patch.object(URLLib3Session, "send", _refuse_to_send),
    ):
        yield


def new_table() -> str:
    """Create an empty table with the schema of `infra/aws/table.json`, and return its name."""
    name = f"table-{uuid4().hex}"
    _client().create_table(TableName=name, **TABLE)
    return name


@cache
def _client() -> Any:
    return botocore.session.Session().create_client("dynamodb", **ACCESS)


def _call_in_turn(handler: DynamoHandler) -> Any:
    """Lock a call: moto checks a condition and writes in two steps."""
    with _turn:
        return _call_action(handler)


def _refuse_to_send(*_args: object, **_kwargs: object) -> Any:
    raise AssertionError("a request to moto was about to be sent")

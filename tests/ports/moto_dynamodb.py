"""A DynamoDB in this process: moto, which answers what botocore is about to send.

It is a second reading of what DynamoDB does, beside `tests.system.dynamodb_peer`.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    # AWS's own, whatever a server that others use has put into the environment.
    "endpoint_url": "https://dynamodb.eu-central-1.amazonaws.com",
    "region_name": "eu-central-1",
    "aws_access_key_id": "not-a-real-key-id",
    "aws_secret_access_key": "not-a-real-secret-key",
}

_turn = Lock()
_call_action = DynamoHandler.call_action


@contextmanager
def moto_dynamodb() -> Iterator[None]:
    """Answer all of botocore's clients, and let none of them out to the network."""
    with (
        mock_aws(),
        patch.object(DynamoHandler, "call_action", _call_in_turn),
        patch.object(URLLib3Session, "send", _refuse_to_send),
    ):
        yield


def new_table() -> str:
    """Create a table that nobody else has, as `infra/aws/table.json` says; return its name."""
    client = botocore.session.Session().create_client("dynamodb", **ACCESS)
    name = f"table-{uuid4().hex}"
    client.create_table(TableName=name, **TABLE)
    client.close()
    return name


def _call_in_turn(handler: DynamoHandler) -> Any:
    """Carry out a call: without a lock moto checks a condition and writes in two steps."""
    with _turn:
        return _call_action(handler)


def _refuse_to_send(*_args: object, **_kwargs: object) -> Any:
    raise AssertionError("this is for moto, and was about to be sent")

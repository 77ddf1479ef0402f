"""A DynamoDB in this process: moto answers the requests of botocore, and of our own client.

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
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from moto import mock_aws
from moto.core.models import botocore_stubber
from moto.dynamodb.responses import DynamoHandler

from adapters.http_connections import HttpAnswer, HttpConnections
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
    """Answer all clients of AWS, and send nothing over the network."""
    with (
        mock_aws(),
        patch.object(HttpConnections, "post", _answer),
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


def _answer(
    _connections: HttpConnections, path: str, headers: Mapping[str, str], body: bytes
) -> HttpAnswer:
    """Answer a request of our own client as if botocore had sent it."""
    url = f"https://{headers['host']}{path}"
    given = HTTPHeaders.from_dict(dict(headers))
    request = AWSPreparedRequest("POST", url, given, body, stream_output=False)
    answered = botocore_stubber.process_request(request)
    assert answered is not None
    status, answer_headers, content = answered
    return HttpAnswer(
        status=status,
        headers={name.lower(): str(value) for name, value in answer_headers.items()},
        body=content.encode() if isinstance(content, str) else content,
    )


def _refuse_to_send(*_args: object, **_kwargs: object) -> Any:
    raise AssertionError("a request to moto was about to be sent")

"""AWS's signature, compared with botocore's own."""

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from adapters.aws_access import AwsAccess
from adapters.aws_signature import signed

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
ENDPOINTS = ["https://dynamodb.eu-central-1.amazonaws.com", "http://127.0.0.1:8000/a-b/c_d/~e"]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@given(
    keys=st.tuples(PRINTABLE, PRINTABLE, st.none() | PRINTABLE),
    body=st.binary(min_size=1),
    at=st.integers(0, 2**32),
)
def test_a_signature_is_the_one_of_botocore(
    endpoint: str, keys: tuple[str, str, str | None], body: bytes, at: int
) -> None:
    key_id, secret_key, session_token = keys
    access = AwsAccess(
        endpoint=endpoint,
        region="eu-central-1",
        key_id=key_id,
        secret_key=secret_key,
        session_token=session_token,
    )
    headers = {
        "host": urlsplit(endpoint).netloc,
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "DynamoDB_20120810.GetItem",
    }
    path = urlsplit(endpoint).path or "/"
    ours = signed(headers, body, path=path, service="dynamodb", access=access, at=at)
    assert ours == botocores(access, headers, body, at)


def botocores(access: AwsAccess, headers: dict[str, str], body: bytes, at: int) -> dict[str, str]:
    """Return the headers of a request that botocore has signed."""
    request = AWSRequest(method="POST", url=access.endpoint, data=body, headers=headers)
    credentials = Credentials(access.key_id, access.secret_key, access.session_token)
    moment = datetime.fromtimestamp(at, UTC)
    with patch("botocore.auth.get_current_datetime", return_value=moment):
        SigV4Auth(credentials, "dynamodb", access.region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}

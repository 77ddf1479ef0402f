"""The credentials of a request's headers."""

from base64 import b64encode

import pytest

from functions.access.basic import BasicCredentials, basic_credentials
from functions.http.messages import Request
from functions.http.problems import ProblemError

KEY = b"key:with a colon"


def with_authorization(value: bytes) -> Request:
    """Make a request with this Authorization header."""
    scope = {"method": "GET", "path": "/api/token", "query_string": b""}
    return Request.head({**scope, "headers": [(b"authorization", value)]})


@pytest.mark.parametrize("scheme", [b"Basic", b"basic", b"BASIC"])
def test_basic_credentials_are_the_user_and_all_after_the_first_colon(scheme: bytes) -> None:
    [found] = basic_credentials(with_authorization(scheme + b" " + b64encode(b"me:" + KEY)))
    assert found == BasicCredentials(user=b"me", password=KEY)
    assert "colon" not in repr(found)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"a_b-", id="not base64"),
        pytest.param(b64encode(b"no colon"), id="no colon"),
        pytest.param(b64encode(b"me:key")[:-1], id="truncated"),
    ],
)
def test_malformed_basic_credentials_are_refused(value: bytes) -> None:
    with pytest.raises(ProblemError) as refused:
        basic_credentials(with_authorization(b"Basic " + value))
    assert "Malformed `Authorization: Basic`" in refused.value.problem.detail


def test_other_schemes_are_no_basic_credentials() -> None:
    assert basic_credentials(with_authorization(b"Bearer " + b64encode(b"me:key"))) == []

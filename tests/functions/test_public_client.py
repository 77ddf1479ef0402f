"""A client without a secret: it logs in, is refreshed, revoked and moved like any other."""

import pytest

from tests.functions.conftest import Deploy
from tests.functions.deployment import query_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_page, expect_token
from tests.functions.grants import OVER
from tests.functions.token_endpoint import TokenEndpoint

PUBLIC = {"CLIENT_SECRET": None, "TOKEN_ENDPOINT_AUTH_METHOD": "none"}


@pytest.fixture
def public(endpoint: TokenEndpoint) -> dict[str, str | None]:
    """The variables of one."""
    return {**endpoint.environ, **PUBLIC, "ENCRYPTION_KEYS": encryption_key("deployment")}


def test_a_client_without_a_secret_goes_the_whole_way(
    deploy: Deploy, endpoint: TokenEndpoint, public: dict[str, str | None]
) -> None:
    deployment = deploy(**public, TOKEN_PARAMS="resource=a&resource=b")
    begun = query_of(deployment.begin_login("default"))
    assert begun["code_challenge_method"] == "S256"
    expect_page(deployment.callback(code="a-code", state=begun["state"]))
    first = expect_token(deployment.token("default"))
    deployment.age("default", by=OVER)
    assert expect_token(deployment.token("default")) != first
    expect_json(deployment.post("/api/revoke"))
    for seen in endpoint.seen:
        assert seen.body.count("resource=") == 2
    for seen in (*endpoint.seen, *endpoint.revocations):
        assert seen.authorization is None
        assert "client_id" in seen.form
        assert "client_secret" not in seen.form
    assert endpoint.revocations

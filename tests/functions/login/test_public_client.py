"""A client without a secret: it logs in, refreshes and revokes like any other."""

from tests.functions.conftest import Deploy
from tests.functions.deployment import query_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import OVER
from tests.functions.token_endpoint import TokenEndpoint


def test_an_issuer_without_pkce_is_reported_before_anybody_logs_in(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    endpoint.metadata = {"code_challenge_methods_supported": ["plain"]}
    public = {
        **endpoint.issuer_environ,
        "CLIENT_SECRET": None,
        "TOKEN_ENDPOINT_AUTH_METHOD": "none",
        "ENCRYPTION_KEYS": encryption_key("deployment"),
    }
    refused = expect_problem(deploy(**public).post("/api/login"), 500, "not-configured")
    assert "PKCE must be S256" in refused["detail"]
    # The variable wins over the metadata.
    begun = query_of(deploy(**public, PKCE="S256").begin_login("default"))
    assert begun["code_challenge_method"] == "S256"


def test_client_without_a_secret_sends_its_id_and_no_secret(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(
        **endpoint.environ,
        CLIENT_SECRET=None,
        TOKEN_ENDPOINT_AUTH_METHOD="none",
        ENCRYPTION_KEYS=encryption_key("deployment"),
        TOKEN_PARAMS="resource=a&resource=b",
    )
    begun = query_of(deployment.begin_login("default"))
    assert begun["code_challenge_method"] == "S256"
    expect_page(deployment.callback(code="a-code", state=begun["state"]))
    first = expect_token(deployment.token("default"))
    deployment.age("default", by=OVER)
    assert expect_token(deployment.token("default")) != first
    expect_json(deployment.post("/api/revoke"))
    assert (len(endpoint.seen), len(endpoint.revocations)) == (2, 1)
    for seen in endpoint.seen:
        assert seen.body.count("resource=") == 2
    for seen in (*endpoint.seen, *endpoint.revocations):
        assert seen.authorization is None
        assert "client_id" in seen.form
        assert "client_secret" not in seen.form

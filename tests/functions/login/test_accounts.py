"""The account of a login: a connection does not change its account by accident."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace

import httpx

from domain.grant import Authorized
from tests.functions.deployment import JSON, Deployment, at, query_of
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.token_endpoint import Answer, TokenEndpoint


def log_in(
    deployment: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    account: str | None,
    **parameters: str,
) -> httpx.Response:
    """Log in as this account, or at a provider that names none."""
    endpoint.plan(tokens_of(account))
    begun = expect_json(deployment.post(at("/api/login", connection=connection, **parameters)))
    state = query_of(begun["authorization_url"])["state"]
    return deployment.callback(JSON, code="a-code", state=state)


def tokens_of(account: str | None) -> Answer:
    """The answer with the tokens of an account."""
    members = {"access_token": f"access-of-{account}", "token_type": "Bearer", "expires_in": 1800}
    named = {} if account is None else {"id_token": id_token(account)}
    return Answer.json({**members, "refresh_token": f"refresh-of-{account}", **named})


def id_token(account: str, *, issuer: str = "https://issuer.test") -> str:
    claims = json.dumps({"iss": issuer, "sub": account}).encode()
    return f"e30.{urlsafe_b64encode(claims).rstrip(b'=').decode()}.x"


def test_another_account_does_not_replace_one_that_works(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, "alice"))
    answer = log_in(scripted, endpoint, connection, "bob")
    members = expect_problem(answer, 409, "other-account")
    assert "/api/login?replace=true" in members["detail"]
    assert "bob" not in answer.text
    assert expect_token(scripted.token(connection)) == "access-of-alice"
    assert "a different account logged in" in scripted.running.log()


def test_a_login_that_hides_its_account_does_not_replace_one_that_is_known(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, "alice"))
    for account in (None, "bob"):
        answer = log_in(scripted, endpoint, connection, account)
        members = expect_problem(answer, 409, "other-account")
        assert "did not say which" in members["detail"]
        assert expect_token(scripted.token(connection)) == "access-of-alice"
    expect_json(log_in(scripted, endpoint, connection, None, replace="true"))
    assert expect_token(scripted.token(connection)) == "access-of-None"


def test_account_is_changed_by_a_login_that_was_begun_to(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, "alice"))
    answer = log_in(scripted, endpoint, connection, "bob", replace="true")
    assert "A different account" in expect_json(answer)["detail"]
    assert expect_token(scripted.token(connection)) == "access-of-bob"


def test_same_account_may_log_in_again(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    for beginning in ("The tokens are stored", "The account is the same as before"):
        answer = log_in(scripted, endpoint, connection, "alice", replace="false")
        assert expect_json(answer)["detail"].startswith(beginning)


def test_another_account_replaces_one_without_a_valid_login_and_is_reported(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, "alice"))
    tokens = replace(scripted.tokens(connection), refresh_token=None)
    scripted.put(connection, Authorized(tokens=tokens))
    answer = log_in(scripted, endpoint, connection, "bob")
    assert "A different account" in expect_json(answer)["detail"]
    assert expect_token(scripted.token(connection)) == "access-of-bob"


def test_login_that_replaces_one_is_reported_where_the_provider_names_no_account(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_json(log_in(scripted, endpoint, connection, None))
    answer = log_in(scripted, endpoint, connection, None)
    assert "replaced an earlier one" in expect_json(answer)["detail"]
    assert f"connection {connection}: a login replaced" in scripted.running.log()


def test_replace_is_true_or_false(scripted: Deployment, connection: str) -> None:
    for value in ("", "yes", "TRUE", "1"):
        answer = scripted.post(at("/api/login", connection=connection, replace=value))
        expect_problem(answer, 400, "invalid-request")

"""A provider whose messages differ from RFC 6749: logins, refreshes and revocations."""

import pytest

from functions.settings.settings import Settings
from tests.functions.conftest import Deploy
from tests.functions.deployment import REDIRECT_URI, Deployment, query_of
from tests.functions.expect import expect_json, expect_page, expect_token
from tests.functions.grants import OVER
from tests.functions.token_endpoint import Answer, TokenEndpoint

NAMES = "client_id=app_id&client_secret=secret&code=auth_code&grant_type=&token_type_hint="

METADATA: dict[str, object] = {
    "token_endpoint_auth_methods_supported": ["client_secret_post"],
    "code_challenge_methods_supported": ["S256"],
}


def tokens(number: int) -> Answer:
    """Answer with tokens below `data`, under other names, and with others outside of it."""
    inner = {
        "token": f"access-{number}-of-the-account",
        "refresh_token": f"refresh-{number}-of-the-account",
        "valid_for": 1800,
        "token_type": "bearer",
    }
    return Answer.json({"access_token": "of-something-else", "expires_in": 1, "data": inner})


def unusual(deploy: Deploy, endpoint: TokenEndpoint, endpoints: dict[str, str]) -> Deployment:
    """Make a deployment whose provider is described by variables alone."""
    return deploy(
        **{
            **endpoints,
            "REFRESH_ENDPOINT": f"{endpoint.url}/{{tenant}}/refresh",
            "ENDPOINT_VALUES": "tenant=contoso",
            "TOKEN_REQUEST_FORMAT": "json",
            "TOKEN_REQUEST_NAMES": NAMES,
            "AUTHORIZATION_NAMES": "client_id=app_id&response_type=",
            "CALLBACK_CODE": "auth_code",
            "CODE_PARAMS": "expiring=1",
            "REFRESH_PARAMS": "scope=read",
            "TOKEN_HEADERS": "X-Api-Version=2026-01-01",
            "TOKENS_AT": "data",
            "RESPONSE_NAMES": "access_token=token&expires_in=valid_for",
            "REVOCATION_STYLE": "json",
            "REDIRECT_URI": "Acme-Keeper-abcde",
        }
    )


@pytest.mark.parametrize("has_metadata", [False, True], ids=["endpoints", "issuer"])
def test_login_refresh_and_revocation_in_the_providers_own_form(
    deploy: Deploy, endpoint: TokenEndpoint, *, has_metadata: bool
) -> None:
    if has_metadata:
        endpoint.metadata = METADATA | {"revocation_endpoint": f"{endpoint.url}/revoke"}
    endpoints = endpoint.issuer_environ if has_metadata else endpoint.environ
    deployment = unusual(deploy, endpoint, endpoints)
    begun = query_of(deployment.begin_login("default"))
    client = {"app_id": deployment.environ["CLIENT_ID"]}
    assert begun.items() >= {**client, "redirect_uri": "Acme-Keeper-abcde"}.items()
    assert not begun.keys() & {"client_id", "response_type"}

    # A code under the usual name is not one.
    state = begun["state"]
    assert deployment.callback(code="a-code", state=state).status_code == 400
    twice = f"/api/callback?state={state}&auth_code=a&auth_code=b"
    assert deployment.call("GET", twice).status_code == 400
    endpoint.plan(tokens(1), tokens(2))
    expect_page(deployment.callback(auth_code="the-code-of-this-login", state=state))
    assert expect_token(deployment.token("default")) == "access-1-of-the-account"
    deployment.age("default", by=OVER)
    assert expect_token(deployment.token("default")) == "access-2-of-the-account"
    expect_json(deployment.post("/api/revoke"))

    secret = {"secret": deployment.environ["CLIENT_SECRET"]}
    exchange, refresh = endpoint.seen
    (revocation,) = endpoint.revocations
    verifier = exchange.form["code_verifier"]
    assert exchange.form == {
        **client,
        **secret,
        "auth_code": "the-code-of-this-login",
        "code_verifier": verifier,
        "redirect_uri": "Acme-Keeper-abcde",
        "expiring": "1",
    }
    assert refresh.form == {
        **client,
        **secret,
        "refresh_token": "refresh-1-of-the-account",
        "scope": "read",
    }
    assert revocation.form == {**client, **secret, "token": "refresh-2-of-the-account"}
    for seen in (exchange, refresh, revocation):
        assert (
            seen.headers.items()
            >= {
                "content-type": "application/json",
                "x-api-version": "2026-01-01",
            }.items()
        )
    lines = [seen.line for seen in (exchange, refresh, revocation)]
    assert lines == ["POST /token", "POST /contoso/refresh", "POST /revoke"]


def test_a_login_is_ended_by_its_current_access_token(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(
        **{
            **endpoint.environ,
            "REVOCATION_ENDPOINT": f"{endpoint.url}/applications/{{client_id}}/token",
            "REVOCATION_STYLE": "delete-json",
        }
    )
    state = deployment.begin()
    expect_page(deployment.callback(code="a-code", state=state))
    answer = expect_json(deployment.post("/api/revoke"))
    assert answer["revoked"] == "yes"
    (seen,) = endpoint.revocations
    assert seen.line == f"DELETE /applications/{deployment.environ['CLIENT_ID']}/token"
    assert seen.form == {"access_token": endpoint.given[-1]["access_token"]}
    assert (seen.authorization or "").startswith("Basic ")


def test_a_name_of_the_redirect_uri_is_sent_and_the_address_is_registered(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, REDIRECT_URI="Acme-Keeper-abcde")
    begun = query_of(deployment.begin_login("default"))
    expect_page(deployment.callback(code="a-code", state=begun["state"]))
    (exchange,) = endpoint.seen
    assert begun["redirect_uri"] == exchange.form["redirect_uri"] == "Acme-Keeper-abcde"
    settings = Settings.from_environ(deployment.environ)
    assert settings.redirect_uri(settings.clients.get(None)) == REDIRECT_URI

"""POST /api/adopt: tokens of another program, stored first and proven by one refresh."""

import json
from urllib.parse import urlencode

import httpx
import pytest

from domain.grant import Adopting, AuthorizationRequired, Authorized, Cause, Moved, Unauthorized
from tests.functions.access.test_api_keys import api_keys, entry
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, at, query_of
from tests.functions.expect import (
    expect_json,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import fresh, over
from tests.functions.login.test_accounts import id_token
from tests.functions.token_endpoint import Answer, TokenEndpoint

TOKEN = "a-token-from-elsewhere"
FORM = "application/x-www-form-urlencoded"
TOKENS = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_in": 1800}
# As the programs write them: digikey-api and KiCost (`expires` is an epoch), rclone, a response.
FILES = {
    "digikey-api": {**TOKENS, "refresh_token_expires_in": 7776000, "expires": 1796040000.5},
    "rclone": {
        "access_token": "a",
        "token_type": "Bearer",
        "refresh_token": "r",
        "expiry": "2026-11-30T12:00:00.123456789+01:00",
    },
    "token response": {**TOKENS, "scope": "read"},
    "refresh token": {"refresh_token": "r"},
}


def adopt(deployment: Deployment, connection: str, **parameters: str) -> httpx.Response:
    """Adopt `TOKEN`."""
    return deployment.adopt(connection, json.dumps({"refresh_token": TOKEN}).encode(), **parameters)


def log_in_elsewhere(deployment: Deployment) -> dict[str, object]:
    """Log in as another program of the same client does, and return the token response."""
    peer = deployment.provider
    code = query_of(peer.allow(peer.authorization_url(state="s")))["code"]
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "client_id": peer.client_id,
        "client_secret": peer.client_secret,
        "redirect_uri": peer.redirect_uri,
    }
    members: dict[str, object] = httpx.post(peer.token_endpoint, data=form).json()
    return members


def test_a_token_of_another_program_is_adopted(deployment: Deployment, connection: str) -> None:
    members = log_in_elsewhere(deployment)
    answer = deployment.adopt(connection, json.dumps(members).encode())
    adopted = expect_json(answer)
    assert (adopted["state"], adopted["generation"]) == ("fresh", 1)
    assert "Stop the other program" in adopted.pop("detail")
    assert adopted == expect_json(deployment.verify(connection))
    token = expect_token(deployment.token(connection))
    assert token != members["access_token"]
    assert deployment.provider.accepts(token)
    history = expect_json(deployment.get(at("/api/verify", connection=connection, history="1")))
    events = [entry["event"] for entry in history["history"]]
    assert events == ["refresh", "adopted"]


@pytest.mark.parametrize("members", FILES.values(), ids=FILES)
def test_files_of_programs_are_read(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, members: dict[str, object]
) -> None:
    expect_json(scripted.adopt(connection, json.dumps(members, indent=1).encode()))
    assert [seen.form["refresh_token"] for seen in endpoint.seen] == ["r"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(urlencode({"refresh_token": "r+/="}).encode(), FORM, id="form"),
        pytest.param(b"r+/=\n", "text/plain", id="text"),
        pytest.param(b'\xef\xbb\xbf{"refresh_token": "r+/="}', "", id="JSON with a BOM"),
    ],
)
def test_other_bodies_are_read(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, body: bytes, content_type: str
) -> None:
    expect_json(scripted.adopt(connection, body, content_type))
    assert endpoint.seen[0].form["refresh_token"] == "r+/="


@pytest.mark.parametrize(
    ("body", "content_type", "named"),
    [
        pytest.param(b"", "application/json", "refresh_token is missing", id="empty"),
        pytest.param(b"{}", "application/json", "refresh_token is missing", id="no member"),
        pytest.param(b'{"refresh_token":null}', "", "refresh_token is missing", id="null"),
        pytest.param(b'{"refresh_token":["secret"]}', "", "Invalid refresh_token", id="list"),
        pytest.param(b'{"refresh_token":7}', "", "Invalid refresh_token", id="number"),
        pytest.param(b'{"refresh_token":"se cret"}', "", "Invalid refresh_token", id="space"),
        pytest.param(b'{"refresh_token":"se\\ncret"}', "", "Invalid refresh_token", id="line end"),
        pytest.param(b'{"refresh_token":"secret","refresh_token":"b"}', "", "once", id="twice"),
        pytest.param(b'{"refresh_token":"secret"', "", "JSON object", id="incomplete"),
        pytest.param(b'{"refresh_token":"secret","scope":["a"]}', "", "Invalid scope", id="scope"),
        pytest.param(b'{"refresh_token":"secret","id_token":1}', "", "Invalid id_token", id="id"),
        pytest.param(
            b'{"refresh_token":"secret","connection":"b"}',
            "",
            "connection in the query",
            id="query",
        ),
        pytest.param(b"\xffsecret", "", "UTF-8", id="bytes"),
        pytest.param(b"secret token", "text/plain", "Invalid refresh_token", id="two words"),
        pytest.param(b"secret=secret", FORM, "refresh_token is missing", id="form without it"),
        pytest.param(b"refresh_token=secret&refresh_token=b", FORM, "more than once", id="form"),
        pytest.param(
            b'{"refresh_token":"secret"}', FORM, "refresh_token is missing", id="not form"
        ),
    ],
)
def test_a_bad_body_is_refused_by_its_member_and_nothing_is_stored(
    scripted: Deployment, connection: str, body: bytes, content_type: str, named: str
) -> None:
    answer = scripted.adopt(connection, body, content_type)
    assert named in expect_problem(answer, 400, "invalid-request")["detail"]
    assert "secret" not in answer.text
    assert scripted.grant(connection) == Unauthorized()


@pytest.mark.parametrize("value", ["yes", "", "TRUE"])
def test_a_bad_replace_is_refused(scripted: Deployment, connection: str, value: str) -> None:
    answer = adopt(scripted, connection, replace=value)
    assert "replace" in expect_problem(answer, 400, "invalid-request")["detail"]


def test_the_key_needs_the_endpoint_login(deploy: Deploy, endpoint: TokenEndpoint) -> None:
    keys = api_keys(
        entry("reader", "the-key-of-a-reader", endpoints=["token", "refresh"]),
        entry("owner", "the-key-of-an-owner", endpoints=["login"]),
    )
    deployment = deploy(**endpoint.environ, API_KEYS=keys)
    body = b'{"refresh_token":"r"}'
    refused = deployment.call(
        "POST", "/api/adopt", ("x-api-key", "the-key-of-a-reader"), content=body
    )
    assert "login" in expect_problem(refused, 403, "key-not-allowed")["detail"]
    expect_json(
        deployment.call("POST", "/api/adopt", ("x-api-key", "the-key-of-an-owner"), content=body)
    )


# The earlier grant.


def test_a_connection_that_works_keeps_its_grant(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    members = expect_problem(adopt(scripted, connection), 409, "connection-in-use")
    assert "replace=true" in members["detail"]
    assert scripted.grant(connection) == grant
    assert endpoint.seen == []
    expect_json(adopt(scripted, connection, replace="true"))
    assert endpoint.seen[0].form["refresh_token"] == TOKEN
    assert expect_token(scripted.token(connection)) == endpoint.given[0]["access_token"]


def test_a_connection_that_needs_a_login_gets_the_tokens(
    scripted: Deployment, connection: str
) -> None:
    required = AuthorizationRequired(
        tokens=over().tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client",
        since=over().tokens.issued_at,
    )
    scripted.put(connection, required)
    assert expect_json(adopt(scripted, connection))["generation"] == 2


INVALID_GRANT = Answer.json({"error": "invalid_grant", "error_description": "gone"}, status=400)


@pytest.mark.parametrize(
    "earlier", [fresh(), over(), Unauthorized()], ids=["fresh", "over", "none"]
)
@pytest.mark.parametrize(
    "refused",
    [
        pytest.param((INVALID_GRANT, 502, "adoption-refused"), id="invalid_grant"),
        pytest.param(
            (Answer.json({"error": "invalid_client"}, status=401), 502, "client-refused"),
            id="client",
        ),
        pytest.param((Answer(status=400), 502, "refused-without-reason"), id="no reason"),
    ],
)
def test_a_refused_token_leaves_the_earlier_grant(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    earlier: Authorized | Unauthorized,
    refused: tuple[Answer, int, str],
) -> None:
    refusal, status, name = refused
    scripted.put(connection, earlier)
    endpoint.plan(refusal)
    members = expect_problem(adopt(scripted, connection, replace="true"), status, name)
    assert "earlier grant stays" in members["detail"]
    assert ("gone" in members["detail"]) is (name == "adoption-refused")
    assert scripted.grant(connection) == earlier
    assert len(endpoint.seen) == 1


def test_an_unavailable_provider_keeps_both_and_the_next_request_goes_on(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    earlier = fresh()
    scripted.put(connection, earlier)
    endpoint.plan(Answer(status=503, retry_after=60))
    answer = adopt(scripted, connection, replace="true")
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=60)
    waiting = scripted.grant(connection)
    assert isinstance(waiting, Adopting)
    assert waiting.earlier == earlier
    assert expect_token(scripted.token(connection)) == earlier.tokens.access_token
    expect_json(scripted.verify(connection), 202)
    expect_retry_after(adopt(scripted, connection), at_most=60)
    assert len(endpoint.seen) == 1


def test_the_same_token_again_sends_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    for replace in ("false", "true", "false"):
        assert expect_json(adopt(scripted, connection, replace=replace))["generation"] == 1
    assert [seen.form["refresh_token"] for seen in endpoint.seen] == [TOKEN]


def test_another_account_is_refused(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    adopt_as(scripted, endpoint, connection, "alice")
    grant = scripted.grant(connection)
    assert isinstance(grant, Authorized)
    required = AuthorizationRequired(
        tokens=grant.tokens,
        cause=Cause.REFRESH_TOKEN_REJECTED,
        client="client",
        since=grant.tokens.issued_at,
    )
    scripted.put(connection, required)
    body = json.dumps({"refresh_token": "of-bob", "id_token": id_token("bob")}).encode()
    expect_problem(scripted.adopt(connection, body), 409, "other-account")
    # Known only by the refresh.
    endpoint.plan(tokens_of("bob"))
    body = json.dumps({"refresh_token": "of-somebody"}).encode()
    members = expect_problem(scripted.adopt(connection, body), 409, "other-account")
    assert "as the refresh showed" in members["detail"]
    assert scripted.grant(connection) == required


def test_a_moved_connection_adopts_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, Moved(grant=grant, since=grant.tokens.issued_at))
    expect_problem(adopt(scripted, connection, replace="true"), 410, "connection-moved")
    assert endpoint.seen == []


def test_neither_the_log_nor_the_store_shows_the_token(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    endpoint.plan(Answer.echo(status=400))
    answer = adopt(scripted, connection)
    assert TOKEN not in answer.text
    expect_json(adopt(scripted, connection))
    assert TOKEN not in scripted.running.log()
    assert not [row for row in scripted.rows() if TOKEN in str(row)]


def adopt_as(
    deployment: Deployment, endpoint: TokenEndpoint, connection: str, account: str
) -> None:
    endpoint.plan(tokens_of(account))
    expect_json(adopt(deployment, connection))


def tokens_of(account: str) -> Answer:
    members = {**TOKENS, "access_token": f"of-{account}", "id_token": id_token(account)}
    return Answer.json(members)

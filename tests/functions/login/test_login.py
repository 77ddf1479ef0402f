"""A login from its beginning to the tokens that it brings."""

import re
from base64 import b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

import pytest

from domain.authorization import LOGIN_LIFETIME, PendingLogin
from domain.grant import Unauthorized
from tests.functions.conftest import Deploy
from tests.functions.deployment import (
    HTML,
    JSON,
    PUBLIC_URL,
    REDIRECT_URI,
    STATIC_STATE,
    Deployment,
    Header,
    query_of,
)
from tests.functions.expect import (
    expect_json,
    expect_page,
    expect_problem,
    expect_token,
)
from tests.functions.grants import LIFE
from tests.functions.hosts import on_each_host, on_each_host_and_store, on_hosts
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer


def test_login_begins_at_the_provider_with_the_parameters_of_rfc_6749(
    deployment: Deployment,
) -> None:
    members = expect_json(deployment.post("/api/login"))
    assert set(members) == {"authorization_url", "expires_in"}
    assert 0 < members["expires_in"] <= 600
    url = members["authorization_url"]
    assert url.partition("?")[0] == deployment.provider.authorization_endpoint
    query = query_of(url)
    # Digi-Key is not known to have PKCE.
    assert set(query) == {"response_type", "client_id", "redirect_uri", "state"}
    assert query["response_type"] == "code"
    assert query["client_id"] == deployment.environ["CLIENT_ID"]
    assert query["redirect_uri"] == REDIRECT_URI


def test_checklist_1_each_login_has_a_state_of_its_own_that_cannot_be_guessed(
    deployment: Deployment,
) -> None:
    states = {deployment.begin() for _ in range(5)}
    assert len(states) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43,}", state) for state in states)


@on_each_host_and_store
def test_login_ends_with_a_page_and_a_token_that_works(
    deployment: Deployment, connection: str
) -> None:
    callback_url = deployment.provider.allow(deployment.begin_login(connection))
    page = expect_page(deployment.follow(callback_url, HTML))
    assert connection in page
    token = expect_token(deployment.token(connection))
    assert deployment.provider.accepts(token)
    stored = deployment.tokens(connection)
    assert token == stored.access_token
    assert stored.access_token not in page
    assert str(stored.refresh_token) not in page


@pytest.mark.parametrize("accept", [HTML, JSON], ids=["page", "json"])
def test_checklist_12_end_of_a_login_repeats_no_secret(
    deployment: Deployment, connection: str, accept: Header
) -> None:
    callback_url = deployment.provider.allow(deployment.begin_login(connection))
    answer = deployment.follow(callback_url, accept)
    if accept == JSON:
        members = expect_json(answer)
        assert (members["connection"], members["status"]) == (connection, "authorized")
    stored, query = deployment.tokens(connection), query_of(callback_url)
    secrets = (stored.access_token, stored.refresh_token, query["code"], query["state"])
    for secret in map(str, secrets):
        assert secret not in answer.text
        assert secret not in str(answer.headers.raw)


def test_token_has_the_time_to_its_end(deployment: Deployment, connection: str) -> None:
    before = datetime.now(UTC)
    deployment.log_in(connection)
    members = expect_json(deployment.token(connection))
    after = datetime.now(UTC)
    assert isinstance(members["expires_in"], int)
    # The provider says 1799: counted from before the request was sent, and rounded down.
    assert 1799 - (after - before).total_seconds() - 1 <= members["expires_in"] < 1799
    expires_at = datetime.fromisoformat(members["expires_at"])
    assert before + LIFE - timedelta(seconds=2) <= expires_at <= after + LIFE
    assert members["expires_at"].endswith("Z")


def test_connection_named_at_the_callback_does_not_count(
    deployment: Deployment, connection: str
) -> None:
    callback_url = deployment.provider.allow(deployment.begin_login(connection))
    other = f"{connection}-other"
    answer = deployment.follow(f"{callback_url}&connection={other}", JSON)
    assert expect_json(answer)["connection"] == connection
    assert isinstance(deployment.grant(other), Unauthorized)


def test_two_connections_are_independent(deployment: Deployment, connection: str) -> None:
    one, other = f"{connection}-one", f"{connection}-other"
    first_url, second_url = deployment.begin_login(one), deployment.begin_login(other)
    # The second login comes back first.
    deployment.follow(deployment.provider.allow(second_url))
    expect_problem(deployment.token(one), 401, "authorization-required")
    deployment.follow(deployment.provider.allow(first_url))
    tokens = {name: expect_token(deployment.token(name)) for name in (one, other)}
    assert tokens[one] != tokens[other]
    deployment.age(one, by=LIFE)
    renewed = expect_token(deployment.token(one))
    assert renewed not in tokens.values()
    assert expect_token(deployment.token(other)) == tokens[other]
    assert all(map(deployment.provider.accepts, (renewed, tokens[other])))


def test_connection_is_default_without_a_parameter(deployment: Deployment) -> None:
    url = str(expect_json(deployment.post("/api/login"))["authorization_url"])
    deployment.follow(deployment.provider.allow(url))
    token = expect_token(deployment.get("/api/token"))
    assert expect_token(deployment.token("default")) == token


def test_new_login_replaces_the_old_one(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    old = expect_token(deployment.token(connection))
    deployment.log_in(connection)
    new = expect_token(deployment.token(connection))
    assert new != old
    assert deployment.provider.accepts(new)


ONLY_ACCESS = Answer.json({"access_token": "only-this", "token_type": "Bearer", "expires_in": 60})


def test_checklist_15_login_without_a_refresh_token_warns(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    endpoint.plan(ONLY_ACCESS)
    assert "no refresh token" in log_in_scripted(scripted, connection)
    assert expect_token(scripted.token(connection)) == "only-this"


def test_login_without_a_refresh_token_leaves_one_that_works(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    log_in_scripted(scripted, connection)
    before = scripted.tokens(connection)
    endpoint.plan(ONLY_ACCESS)
    assert "earlier login stays in force" in log_in_scripted(scripted, connection)
    assert scripted.tokens(connection) == before


def log_in_scripted(scripted: Deployment, connection: str) -> str:
    """Log in, and return the page."""
    state = scripted.begin(connection)
    return expect_page(scripted.callback(code="a-code", state=state))


# --- PKCE, and what is sent to the provider


def test_checklist_4_provider_with_pkce_gets_a_challenge_and_its_verifier(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    for _ in range(2):
        query = query_of(scripted.begin_login(connection))
        assert query["code_challenge_method"] == "S256"
        expect_page(scripted.callback(code="a-code", state=query["state"]))
        verifier = endpoint.seen[-1].form["code_verifier"]
        assert re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier)
        assert challenge(verifier) == query["code_challenge"]
        assert verifier not in str(query)
    # Each login has one of its own.
    assert len({seen.form["code_verifier"] for seen in endpoint.seen}) == 2


def challenge(verifier: str) -> str:
    # RFC 7636 §4.2.
    digest = sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def test_checklist_5_state_is_checked_where_there_is_pkce_too(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    query = query_of(scripted.begin_login(connection))
    assert "code_challenge" in query
    for state in (query["state"][:-1], ""):
        answer = scripted.callback(JSON, code="a-code", state=state)
        expect_problem(answer, 400, "invalid-state")
    assert endpoint.seen == []
    expect_page(scripted.callback(code="a-code", state=query["state"]))


def test_checklist_6_code_is_exchanged_with_the_client_secret_and_the_same_redirect_uri(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    query = query_of(scripted.begin_login(connection))
    expect_page(scripted.callback(code="a code&with=signs", state=query["state"]))
    [seen] = endpoint.seen
    assert seen.form == {
        "grant_type": "authorization_code",
        "code": "a code&with=signs",
        "redirect_uri": query["redirect_uri"],
        "code_verifier": seen.form["code_verifier"],
        "client_id": scripted.environ["CLIENT_ID"],
        "client_secret": scripted.environ["CLIENT_SECRET"],
    }
    assert seen.authorization is None


def test_settings_of_the_provider_are_followed(deploy: Deploy, endpoint: TokenEndpoint) -> None:
    deployment = deploy(
        **endpoint.environ,
        PKCE="none",
        SCOPE="read write",
        AUTHORIZATION_PARAMS="prompt=consent&access_type=offline&login_hint=",
        TOKEN_ENDPOINT_AUTH_METHOD="client_secret_basic",
    )
    query = query_of(deployment.begin_login("default"))
    assert query == {
        "response_type": "code",
        "client_id": deployment.environ["CLIENT_ID"],
        "redirect_uri": REDIRECT_URI,
        "state": query["state"],
        "scope": "read write",
        "prompt": "consent",
        "access_type": "offline",
        "login_hint": "",
    }
    expect_page(deployment.callback(code="a-code", state=query["state"]))
    [seen] = endpoint.seen
    assert set(seen.form) == {"grant_type", "code", "redirect_uri"}
    assert basic_credentials(seen.authorization) == (
        deployment.environ["CLIENT_ID"],
        deployment.environ["CLIENT_SECRET"],
    )


def test_checklist_16_scope_that_was_granted_is_returned_though_more_was_asked_for(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.environ, SCOPE="read write")
    query = query_of(deployment.begin_login("default"))
    assert query["scope"] == "read write"
    expect_page(deployment.callback(code="a-code", state=query["state"]))
    assert expect_json(deployment.token("default"))["scope"] == "read"


def basic_credentials(authorization: str | None) -> tuple[str, str]:
    # RFC 6749 §2.3.1: form-urlencoded, then joined, then Basic.
    scheme, _, encoded = str(authorization).partition(" ")
    assert scheme == "Basic"
    client_id, _, secret = b64decode(encoded).decode().partition(":")
    return unquote(client_id.replace("+", " ")), unquote(secret.replace("+", " "))


# --- a static state


def test_static_state_is_accepted_while_it_is_set_and_nothing_like_it(deploy: Deploy) -> None:
    deployment = deploy(OAUTH_STATE=STATIC_STATE)
    for state in (
        STATIC_STATE[:-1],
        f"{STATIC_STATE} and more",
        STATIC_STATE.upper(),
        "статический",
    ):
        expect_problem(deployment.callback(JSON, code="c", state=state), 400, "invalid-state")
    url = deployment.provider.authorization_url(state=STATIC_STATE)
    for _ in range(2):
        # Unlike a one-time state, it serves again.
        answer = deployment.follow(deployment.provider.allow(url), JSON)
        assert expect_json(answer)["connection"] == "default"
    assert deployment.provider.accepts(expect_token(deployment.get("/api/token")))
    # One-time states go on working.
    deployment.log_in("another")


def test_static_state_is_refused_once_it_is_not_set_any_more(deployment: Deployment) -> None:
    before = deployment.rows(), deployment.provider.stats()
    url = deployment.provider.authorization_url(state=STATIC_STATE)
    answer = deployment.follow(deployment.provider.allow(url), JSON)
    expect_problem(answer, 400, "invalid-state")
    assert (deployment.rows(), deployment.provider.stats()) == before


def test_empty_static_state_is_unset(deploy: Deploy) -> None:
    deployment = deploy(OAUTH_STATE=" ", PUBLIC_URL=None)
    for state in ("", " "):
        answer = deployment.callback(JSON, code="a-code", state=state)
        expect_problem(answer, 400, "invalid-state")


# --- where logins come back to


def test_login_does_not_begin_without_a_public_address(deploy: Deploy) -> None:
    deployment = deploy(PUBLIC_URL=None)
    forged: Any = [("host", "evil.test"), ("x-forwarded-host", "evil.test")]
    members = expect_problem(deployment.post("/api/login", *forged), 500, "not-configured")
    assert "PUBLIC_URL" in members["detail"]
    assert "evil" not in members["detail"]
    # All else works.
    expect_problem(deployment.get("/api/token"), 401, "authorization-required")


def test_address_is_taken_from_vercel_where_it_is_not_set(deploy: Deploy) -> None:
    deployment = deploy(PUBLIC_URL=None, VERCEL_PROJECT_PRODUCTION_URL="keeper.vercel.test")
    query = query_of(deployment.begin_login("default"))
    assert query["redirect_uri"] == "https://keeper.vercel.test/api/callback"


@on_each_host
def test_checklist_6_forwarded_headers_do_not_move_the_redirect(deployment: Deployment) -> None:
    answer = deployment.post(
        "/api/login",
        ("host", "evil.test"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "host=evil.test;proto=http"),
        ("x-forwarded-proto", "http"),
    )
    assert query_of(expect_json(answer)["authorization_url"])["redirect_uri"] == REDIRECT_URI


def test_problem_names_the_url_of_the_connections_login(
    deployment: Deployment, connection: str
) -> None:
    url = f"{PUBLIC_URL}/api/login?connection={connection}"
    answer = deployment.token(connection)
    members = expect_problem(answer, 401, "authorization-required")
    assert members["cause"] == "never-authorized"
    assert members["login"].items() >= {"method": "POST", "url": url}.items()
    assert url in members["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="oauth-callback"'


@on_hosts("in-process", "uvicorn")
def test_pending_login_of_a_process_that_ended_is_completed_by_the_next(deploy: Deploy) -> None:
    first = deploy()
    callback_url = first.provider.allow(first.begin_login("default"))
    first.running.stop()
    second = deploy()
    expect_page(second.follow(callback_url))
    assert second.provider.accepts(expect_token(second.get("/api/token")))


def test_login_is_good_for_the_stated_time(deployment: Deployment, connection: str) -> None:
    expires_in = expect_json(deployment.post("/api/login"))["expires_in"]
    assert expires_in == LOGIN_LIFETIME.total_seconds()
    last_moment = datetime.now(UTC) + timedelta(minutes=2)
    state = deployment.put_login(pending(connection, expires_at=last_moment))
    url = deployment.provider.authorization_url(state=state)
    expect_page(deployment.follow(deployment.provider.allow(url)))


def test_login_that_has_expired_is_refused_before_the_provider_is_asked(
    deployment: Deployment, connection: str, digikey: SimulatedDigiKeyPeer
) -> None:
    state = deployment.put_login(pending(connection, expires_at=datetime.now(UTC)))
    url = digikey.authorization_url(state=state)
    stats = digikey.stats()
    answer = deployment.follow(digikey.allow(url), JSON)
    expect_problem(answer, 400, "invalid-state")
    assert digikey.stats() == stats
    expect_problem(deployment.token(connection), 401, "authorization-required")


def pending(connection: str, *, expires_at: datetime) -> PendingLogin:
    return PendingLogin(
        connection=connection, redirect_uri=REDIRECT_URI, code_verifier=None, expires_at=expires_at
    )

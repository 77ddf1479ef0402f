"""GRANT=client_credentials: tokens without a login, at every endpoint and operator command."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Requesting,
    Revoked,
)
from domain.provider import GrantType
from functions.endpoints.promises.schemas import SCHEMAS
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.docs.pages import all_first_cells, blocks, page
from tests.functions.commands import environ_in, run_admin
from tests.functions.conftest import Deploy
from tests.functions.deployment import JSON, Call, Deployment, at
from tests.functions.doctors import encryption_key, findings, said, wrong
from tests.functions.expect import (
    expect_json,
    expect_page,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import DAY, fresh, over
from tests.functions.token_endpoint import Answer, Seen, TokenEndpoint

OWN = GrantType.CLIENT_CREDENTIALS
PAGE = page("client-credentials.md")


@pytest.fixture
def own(deploy: Deploy, endpoint: TokenEndpoint) -> Deployment:
    """A deployment without logins, and without what only logins need."""
    return start(deploy, endpoint)


def start(deploy: Deploy, endpoint: TokenEndpoint, **changes: str | None) -> Deployment:
    settings: dict[str, str | None] = {
        **endpoint.environ,
        "GRANT": "client_credentials",
        "AUTHORIZATION_ENDPOINT": None,
        "PUBLIC_URL": None,
        "CRON_SECRET": None,
        "SCOPE": "read write",
        **changes,
    }
    return deploy(**settings)


def sent(endpoint: TokenEndpoint) -> list[Seen]:
    assert {seen.form["grant_type"] for seen in endpoint.seen} <= {"client_credentials"}
    return endpoint.seen


def verified(deployment: Deployment, connection: str, status: int) -> dict[str, Any]:
    """The state, which must be as it is promised."""
    members = expect_json(deployment.verify(connection), status)
    name = "Standing" if "generation" in members else "WithoutToken"
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": dict(SCHEMAS)}}
    jsonschema.validate(members, schema)
    assert members["state"] in all_first_cells(PAGE)
    return members


def test_the_first_question_gets_a_token_and_the_next_ones_the_same(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    before = verified(own, connection, 202)
    assert before == {
        "state": "unauthorized",
        "grant": "client_credentials",
        "action_required": False,
        "cause": None,
    }
    first = expect_token(own.token(connection))
    assert expect_token(own.token(connection, min_ttl="9999")) == first
    (seen,) = sent(endpoint)
    assert seen.form == {
        "grant_type": "client_credentials",
        "scope": "read write",
        "client_id": own.environ["CLIENT_ID"],
        "client_secret": own.environ["CLIENT_SECRET"],
    }
    after = verified(own, connection, 200)
    assert (after["state"], after["grant"]) == ("fresh", "client_credentials")
    # The endpoint always sends one.
    assert after["refresh_token_expires_at"] is None
    assert own.tokens(connection).refresh_token is None
    assert after["last_refresh"]["outcome"] == "tokens"
    asked = own.get(at("/api/verify", connection=connection, history="1"))
    (entry,) = expect_json(asked)["history"]
    assert (entry["event"], entry["outcome"]) == ("refresh", "tokens")


def test_callers_share_the_first_request_and_each_later_one(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    call = Call(method="GET", target=at("/api/token", connection=connection), headers=(own.key,))
    for number in (1, 2, 3):
        served = {expect_token(answer) for answer in own.together([call] * 50)}
        assert len(served) == 1
        assert len(sent(endpoint)) == number
        own.age(connection, DAY)
        assert verified(own, connection, 202)["state"] == "access-expired"


def test_a_first_request_in_flight_is_shown(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    token = Call(method="GET", target=at("/api/token", connection=connection), headers=(own.key,))
    with endpoint.held():
        own.abandon(token, once=lambda: len(endpoint.seen) == 1)
        members = verified(own, connection, 202)
        assert members["state"] == "unauthorized"
        assert members["last_refresh"]["outcome"] == "in-progress"
        assert isinstance(own.grant(connection), Requesting)
        nothing = expect_json(own.revoke(connection))
        assert nothing["revoked"] == "nothing"
        assert "GET /api/token" in nothing["detail"]
    expect_token(own.token(connection))
    assert len(sent(endpoint)) == 1


def test_an_explicit_refresh_replaces_the_token(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    assert expect_json(own.refresh(connection))["state"] == "fresh"
    expect_json(own.refresh(connection))
    assert len(sent(endpoint)) == 1
    own.age(connection, timedelta(seconds=20))
    assert expect_json(own.refresh(connection))["grant"] == "client_credentials"
    assert len(sent(endpoint)) == 2


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("invalid_client", "client-refused"),
        ("unauthorized_client", "client-refused"),
        ("invalid_scope", "client-refused"),
        ("invalid_grant", "client-refused"),
        ("login_required", "client-refused"),
        ("something_else", "refused-without-reason"),
    ],
)
@pytest.mark.parametrize("earlier", [0, 1], ids=["first request", "later request"])
def test_no_refusal_asks_a_person_to_log_in(
    deploy: Deploy, endpoint: TokenEndpoint, error: str, problem: str, earlier: int
) -> None:
    own, connection = start(deploy, endpoint), "default"
    for _ in range(earlier):
        expect_token(own.token(connection))
        own.age(connection, DAY)
    endpoint.plan(Answer.json({"error": error}, status=400))
    refused = own.token(connection)
    expect_retry_after(refused, at_most=1)
    # The next try must not come due while a slow machine asks again.
    own.age(connection, -timedelta(minutes=1))
    for answer in (refused, own.token(connection), own.refresh(connection)):
        members = expect_problem(answer, 502, problem)
        assert error in members["detail"]
        assert "login" not in members
        expect_retry_after(answer, at_most=61)
    assert len(sent(endpoint)) == 1 + earlier
    state = verified(own, connection, 202)
    assert state["state"] == ("access-expired" if earlier else "unauthorized")
    is_fault = problem == "client-refused"
    assert (state["action_required"], state["cause"]) == (is_fault, problem if is_fault else None)
    assert state["last_refresh"]["outcome"] == problem
    assert state["next_try_at"]
    own.age(connection, timedelta(minutes=2))
    expect_token(own.token(connection))
    assert verified(own, connection, 200)["action_required"] is False


def test_an_hour_of_failures_of_the_first_request_needs_a_person(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    endpoint.plan(Answer(status=503))
    expect_problem(own.token(connection), 503, "provider-unavailable")
    assert verified(own, connection, 202)["action_required"] is False
    own.age(connection, timedelta(hours=1))
    assert verified(own, connection, 202)["cause"] == "provider-unavailable"


def test_a_login_is_not_needed(own: Deployment, endpoint: TokenEndpoint, connection: str) -> None:
    answer = own.post(at("/api/login", connection=connection))
    detail = expect_problem(answer, 409, "login-not-needed")["detail"]
    assert "GRANT" in detail
    assert (own.rows(), endpoint.seen) == ([], [])


def test_there_is_nothing_to_adopt(own: Deployment, endpoint: TokenEndpoint) -> None:
    answer = own.adopt("default", b"a-refresh-token", "text/plain")
    expect_problem(answer, 409, "login-not-needed")
    assert (own.rows(), endpoint.seen) == ([], [])


def test_logins_and_links_from_before_are_not_needed_either(
    deploy: Deploy, endpoint: TokenEndpoint, connection: str
) -> None:
    before = deploy(**endpoint.environ)
    link, state = before.link(connection), before.begin(connection)
    own = start(deploy, endpoint, PUBLIC_URL=before.environ["PUBLIC_URL"])
    expect_page(own.open_link(link), has_form=True)
    assert "needs no login" in expect_page(own.press(link), 409)
    expect_problem(own.press(link, JSON), 409, "login-not-needed")
    answer = own.callback(JSON, state=state, code="a-code")
    expect_problem(answer, 409, "login-not-needed")
    expect_problem(own.callback(JSON, state="made-up", code="a-code"), 400, "invalid-state")
    assert endpoint.seen == []
    # Nothing was used up.
    expect_json(before.callback(JSON, state=state, code="a-code"))


def test_after_a_revocation_the_next_question_gets_a_new_token(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    first = expect_token(own.token(connection))
    members = expect_json(own.revoke(connection))
    assert members["revoked"] == "yes"
    assert "GET /api/token requests a new access token" in members["detail"]
    (seen,) = endpoint.revocations
    assert seen.form["token"] == first
    assert seen.form["token_type_hint"] == "access_token"
    assert isinstance(own.grant(connection), Revoked)
    state = verified(own, connection, 202)
    assert (state["state"], state["action_required"]) == ("revoked", False)
    assert expect_token(own.token(connection)) != first


def test_the_sweep_skips_client_credentials(
    deploy: Deploy, endpoint: TokenEndpoint, connection: str
) -> None:
    own = start(deploy, endpoint, CRON_SECRET="the-cron-secret-of-this-test-0123")
    expect_token(own.token(connection))
    own.age(connection, 400 * DAY)
    report = expect_json(own.sweep())
    assert report == {"refreshed": 0, "skipped": 0, "failed": 0, "left": 0, "is_complete": True}
    assert len(sent(endpoint)) == 1


# A change of GRANT.


def test_a_login_that_works_stays_in_use(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    own.put(connection, fresh())
    state = verified(own, connection, 200)
    assert state["grant"] == "authorization_code"
    own.age(connection, timedelta(hours=1))
    expect_token(own.token(connection))
    assert endpoint.seen[0].form["grant_type"] == "refresh_token"
    expect_json(own.revoke(connection))
    endpoint.forget()
    expect_token(own.token(connection))
    assert len(sent(endpoint)) == 1
    assert own.tokens(connection).grant_type is OWN


@pytest.mark.parametrize("is_refused", [True, False], ids=["refused", "no refresh token"])
def test_a_login_that_is_over_is_replaced(
    own: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    is_refused: bool,  # noqa: FBT001 - pytest passes arguments by position
) -> None:
    tokens, cause = over().tokens, Cause.REFRESH_TOKEN_REJECTED
    grant: Grant = Authorized(tokens=replace(tokens, refresh_token=None))
    if is_refused:
        now = datetime.now(UTC)
        grant = AuthorizationRequired(tokens=tokens, cause=cause, client="c", since=now)
    own.put(connection, grant)
    state = verified(own, connection, 202)
    assert (state["state"], state["grant"]) == ("unauthorized", "client_credentials")
    expect_token(own.token(connection))
    assert len(sent(endpoint)) == 1
    assert own.tokens(connection).grant_type is OWN


def test_with_logins_again_a_login_is_required(
    own: Deployment, deploy: Deploy, endpoint: TokenEndpoint, connection: str
) -> None:
    expect_token(own.token(connection))
    after = deploy(**endpoint.environ)
    members = expect_problem(after.token(connection), 401, "authorization-required")
    assert members["cause"] == "never-authorized"
    state = expect_problem(after.verify(connection), 404, "not-authorized")
    assert (state["state"], state["cause"]) == ("unauthorized", "never-authorized")
    assert "grant" not in state
    expect_json(after.callback(JSON, state=after.begin(connection), code="a-code"))
    assert expect_json(after.verify(connection))["state"] == "fresh"


# Operator commands.


def test_a_connection_moves_to_another_deployment(
    own: Deployment, endpoint: TokenEndpoint, connection: str, tmp_path: Path
) -> None:
    token, file = expect_token(own.token(connection)), tmp_path / "export"
    there = {**own.environ, "SQLITE_PATH": str(tmp_path / "there.sqlite")}
    assert run_admin(own.environ, "export", str(file), connection)[0] == 0
    state = expect_problem(own.verify(connection), 410, "connection-moved")
    assert (state["state"], state["grant"]) == ("moved", "client_credentials")
    expect_problem(own.token(connection), 410, "connection-moved")
    assert run_admin(there, "import", str(file))[0] == 0
    assert run_admin(there, "reseal")[0] == 0
    record = kept(there, connection)
    assert isinstance(record, Authorized)
    assert (record.tokens.access_token, record.tokens.grant_type) == (token, OWN)
    assert len(sent(endpoint)) == 1


def test_the_doctor_knows_that_nobody_logs_in(
    own: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    keys = {"ENCRYPTION_KEYS": encryption_key("own")}
    environ = {**own.environ, **keys}
    assert [each for each in wrong(findings(environ)) if each[0] == "fault"] == []
    own.token(connection)
    found = findings(environ)
    # The provider's host of this test has no page to compare clocks with.
    assert {about for _, about in wrong(found)} <= {"provider", "encryption"}
    own.put(connection, fresh())
    assert "POST /api/revoke" in said(findings(environ), "connections")
    endpoint.plan(Answer.json({"error": "invalid_client"}, status=401))
    expect_json(own.revoke(connection))
    expect_problem(own.token(connection), 502, "client-refused")
    assert "CLIENT_SECRET" in said(findings(environ), "refreshes")


def kept(environ: Mapping[str, str], connection: str) -> Grant:
    """Return the grant in the store of an environment."""

    async def load() -> Grant:
        store = Wiring(Settings.from_environ(environ)).store
        try:
            return (await store.load(connection)).grant
        finally:
            await store.close()

    return asyncio.run(load())


# The page.


@pytest.mark.parametrize("row", re.findall(r"^\| .*GRANT=.*$", PAGE, re.MULTILINE))
def test_the_variables_on_the_page_can_be_used(row: str, tmp_path: Path) -> None:
    given = dict(re.findall(r"`([A-Z_]+)=([^`]+)`", row))
    client = Settings.from_environ(environ_in(tmp_path, **given)).clients.get(None)
    assert client.provider.grant_type is OWN
    assert client.provider.token_endpoint or client.overrides.issuer


def test_the_page_has_the_variables_and_states_that_there_are() -> None:
    assert len(re.findall(r"^\| .*GRANT=.*$", PAGE, re.MULTILINE)) == 3
    [block] = blocks("sh", PAGE)
    assert block == "GRANT='client_credentials'\n"
    states = all_first_cells(PAGE.split("## The state", 1)[1])
    assert states == ["fresh", "access-expired", "unauthorized", "revoked", "moved"]

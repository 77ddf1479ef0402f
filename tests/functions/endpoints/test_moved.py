"""A connection that was handed over: every endpoint reports it, and none uses its grant."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.grant import AuthorizationRequired, Authorized, Cause, Idle, Moved
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, query_of
from tests.functions.endpoints.test_verify import MEMBERS, text
from tests.functions.expect import (
    PROBLEM_MEMBERS,
    expect_json,
    expect_page,
    expect_problem,
    expect_token,
)
from tests.functions.grants import fresh, over
from tests.functions.token_endpoint import Answer, TokenEndpoint

NOW = datetime.now(UTC)
REQUIRED = AuthorizationRequired(
    tokens=fresh().tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="client", since=NOW
)


@pytest.mark.parametrize("grant", [fresh(), over(), REQUIRED], ids=["fresh", "over", "required"])
def test_moved_connection_is_reported_and_the_provider_not_asked(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, grant: Idle
) -> None:
    moved = Moved(grant=grant, since=NOW)
    scripted.put(connection, moved)
    for answer in (
        scripted.token(connection),
        scripted.refresh(connection),
        scripted.revoke(connection),
    ):
        members = expect_problem(answer, 410, "connection-moved")
        assert members["moved_at"] == text(NOW)
        assert "another deployment" in members["detail"]
        assert "retry-after" not in answer.headers
        assert grant.tokens.access_token not in answer.text
    assert scripted.grant(connection) == moved
    assert endpoint.seen == endpoint.revocations == []


def test_verify_returns_the_state_before_and_the_time_of_the_move(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, Moved(grant=fresh(), since=NOW))
    members = expect_problem(deployment.verify(connection), 410, "connection-moved")
    assert set(members) == {*PROBLEM_MEMBERS, "moved_at"} | MEMBERS
    assert (members["state"], members["moved_at"]) == ("moved", text(NOW))
    assert members["refresh_token_days_left"] == 89


def test_sweep_leaves_a_moved_connection_alone(deploy: Deploy) -> None:
    deployment = deploy()
    aged = replace(over().tokens, refresh_token_expires_at=NOW)
    deployment.put("c", Moved(grant=Authorized(tokens=aged), since=NOW))
    nothing = {"refreshed": 0, "skipped": 0, "failed": 0, "left": 0, "is_complete": True}
    assert expect_json(deployment.sweep()) == nothing


def test_login_starts_another_grant(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, Moved(grant=over(), since=NOW))
    deployment.log_in(connection)
    expect_token(deployment.token(connection))


def test_login_without_a_refresh_token_does_not_replace_a_grant_that_works_elsewhere(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    moved = Moved(grant=over(), since=NOW)
    scripted.put(connection, moved)
    endpoint.plan(Answer.json({"access_token": "only-this", "token_type": "Bearer"}))
    state = query_of(scripted.begin_login(connection))["state"]
    page = expect_page(scripted.callback(code="a-code", state=state))
    assert "handed over to another deployment" in page
    assert scripted.grant(connection) == moved

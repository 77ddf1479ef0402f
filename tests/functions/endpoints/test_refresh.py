"""/api/sweep with its secret, and /api/refresh of one connection with the API key."""

from datetime import timedelta

import pytest

from tests.functions.conftest import Deploy
from tests.functions.deployment import CRON_SECRET, Deployment, Header, idle
from tests.functions.expect import expect_json, expect_problem, expect_retry_after, expect_token
from tests.functions.grants import MINUTE, fresh
from tests.functions.hosts import on_each_host
from tests.functions.token_endpoint import Answer, TokenEndpoint

SECRET: Header = ("authorization", f"Bearer {CRON_SECRET}")
WITHOUT_SECRET: dict[str, list[Header]] = {
    "nothing": [],
    "another": [("authorization", "Bearer another")],
    "a part": [("authorization", f"Bearer {CRON_SECRET[:-1]}")],
    "another scheme": [("authorization", f"Basic {CRON_SECRET}")],
    "another header": [("x-api-key", CRON_SECRET)],
    "twice, once wrong": [SECRET, ("authorization", "Bearer another")],
}
NOTHING = {"refreshed": 0, "skipped": 0, "failed": 0, "left": 0, "is_complete": True}
A_MOMENT_AGO = timedelta(seconds=9)
LONGER_AGO = timedelta(seconds=12)


# The sweep


def test_sweep_refreshes_due_connections_and_returns_their_number(deploy: Deploy) -> None:
    deployment = deploy()
    idle(deployment, "a")
    idle(deployment, "b")
    deployment.log_in("not-due")
    assert expect_json(deployment.sweep()) == {**NOTHING, "refreshed": 2}
    generations = {name: deployment.tokens(name).generation for name in ("a", "b", "not-due")}
    assert generations == {"a": 1, "b": 1, "not-due": 0}
    assert expect_json(deployment.sweep()) == NOTHING


@on_each_host
def test_former_path_of_the_sweep_sweeps(deployment: Deployment) -> None:
    # Other tests may have left what is due.
    deployment.sweep()
    idle(deployment, "a")
    answer = deployment.call("GET", "/api/refresh", SECRET)
    assert expect_json(answer)["refreshed"] == 1
    assert expect_json(answer).keys() == NOTHING.keys()


@pytest.mark.parametrize("path", ["/api/sweep", "/api/refresh"])
@pytest.mark.parametrize("headers", WITHOUT_SECRET.values(), ids=WITHOUT_SECRET)
def test_sweep_is_refused_without_its_secret(
    deployment: Deployment, path: str, headers: list[Header]
) -> None:
    answer = deployment.call("GET", path, *headers)
    expect_problem(answer, 401, "cron-secret-required")
    assert answer.headers["www-authenticate"] == 'Bearer realm="oauth-callback"'


def test_sweep_takes_no_api_key_and_a_refresh_no_cron_secret(deployment: Deployment) -> None:
    bearer = ("authorization", f"Bearer {deployment.key[1]!s}")
    expect_problem(deployment.call("GET", "/api/sweep", bearer), 401, "cron-secret-required")
    expect_problem(deployment.call("POST", "/api/refresh", SECRET), 401, "api-key-invalid")


def test_sweep_without_a_secret_in_the_environment_is_not_configured(deploy: Deploy) -> None:
    deployment = deploy(CRON_SECRET=None)
    for headers in ([], [("authorization", "Bearer None")]):
        answer = deployment.call("GET", "/api/sweep", *headers)
        assert "CRON_SECRET" in expect_problem(answer, 500, "not-configured")["detail"]
    # Nothing else needs it.
    deployment.log_in("default")
    expect_json(deployment.refresh("default"))


# One connection


def test_refresh_replaces_valid_tokens(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    deployment.age(connection, LONGER_AGO)
    old = expect_token(deployment.token(connection))
    members = expect_json(deployment.refresh(connection))
    assert (members["state"], members["generation"]) == ("fresh", 1)
    assert members["last_refresh"]["outcome"] == "tokens"
    # The same as `verify` returns, and no token.
    assert members == expect_json(deployment.verify(connection))
    assert expect_token(deployment.token(connection)) != old


def test_refresh_is_not_repeated_within_seconds(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    deployment.age(connection, A_MOMENT_AGO)
    assert expect_json(deployment.refresh(connection))["generation"] == 0
    deployment.age(connection, LONGER_AGO)
    assert expect_json(deployment.refresh(connection))["generation"] == 1
    assert expect_json(deployment.refresh(connection))["generation"] == 1


def test_refresh_without_a_login_requires_one(deployment: Deployment, connection: str) -> None:
    members = expect_problem(deployment.refresh(connection), 401, "authorization-required")
    assert members["cause"] == "never-authorized"


def test_failed_refresh_returns_a_time_to_retry_and_the_token_stays_valid(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    scripted.age(connection, LONGER_AGO)
    endpoint.plan(Answer(status=503))
    answer = scripted.refresh(connection)
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=2)
    assert expect_token(scripted.token(connection)) == grant.tokens.access_token


def test_refresh_that_the_provider_would_refuse_as_too_early_is_not_requested(
    deploy: Deploy,
) -> None:
    """Until then, what is left of the token is served, and its true time with it."""
    deployment = deploy(REFRESH_ONLY_WITHIN="30s")
    deployment.log_in("default")
    token = expect_token(deployment.token("default"))
    deployment.age("default", 27 * MINUTE)
    answer = deployment.refresh("default")
    detail = expect_problem(answer, 503, "refresh-too-early")["detail"]
    assert "GET /api/token returns the current one" in detail
    # Three minutes are left, less half a minute, and a few seconds for the clock of the provider.
    assert 140 <= int(answer.headers["retry-after"]) <= 155
    for min_ttl in ("0", "60", "900"):
        rest = expect_json(deployment.token("default", min_ttl=min_ttl))
        assert rest["access_token"] == token
        assert 0 < rest["expires_in"] <= 180
    assert deployment.tokens("default").generation == 0
    assert expect_json(deployment.sweep()) == NOTHING
    deployment.age("default", 3 * MINUTE)
    assert expect_token(deployment.token("default")) != token

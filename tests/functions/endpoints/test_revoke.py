"""/api/revoke: a connection ends here, and at a provider with a revocation endpoint."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from domain.grant import Authorized, Revoked, Revoking, Unauthorized
from domain.token_endpoint import RevocationRequest, RevocationResult, TokenTypeHint
from tests.functions.conftest import Deploy
from tests.functions.deployment import JSON, Deployment
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host_and_store
from tests.functions.token_endpoint import Answer, TokenEndpoint

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=300)
REVOKED = Revoked(at=NOW, result=RevocationResult.REVOKED)
INTERRUPTED = Revoking(
    request=RevocationRequest(token="the-token", token_type_hint=TokenTypeHint.REFRESH_TOKEN),
    at=LONG_AGO,
)
REFUSALS: Mapping[str, Answer] = {
    "the client is refused": Answer.json({"error": "invalid_client"}, status=401),
    "no reason is given": Answer(status=400),
    # Longer than the budget.
    "the provider asks for patience": Answer(status=503, retry_after=3600),
}


def expect_revoked(deployment: Deployment, connection: str, revoked: str) -> str:
    members = expect_json(deployment.revoke(connection))
    assert set(members) == {"connection", "forgotten", "revoked", "detail"}
    assert (members["connection"], members["forgotten"]) == (connection, True)
    assert members["revoked"] == revoked, members
    return str(members["detail"])


def test_checklist_58_a_connection_is_ended_at_the_provider_and_here(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    expect_revoked(scripted, connection, "yes")
    (seen,) = endpoint.revocations
    assert seen.form == {
        "token": grant.tokens.refresh_token,
        "token_type_hint": "refresh_token",
        "client_id": scripted.environ["CLIENT_ID"],
        "client_secret": scripted.environ["CLIENT_SECRET"],
    }
    kept = scripted.grant(connection)
    assert isinstance(kept, Revoked)
    assert kept.result is RevocationResult.REVOKED
    for answer in (scripted.token(connection), scripted.refresh(connection)):
        assert expect_problem(answer, 401, "authorization-required")["cause"] == "revoked"
    verified = expect_problem(scripted.verify(connection), 404, "not-authorized")
    assert (verified["state"], verified["cause"]) == ("revoked", "revoked")
    assert verified["revoked_at"] == kept.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert endpoint.seen == []


def test_second_revocation_returns_the_same_and_sends_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, fresh())
    first = expect_revoked(scripted, connection, "yes")
    assert expect_revoked(scripted, connection, "yes") == first
    assert len(endpoint.revocations) == 1


def test_checklist_58_an_unavailable_provider_is_asked_again(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, fresh())
    endpoint.plan_revocations(Answer(status=503, retry_after=1), Answer(status=503))
    expect_revoked(scripted, connection, "yes")
    assert len(endpoint.revocations) == 3


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_checklist_58_a_provider_that_refuses_does_not_prevent_the_deletion(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, refusal: Answer
) -> None:
    scripted.put(connection, fresh())
    endpoint.plan_revocations(refusal)
    assert "Remove this application's access" in expect_revoked(scripted, connection, "failed")
    assert len(endpoint.revocations) == 1
    assert isinstance(scripted.grant(connection), Revoked)


def test_provider_without_a_revocation_endpoint_does_not_prevent_the_deletion(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    detail = expect_revoked(deployment, connection, "not-supported")
    assert "REVOCATION_ENDPOINT" in detail
    assert isinstance(deployment.grant(connection), Revoked)


def test_sweep_continues_interrupted_revocations_only(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.put("ended", REVOKED)
    deployment.put("interrupted", INTERRUPTED)
    for skipped in (1, 0):
        counts = {"refreshed": 0, "skipped": skipped, "failed": 0, "left": 0, "is_complete": True}
        assert expect_json(deployment.sweep()) == counts
        assert deployment.grant("ended") == REVOKED
        ended = Revoked(at=LONG_AGO, result=RevocationResult.NOT_SUPPORTED)
        assert deployment.grant("interrupted") == ended


def test_revocation_without_a_login_stores_and_sends_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    rows = scripted.rows()
    expect_revoked(scripted, connection, "nothing")
    assert scripted.rows() == rows
    assert isinstance(scripted.grant(connection), Unauthorized)
    assert endpoint.revocations == []


@on_each_host_and_store
def test_later_login_works(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    expect_revoked(deployment, connection, "not-supported")
    deployment.log_in(connection)
    assert isinstance(deployment.grant(connection), Authorized)
    expect_token(deployment.token(connection))


def test_earlier_login_cannot_be_completed_after_the_revocation(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    callback, another = (
        deployment.provider.allow(deployment.begin_login(connection)) for _ in range(2)
    )
    expect_json(deployment.revoke(connection))
    ended = deployment.grant(connection)
    members = expect_problem(deployment.follow(callback, JSON), 400, "invalid-state")
    assert "revoked after this login" in members["detail"]
    assert deployment.grant(connection) == ended
    # The same after another login.
    deployment.log_in(connection)
    latest = deployment.grant(connection)
    expect_problem(deployment.follow(another, JSON), 400, "invalid-state")
    assert deployment.grant(connection) == latest


def test_link_from_before_the_revocation_is_invalid_and_a_later_one_works(
    deployment: Deployment, connection: str
) -> None:
    before = deployment.link(connection)
    deployment.log_in(connection)
    expect_json(deployment.revoke(connection))
    members = expect_problem(deployment.press(before, JSON), 400, "invalid-link")
    assert "was revoked after" in members["detail"]
    assert deployment.press(deployment.link(connection)).status_code == 303

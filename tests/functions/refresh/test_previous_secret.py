"""A client secret that is being replaced: either one works, and no refresh token is lost."""

import asyncio
from dataclasses import replace

import pytest

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from domain.token_endpoint import Outcome, TokenErrorResponse, TokenResponse
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, query_of
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import OVER
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.ports.asking import PATIENCE, PROVIDER, REFRESH

NEW, OLD = "the-new-secret-of-this-client", "the-old-secret-of-this-client"
REFUSED = Answer.json({"error": "invalid_client"}, status=401)


@pytest.fixture
def both(deploy: Deploy, endpoint: TokenEndpoint) -> Deployment:
    """A deployment in which the secret is being replaced, with a login."""
    deployment = deploy(**endpoint.environ, CLIENT_SECRET=NEW, PREVIOUS_CLIENT_SECRET=OLD)
    state = query_of(deployment.begin_login("default"))["state"]
    expect_page(deployment.callback(code="a-code", state=state))
    endpoint.seen.clear()
    return deployment


def secrets_of(endpoint: TokenEndpoint) -> list[str]:
    return [seen.form["client_secret"] for seen in endpoint.seen]


def refresh(deployment: Deployment) -> str:
    deployment.age("default", by=OVER)
    return expect_token(deployment.token("default"))


def test_the_new_secret_is_the_only_one_where_it_is_accepted(
    both: Deployment, endpoint: TokenEndpoint
) -> None:
    refresh(both)
    assert secrets_of(endpoint) == [NEW]


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(REFUSED, id="rfc6749"),
        pytest.param(Answer.json({"error": "unauthorized_client"}, status=401), id="keycloak"),
        pytest.param(Answer.json({"ok": False, "error": "bad_client_secret"}), id="slack"),
        pytest.param(
            Answer.json({"error": "incorrect_client_credentials"}, status=200), id="github"
        ),
    ],
)
def test_a_refused_secret_is_followed_by_the_previous_one_with_the_same_refresh_token(
    both: Deployment, endpoint: TokenEndpoint, refusal: Answer
) -> None:
    endpoint.plan(refusal)
    refresh(both)
    assert secrets_of(endpoint) == [NEW, OLD]
    assert len({seen.form["refresh_token"] for seen in endpoint.seen}) == 1


def test_the_secret_that_was_accepted_is_sent_first_from_then_on(
    both: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.plan(REFUSED)
    refresh(both)
    refresh(both)
    # The provider has accepted the new secret, and refuses the old one.
    endpoint.plan(REFUSED)
    refresh(both)
    refresh(both)
    assert secrets_of(endpoint) == [NEW, OLD, OLD, OLD, NEW, NEW]


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        pytest.param(Answer.json({"error": "invalid_grant"}, status=400), [NEW], id="grant"),
        pytest.param(Answer.json({"error": "invalid_scope"}, status=400), [NEW], id="scope"),
        pytest.param(Answer.json({"error": "invalid_client"}, status=503), [NEW], id="busy"),
        pytest.param(Answer(status=500), [NEW], id="error"),
        pytest.param(None, [NEW], id="no-answer"),
    ],
)
def test_another_failure_is_not_repeated_with_the_previous_secret(
    both: Deployment, endpoint: TokenEndpoint, answer: Answer | None, sent: list[str]
) -> None:
    endpoint.plan(answer)
    both.age("default", by=OVER)
    both.token("default")
    assert secrets_of(endpoint)[:1] == sent
    assert OLD not in secrets_of(endpoint)


def test_two_refused_secrets_are_a_fault_of_the_settings(
    both: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.plan(REFUSED, REFUSED)
    both.age("default", by=OVER)
    problem = expect_problem(both.token("default"), 502, "client-refused")
    assert "CLIENT_SECRET" in problem["detail"]
    assert secrets_of(endpoint) == [NEW, OLD]


def test_of_two_refusals_the_first_counts_and_the_order_stays(endpoint: TokenEndpoint) -> None:
    def refusal(text: str) -> Answer:
        return Answer.json({"error": "invalid_client", "error_description": text}, status=401)

    async def ask_twice() -> list[Outcome]:
        server = HttpxAuthorizationServer(
            replace(PROVIDER, token_endpoint=f"{endpoint.url}/token"),
            client_id="client",
            client_secret=NEW,
            previous_client_secret=OLD,
            timeout=PATIENCE,
        )
        try:
            return [await server.request_tokens(REFRESH) for _ in range(2)]
        finally:
            await server.close()

    endpoint.plan(refusal("about this one"), refusal("about that one"))
    refused, accepted = asyncio.run(ask_twice())
    assert isinstance(refused, TokenErrorResponse)
    assert refused.description == "about this one"
    assert isinstance(accepted, TokenResponse)
    assert secrets_of(endpoint) == [NEW, OLD, NEW]


def test_an_unknown_outcome_of_the_second_request_stays_unknown(
    both: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.plan(REFUSED, None)
    both.age("default", by=OVER)
    assert both.token("default").status_code == 503
    assert secrets_of(endpoint)[:2] == [NEW, OLD]


def test_a_revocation_is_repeated_with_the_previous_secret(
    both: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.plan_revocations(REFUSED)
    assert expect_json(both.post("/api/revoke"))["revoked"] == "yes"
    assert [seen.form["client_secret"] for seen in endpoint.revocations] == [NEW, OLD]


def test_logins_and_records_of_the_previous_secret_continue(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    before = deploy(**endpoint.environ, CLIENT_SECRET=OLD)
    state = query_of(before.begin_login("default"))["state"]
    after = deploy(**endpoint.environ, CLIENT_SECRET=NEW, PREVIOUS_CLIENT_SECRET=OLD)
    expect_page(after.callback(code="a-code", state=state))
    assert expect_token(after.token("default"))

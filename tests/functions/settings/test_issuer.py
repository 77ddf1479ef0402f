"""A provider that names itself in its redirects (RFC 9207), and one with metadata to fetch."""

import pytest

from domain.grant import Unauthorized
from tests.functions.conftest import Deploy
from tests.functions.deployment import JSON, STATIC_STATE, Deployment
from tests.functions.expect import (
    expect_json,
    expect_page,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import OVER, fresh
from tests.functions.token_endpoint import TokenEndpoint

NAMES_ITSELF: dict[str, object] = {"authorization_response_iss_parameter_supported": True}


@pytest.fixture
def by_issuer(deploy: Deploy, endpoint: TokenEndpoint) -> Deployment:
    """A deployment that has only the issuer; the test sets its metadata."""
    endpoint.metadata = {}
    return deploy(**endpoint.issuer_environ)


def others(endpoint: TokenEndpoint) -> list[dict[str, str]]:
    """Each wrong `iss` of a redirect."""
    url = endpoint.url
    return [{"iss": iss} for iss in (f"{url}/", url.upper(), "https://evil.test", "", " " + url)]


def test_checklist_7_redirect_of_another_issuer_is_refused_and_its_code_not_sent(
    by_issuer: Deployment, endpoint: TokenEndpoint
) -> None:
    for other in others(endpoint):
        state = by_issuer.begin()
        answer = by_issuer.callback(JSON, code="a-code", state=state, **other)
        assert "evil" not in str(expect_problem(answer, 400, "other-issuer"))
        # The state is used up by it.
        answer = by_issuer.callback(JSON, code="a-code", state=state, iss=endpoint.url)
        expect_problem(answer, 400, "invalid-state")
    assert endpoint.seen == []
    assert isinstance(by_issuer.grant("default"), Unauthorized)


def test_checklist_7_error_of_another_issuer_is_not_taken_for_the_providers(
    by_issuer: Deployment, endpoint: TokenEndpoint
) -> None:
    for other in others(endpoint):
        denied = {"error": "access_denied", "state": by_issuer.begin(), **other}
        expect_problem(by_issuer.callback(JSON, **denied), 400, "other-issuer")
    denied = {"error": "access_denied", "state": by_issuer.begin(), "iss": endpoint.url}
    expect_problem(by_issuer.callback(JSON, **denied), 400, "authorization-refused")


@pytest.mark.parametrize("response", [{"code": "a-code"}, {"error": "access_denied"}], ids=str)
def test_checklist_7_missing_issuer_is_refused_where_the_provider_always_names_itself(
    by_issuer: Deployment, endpoint: TokenEndpoint, response: dict[str, str]
) -> None:
    endpoint.metadata = NAMES_ITSELF
    answer = by_issuer.callback(JSON, state=by_issuer.begin(), **response)
    expect_problem(answer, 400, "other-issuer")
    expect_page(by_issuer.callback(state=by_issuer.begin(), **response), 400)
    assert endpoint.seen == []


def test_issuer_may_be_missing_where_the_provider_does_not_promise_it(
    by_issuer: Deployment, endpoint: TokenEndpoint
) -> None:
    expect_page(by_issuer.callback(code="a-code", state=by_issuer.begin()))
    expect_page(by_issuer.callback(code="a-code", state=by_issuer.begin(), iss=endpoint.url))


def test_issuer_counts_for_a_static_state_too(deploy: Deploy, endpoint: TokenEndpoint) -> None:
    endpoint.metadata = NAMES_ITSELF
    deployment = deploy(**endpoint.issuer_environ, OAUTH_STATE=STATIC_STATE)
    login = {"code": "a-code", "state": STATIC_STATE}
    expect_problem(deployment.callback(JSON, **login), 400, "other-issuer")
    expect_page(deployment.callback(**login, iss=endpoint.url))


def test_unknown_issuer_does_not_matter(
    scripted: Deployment, connection: str, endpoint: TokenEndpoint
) -> None:
    state = scripted.begin(connection)
    expect_page(scripted.callback(code="a-code", state=state, iss="https://any.test"))
    assert len(endpoint.seen) == 1


def test_issuer_given_twice_is_refused(by_issuer: Deployment, endpoint: TokenEndpoint) -> None:
    query = f"code=a&state={by_issuer.begin()}&iss={endpoint.url}&iss={endpoint.url}"
    answer = by_issuer.call("GET", f"/api/callback?{query}", JSON)
    expect_problem(answer, 400, "invalid-request")


# --- an issuer that does not answer


def test_login_waits_for_an_issuer_that_is_silent(
    by_issuer: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.metadata = None
    answer = by_issuer.post("/api/login")
    members = expect_problem(answer, 503, "provider-unavailable")
    assert "ISSUER" in members["detail"]
    expect_retry_after(answer, at_most=60)
    endpoint.metadata = {}
    expect_json(by_issuer.post("/api/login"))


def test_callback_that_meets_a_silent_issuer_works_once_it_answers(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    endpoint.metadata = {}
    state = deploy(**endpoint.issuer_environ).begin()
    # Another instance, which has to ask again.
    other = deploy(**endpoint.issuer_environ)
    endpoint.metadata = None
    expect_problem(other.callback(JSON, code="a-code", state=state), 503, "provider-unavailable")
    assert endpoint.seen == []
    endpoint.metadata = {}
    expect_page(other.callback(code="a-code", state=state))


def test_checklist_2_state_that_is_made_up_costs_no_question_to_the_issuer(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    deployment = deploy(**endpoint.issuer_environ, OAUTH_STATE=STATIC_STATE)
    endpoint.metadata = None
    for state in ("a-b", "x", "-", "a static"):
        answer = deployment.callback(JSON, code="a-code", state=state)
        expect_problem(answer, 400, "invalid-state")
    assert endpoint.described == 0
    # With a good state, the answer is that the issuer is silent.
    answer = deployment.callback(JSON, code="a-code", state=STATIC_STATE)
    expect_problem(answer, 503, "provider-unavailable")
    assert endpoint.described > 0


def test_refresh_without_metadata_is_not_sent_and_a_fresh_token_is_served(
    by_issuer: Deployment, endpoint: TokenEndpoint
) -> None:
    endpoint.metadata = None
    by_issuer.put("default", grant := fresh())
    assert expect_token(by_issuer.token("default")) == grant.tokens.access_token
    by_issuer.age("default", by=OVER)
    answer = by_issuer.token("default")
    expect_problem(answer, 503, "provider-unavailable")
    expect_retry_after(answer, at_most=60)
    assert expect_json(by_issuer.verify("default"), 202)["last_refresh"]["outcome"] == "not-sent"
    assert endpoint.seen == []

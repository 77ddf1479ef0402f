"""A refresh that is refused, in whatever words: what callers, `verify` and its history are told."""

import pytest

from tests.functions.deployment import Deployment, at
from tests.functions.expect import expect_json, expect_problem
from tests.functions.grants import over
from tests.functions.token_endpoint import Answer, TokenEndpoint


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer.json({"status": 400, "message": "Invalid refresh token"}, status=400),
            "Invalid refresh token",
        ),
        (Answer.json({"ok": False, "error": "token_revoked"}), "token_revoked"),
    ],
    ids=["twitch", "slack"],
)
def test_a_dead_grant_is_recognised_in_the_providers_own_words_and_quoted(
    scripted: Deployment, endpoint: TokenEndpoint, answer: Answer, said: str
) -> None:
    scripted.put("default", over())
    endpoint.plan(answer)
    for _ in range(2):
        members = expect_problem(scripted.token("default"), 401, "authorization-required")
        assert members["cause"] == "refresh-token-rejected"
        assert f"({said})" in members["detail"]
    assert len(endpoint.seen) == 1
    verified = expect_problem(scripted.verify("default"), 404, "not-authorized")
    assert f"({said})" in verified["detail"]
    assert verified["last_refresh"]["said"] == said
    history = scripted.get(at("/api/verify", connection="default", history="1"))
    last = history.json()["history"][0]
    assert (last["event"], last["said"]) == ("verdict", said)


def test_what_the_provider_said_is_quoted_without_what_it_was_sent(
    scripted: Deployment, endpoint: TokenEndpoint
) -> None:
    grant = over()
    scripted.put("default", grant)
    secret = scripted.environ["CLIENT_SECRET"]
    body = {"error": "wat", "error_description": f"No <b>{secret}</b> {grant.tokens.refresh_token}"}
    endpoint.plan(Answer.json(body, status=400))
    detail = expect_problem(scripted.token("default"), 502, "refused-without-reason")["detail"]
    assert "The provider refused the refresh (wat: No …" in detail
    assert "gave no reason" not in detail
    said = expect_json(scripted.verify("default"), 202)["last_refresh"]["said"]
    assert said.startswith("wat: No …")
    for text in (detail, said):
        assert secret not in text
        assert str(grant.tokens.refresh_token) not in text


def test_one_that_says_nothing_is_told_so(scripted: Deployment, endpoint: TokenEndpoint) -> None:
    scripted.put("default", over())
    endpoint.plan(Answer(status=400))
    detail = expect_problem(scripted.token("default"), 502, "refused-without-reason")["detail"]
    assert "gave no reason" in detail
    assert "said" not in expect_json(scripted.verify("default"), 202)["last_refresh"]


def test_a_page_is_no_fault_of_the_client(scripted: Deployment, endpoint: TokenEndpoint) -> None:
    scripted.put("default", over())
    endpoint.plan(Answer(status=403, body=b"<html>no</html>", content_type="text/html"))
    detail = expect_problem(scripted.token("default"), 503, "provider-unavailable")["detail"]
    assert "a page came instead of an answer (status 403" in detail
    assert "CLIENT" not in detail


def test_a_wrong_address_is_told_as_one(scripted: Deployment, endpoint: TokenEndpoint) -> None:
    scripted.put("default", over())
    endpoint.plan(Answer(status=404))
    detail = expect_problem(scripted.token("default"), 502, "client-refused")["detail"]
    assert "status 404" in detail
    assert "TOKEN_ENDPOINT" in detail

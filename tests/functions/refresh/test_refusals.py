"""A refused refresh, in the words of some providers, for callers, `verify` and its history."""

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
def test_rejected_token_is_recognised_in_the_providers_own_words_and_quoted(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, answer: Answer, said: str
) -> None:
    scripted.put(connection, over())
    endpoint.plan(answer)
    for _ in range(2):
        members = expect_problem(scripted.token(connection), 401, "authorization-required")
        assert members["cause"] == "refresh-token-rejected"
        assert f"({said})" in members["detail"]
    assert len(endpoint.seen) == 1
    verified = expect_problem(scripted.verify(connection), 404, "not-authorized")
    assert f"({said})" in verified["detail"]
    assert verified["last_refresh"]["said"] == said
    history = scripted.get(at("/api/verify", connection=connection, history="1"))
    last = history.json()["history"][0]
    assert (last["event"], last["said"]) == ("verdict", said)  # plain words: a stored word


def test_quote_of_the_provider_leaves_out_the_secrets_it_was_sent(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = over()
    scripted.put(connection, grant)
    secret = scripted.environ["CLIENT_SECRET"]
    body = {"error": "wat", "error_description": f"No <b>{secret}</b> {grant.tokens.refresh_token}"}
    endpoint.plan(Answer.json(body, status=400))
    detail = expect_problem(scripted.token(connection), 502, "refused-without-reason")["detail"]
    assert "The provider refused the refresh (wat: No …" in detail
    assert "gave no reason" not in detail
    said = expect_json(scripted.verify(connection), 202)["last_refresh"]["said"]
    assert said.startswith("wat: No …")
    for text in (detail, said):
        assert secret not in text
        assert str(grant.tokens.refresh_token) not in text


@pytest.mark.parametrize(
    ("answer", "problem", "parts", "foreign"),
    [
        (Answer(status=400), (502, "refused-without-reason"), ["gave no reason"], []),
        (
            Answer(status=403, body=b"<html>no</html>", content_type="text/html"),
            (503, "provider-unavailable"),
            ["a page came instead of an answer (status 403"],
            ["CLIENT"],
        ),
        (Answer(status=404), (502, "client-refused"), ["status 404", "TOKEN_ENDPOINT"], []),
    ],
    ids=["no reason", "a page", "a wrong address"],
)
def test_refusal_without_an_error_code_is_described(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    answer: Answer,
    problem: tuple[int, str],
    parts: list[str],
    foreign: list[str],
) -> None:
    scripted.put(connection, over())
    endpoint.plan(answer)
    detail = expect_problem(scripted.token(connection), *problem)["detail"]
    assert [part for part in parts if part not in detail] == []
    assert [part for part in foreign if part in detail] == []
    if problem[1] == "refused-without-reason":
        assert "said" not in expect_json(scripted.verify(connection), 202)["last_refresh"]

"""GET /api/token?refused=GENERATION: another token than the one that an API has refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.grant import Authorized, tokens_of
from domain.rejections import Rejection
from functions.endpoints.token import _at_least_one
from tests.domain.examples import SECOND
from tests.functions.deployment import Call, Deployment, at
from tests.functions.expect import (
    expect_json,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import DAY, LIFE, MINUTE, authorized, fresh, over
from tests.functions.hosts import on_each_host, on_hosts
from tests.functions.token_endpoint import Answer, TokenEndpoint

CALLERS = 30
UNROTATED = Answer.json({"access_token": "new", "token_type": "Bearer", "expires_in": 1800})


@on_each_host
def test_refused_token_is_replaced_in_one_request_and_once(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = expect_json(deployment.token(connection))
    assert old["generation"] == 0
    for _ in range(2):
        new = expect_json(deployment.token(connection, refused="0"))
        assert new["access_token"] != old["access_token"]
        assert new["generation"] == 1
        assert deployment.provider.accepts(new["access_token"])
    assert expect_json(deployment.verify(connection))["generation"] == 1


@on_hosts("in-process", "uvicorn", "lambda")
def test_herd_whose_token_was_refused_causes_one_refresh(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection).access_token
    before = deployment.provider.stats()["refresh_token"]
    target = at("/api/token", connection=connection, refused="0")
    one = Call(method="GET", target=target, headers=(deployment.key,))
    answers = deployment.together([one] * CALLERS)
    [token] = {expect_token(answer) for answer in answers}
    assert token != old
    assert deployment.provider.stats()["refresh_token"] == before + 1


def test_api_that_refuses_every_token_costs_few_refreshes_and_says_so(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    # The sixth in a row: a wait of minutes, however slow this test is.
    grant = fresh()
    last = Rejection(generation=6, at=datetime.now(UTC), in_a_row=6)
    scripted.put(connection, Authorized(tokens=replace(grant.tokens, generation=7, rejection=last)))
    for _ in range(3):
        answer = scripted.token(connection, refused="7")
        detail = expect_problem(answer, 503, "token-refused-again")["detail"]
        expect_retry_after(answer, at_most=300)
        assert f"in {answer.headers['retry-after']} s" in detail
        # Other callers get the stored token, and so does one that had an older one.
        assert expect_token(scripted.token(connection)) == grant.tokens.access_token
        assert expect_token(scripted.token(connection, refused="6")) == grant.tokens.access_token
    assert endpoint.seen == []
    scripted.age(connection, by=5 * MINUTE)
    new = expect_json(scripted.token(connection, refused="7"))
    assert new["generation"] == 8
    assert len(endpoint.seen) == 1
    expect_problem(scripted.token(connection, refused="8"), 503, "token-refused-again")
    assert len(endpoint.seen) == 1


def test_provider_that_rotates_nothing_counts_on_all_the_same(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, fresh())
    endpoint.plan(UNROTATED)
    new = expect_json(scripted.token(connection, refused="0"))
    assert (new["access_token"], new["generation"]) == ("new", 1)
    assert expect_json(scripted.verify(connection))["generation"] == 1
    # Nobody asks for more: the record, which another instance reads, has it.
    assert expect_token(scripted.token(connection, refused="0")) == "new"
    assert len(endpoint.seen) == 1


@pytest.mark.parametrize("refused", ["", "x", "-1", "1.0", "+1", "1234567890", "\u0661"])
def test_generation_is_a_whole_number(
    deployment: Deployment, connection: str, refused: str
) -> None:
    deployment.put(connection, grant := fresh())
    answer = deployment.token(connection, refused=refused)
    detail = expect_problem(answer, 400, "invalid-request")["detail"]
    assert detail == "Invalid refused. Use the `generation` of the refused token."
    assert tokens_of(deployment.grant(connection)) == grant.tokens


def test_token_that_nothing_can_replace_requires_a_login_without_a_link(
    deployment: Deployment, connection: str
) -> None:
    eternal = authorized(access_ends=None, refresh_ends=None, has_refresh_token=False)
    deployment.put(connection, eternal)
    answer = deployment.token(connection, refused="0")
    members = expect_problem(answer, 401, "authorization-required")
    assert members["cause"] == "refresh-token-missing"
    # A link works only while the record needs a login, and it does not know of the refusal.
    assert members["login"].keys() == {"method", "url"}
    expect_token(deployment.token(connection))
    # A login with the API key helps.
    deployment.log_in(connection)
    new = expect_json(deployment.token(connection, refused="0"))
    assert new["generation"] == 1
    # A link is there where it would work.
    deployment.put(connection, over())
    members = expect_problem(deployment.token(connection), 401, "authorization-required")
    assert "link" in members["login"]


# --- ask_again_in


def test_caller_is_told_when_there_will_be_another_token(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    now = datetime.now(UTC)
    scripted.put(connection, authorized(access_ends=now + LIFE, refresh_ends=now + DAY))
    members = expect_json(scripted.token(connection))
    early = members["expires_in"] - members["ask_again_in"]
    assert early in {299, 300}
    members = expect_json(scripted.token(connection, min_ttl="600"))
    assert members["expires_in"] - members["ask_again_in"] in {599, 600}
    # The refresh has begun: soon there is another token.
    scripted.age(connection, by=LIFE - 4 * MINUTE)
    with endpoint.held():
        members = expect_json(scripted.token(connection))
        assert 1 <= members["ask_again_in"] <= 5
        members = expect_json(scripted.token(connection))
        assert 1 <= members["ask_again_in"] <= 5


def test_token_that_never_expires_is_not_asked_for_again(
    deployment: Deployment, connection: str
) -> None:
    grant = authorized(access_ends=None, refresh_ends=None)
    deployment.put(connection, grant)
    assert expect_json(deployment.token(connection))["ask_again_in"] is None


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [(-SECOND, 1), (0 * SECOND, 1), (SECOND, 1), (1.001 * SECOND, 2), (MINUTE, 60)],
)
def test_pause_is_in_whole_seconds_and_one_at_least(pause: timedelta, seconds: int) -> None:
    assert _at_least_one(pause) == seconds

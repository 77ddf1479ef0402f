"""Several clients in one deployment: each has its provider, its callback and its connections."""

import json
from collections.abc import Iterator
from hashlib import sha256

import pytest

from domain.grant import Unauthorized
from tests.functions.conftest import Deploy
from tests.functions.deployment import HTML, PUBLIC_URL, Deployment, at, query_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_page, expect_problem, expect_token
from tests.functions.grants import DAY, OVER
from tests.functions.token_endpoint import TokenEndpoint, token_endpoint

SECRETS = {"one": "the-secret-of-client-one", "two": "the-secret-of-client-two"}


@pytest.fixture(scope="module")
def another_endpoint() -> Iterator[TokenEndpoint]:
    """The provider of the client `two`."""
    with token_endpoint() as running:
        yield running


@pytest.fixture
def two(another_endpoint: TokenEndpoint) -> TokenEndpoint:
    """The provider of the client `two`, without plans; `endpoint` is that of `one`."""
    another_endpoint.forget()
    return another_endpoint


@pytest.fixture
def deployment(deploy: Deploy, endpoint: TokenEndpoint, two: TokenEndpoint) -> Deployment:
    """A deployment with two clients next to the unnamed one, and one that cannot be used."""
    clients = {
        name: {
            **{member.lower(): value for member, value in provider.environ.items()},
            "client_id": f"client-{name}",
            "client_secret": SECRETS[name],
        }
        for name, provider in (("one", endpoint), ("two", two))
    }
    return deploy(
        CLIENTS=json.dumps({**clients, "bad": {"provider": "digikey"}}),
        ENCRYPTION_KEYS=encryption_key("deployment"),
        FAILURE_LIMIT="0",
    )


def log_in(deployment: Deployment, connection: str) -> None:
    begun = query_of(deployment.begin_login(connection))
    client = connection.partition(":")[0]
    assert begun["client_id"] == f"client-{client}"
    assert begun["redirect_uri"] == f"{PUBLIC_URL}/api/callback/{client}"
    target = at(f"/api/callback/{client}", code=f"code-of-{client}", state=begun["state"])
    expect_page(deployment.call("GET", target, HTML))


def test_each_client_logs_in_refreshes_and_revokes_at_its_own_provider(
    deployment: Deployment, endpoint: TokenEndpoint, two: TokenEndpoint
) -> None:
    for connection in ("one", "one:alice", "two:alice"):
        log_in(deployment, connection)
    tokens = [
        expect_token(deployment.token(connection))
        for connection in ("one", "one:alice", "two:alice")
    ]
    assert len(set(tokens)) == 3
    deployment.age("two:alice", by=OVER)
    assert expect_token(deployment.token("two:alice")) not in tokens
    expect_json(deployment.revoke("one:alice"))
    assert (len(endpoint.seen), len(endpoint.revocations)) == (2, 1)
    assert (len(two.seen), len(two.revocations)) == (2, 0)
    for name, provider in (("one", endpoint), ("two", two)):
        for seen in (*provider.seen, *provider.revocations):
            assert seen.form["client_id"] == f"client-{name}"
            assert seen.form["client_secret"] == SECRETS[name]


def test_each_client_adopts_tokens_of_its_own_provider(
    deployment: Deployment, endpoint: TokenEndpoint, two: TokenEndpoint
) -> None:
    for connection in ("one:alice", "two"):
        expect_json(deployment.adopt(connection, f"of-{connection}".encode(), "text/plain"))
    assert [seen.form["refresh_token"] for seen in endpoint.seen] == ["of-one:alice"]
    (seen,) = two.seen
    assert (seen.form["refresh_token"], seen.form["client_id"]) == ("of-two", "client-two")


def test_the_unnamed_client_has_every_other_connection(deployment: Deployment) -> None:
    deployment.log_in("three")
    assert deployment.provider.accepts(expect_token(deployment.token("three")))


@pytest.mark.parametrize("target", ["/api/callback/two", "/api/callback"])
def test_a_code_at_the_callback_of_another_client_is_not_sent(
    deployment: Deployment, endpoint: TokenEndpoint, two: TokenEndpoint, target: str
) -> None:
    state = query_of(deployment.begin_login("one"))["state"]
    answer = deployment.call("GET", at(target, code="a-code", state=state))
    expect_problem(answer, 400, "other-issuer")
    again = deployment.call("GET", at("/api/callback/one", code="a-code", state=state))
    expect_problem(again, 400, "invalid-state")
    assert not endpoint.seen
    assert not two.seen
    assert deployment.grant("one") == Unauthorized()


def test_a_callback_of_another_client_does_not_tell_of_a_login(deployment: Deployment) -> None:
    state = query_of(deployment.begin_login("one"))["state"]
    target = at("/api/callback/one", code="a-code", state=state)
    expect_page(deployment.call("GET", target, HTML))
    repeated = deployment.call("GET", at("/api/callback/two", code="a-code", state=state))
    expect_problem(repeated, 400, "other-issuer")


def test_a_callback_of_no_client_is_not_found(deployment: Deployment) -> None:
    answer = deployment.call("GET", at("/api/callback/three", code="c", state="s"))
    detail = expect_problem(answer, 404, "not-found")["detail"]
    assert "one" in detail
    page = deployment.call("GET", at("/api/callback/three", code="c", state="s"), HTML)
    assert "Ask the operator" in expect_page(page, 404)


def test_a_connection_of_no_client_is_refused(deployment: Deployment) -> None:
    detail = expect_problem(deployment.token("three:alice"), 400, "invalid-request")["detail"]
    assert "bad, one, two, and the unnamed one" in detail


def test_a_bad_client_answers_not_configured_by_name(deployment: Deployment) -> None:
    for answer in (
        deployment.token("bad"),
        deployment.verify("bad:alice"),
        deployment.refresh("bad"),
        deployment.revoke("bad"),
        deployment.adopt("bad", b"a-refresh-token", "text/plain"),
        deployment.post(at("/api/login", connection="bad")),
        deployment.call("GET", at("/api/callback/bad", code="c", state="s")),
    ):
        detail = expect_problem(answer, 500, "not-configured")["detail"]
        assert "client 'bad' in CLIENTS: client_id is not set" in detail


def test_the_sweep_refreshes_the_connections_of_all_clients(
    deployment: Deployment, endpoint: TokenEndpoint, two: TokenEndpoint
) -> None:
    log_in(deployment, "one")
    log_in(deployment, "two:alice")
    deployment.put("bad:alice", deployment.grant("one"))
    for connection in ("one", "two:alice", "bad:alice"):
        deployment.age(connection, by=7 * DAY)
    report = expect_json(deployment.sweep())
    assert (report["refreshed"], report["failed"]) == (2, 1)
    assert [len(provider.seen) for provider in (endpoint, two)] == [2, 2]


def test_a_key_may_be_for_all_accounts_of_a_client(deploy: Deploy) -> None:
    key = "a-key-for-the-accounts-of-one"
    entry = {
        "name": "ci",
        "sha256": sha256(key.encode()).hexdigest(),
        "connections": ["one:*", "three"],
    }
    deployment = deploy(API_KEYS=json.dumps([entry]))
    for connection, status in (
        ("one:alice", 400),
        ("one", 403),
        ("two:alice", 403),
        ("one2:alice", 403),
        ("three", 401),
    ):
        target = at("/api/token", connection=connection)
        assert deployment.call("GET", target, ("x-api-key", key)).status_code == status

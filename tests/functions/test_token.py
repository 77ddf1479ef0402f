"""GET /api/token over the life of tokens: served, refreshed, and refused for a reason."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.grant import Authorized
from functions.refresh import keeper
from tests.functions.conftest import Deploy
from tests.functions.deployment import Call, Deployment, at, sequence_of
from tests.functions.expect import (
    expect_json,
    expect_problem,
    expect_retry_after,
    expect_token,
)
from tests.functions.grants import (
    DAY,
    LIFE,
    MINUTE,
    NEAR_END,
    OVER,
    authorized,
    fresh,
    over,
)
from tests.functions.hosts import HOSTS, on_each_host, on_hosts
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
LOGIN_IS_NEEDED = "authorization-required"


def test_checklist_55_fresh_token_is_served_without_asking_the_provider(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    rows = scripted.rows()
    for _ in range(3):
        assert expect_token(scripted.token(connection)) == grant.tokens.access_token
    assert endpoint.seen == []
    assert scripted.rows() == rows


@on_each_host
def test_expired_token_is_replaced_by_one_that_works(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    for generation in (1, 2):
        deployment.age(connection, by=OVER)
        token = expect_token(deployment.token(connection))
        assert token != old.access_token
        assert deployment.provider.accepts(token)
        assert deployment.tokens(connection).generation == generation
        assert (
            str(deployment.tokens(connection).refresh_token)
            not in deployment.token(connection).text
        )


def test_refresh_keeps_what_the_answer_leaves_out(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    # RFC 6749 §6: the old refresh token stays in force; §5.1: the scope is what was asked for.
    grant = over()
    grant = replace(grant, tokens=replace(grant.tokens, scope="read"))
    scripted.put(connection, grant)
    endpoint.plan(Answer.json({"access_token": "new", "token_type": "Bearer", "expires_in": "90"}))
    members = expect_json(scripted.token(connection))
    assert (members["access_token"], members["scope"]) == ("new", "read")
    assert 0 < members["expires_in"] <= 90
    stored = scripted.tokens(connection)
    assert stored.refresh_token == grant.tokens.refresh_token
    assert stored.generation == grant.tokens.generation
    [seen] = endpoint.seen
    assert seen.form == {
        "grant_type": "refresh_token",
        "refresh_token": grant.tokens.refresh_token,
        "client_id": scripted.environ["CLIENT_ID"],
        "client_secret": scripted.environ["CLIENT_SECRET"],
    }


@pytest.mark.parametrize(
    ("left", "min_ttl", "refreshes"),
    [
        (20 * MINUTE, "0", False),
        (20 * MINUTE, "1000", False),
        # No demand exceeds half of a token's life, or each request would refresh.
        (20 * MINUTE, "999999999", False),
        (14 * MINUTE, "999999999", True),
        (14 * MINUTE, "900", True),
        (14 * MINUTE, "600", False),
        (-MINUTE, "0", True),
    ],
)
def test_token_outlives_what_the_caller_demands(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    left: timedelta,
    min_ttl: str,
    refreshes: bool,
) -> None:
    now = datetime.now(UTC)
    grant = authorized(access_ends=now + left, refresh_ends=now + DAY)
    scripted.put(connection, grant)
    token = expect_token(scripted.token(connection, min_ttl=min_ttl))
    assert (token != grant.tokens.access_token) is refreshes
    assert len(endpoint.seen) == refreshes


def test_token_that_does_not_expire_is_served_for_ever(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, authorized(access_ends=None, refresh_ends=None))
    members = expect_json(scripted.token(connection, min_ttl="999999999"))
    assert (members["expires_in"], members["expires_at"]) == (None, None)
    assert endpoint.seen == []


def test_nobody_has_logged_in(deployment: Deployment, connection: str) -> None:
    members = expect_problem(deployment.token(connection), 401, LOGIN_IS_NEEDED)
    assert members["cause"] == "never-authorized"
    assert members["login"]["url"].endswith(f"/api/login?connection={connection}")


@pytest.mark.parametrize(
    ("has_refresh_token", "cause"),
    [(True, "refresh-token-expired"), (False, "refresh-token-missing")],
)
def test_login_is_needed_once_there_is_nothing_to_refresh_with(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    has_refresh_token: bool,
    cause: str,
) -> None:
    now = datetime.now(UTC)
    scripted.put(
        connection,
        authorized(
            access_ends=now + MINUTE + MINUTE,
            refresh_ends=now,
            has_refresh_token=has_refresh_token,
        ),
    )
    # What is left of the access token is served.
    expect_token(scripted.token(connection))
    scripted.age(connection, by=2 * MINUTE)
    members = expect_problem(scripted.token(connection), 401, LOGIN_IS_NEEDED)
    assert members["cause"] == cause
    assert endpoint.seen == []


# --- a refresh token that is dead


def test_checklist_38_rejected_refresh_token_is_sent_once(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, over())
    refused = deployment.provider.stats()["refused"]
    for _ in range(3):
        answer = deployment.token(connection)
        members = expect_problem(answer, 401, LOGIN_IS_NEEDED)
        assert members["cause"] == "refresh-token-rejected"
        assert "error=" not in answer.headers["www-authenticate"]
    assert deployment.provider.stats()["refused"] == refused + 1
    # A login is what helps.
    deployment.log_in(connection)
    assert deployment.provider.accepts(expect_token(deployment.token(connection)))


def test_refresh_token_that_somebody_else_used_requires_a_login(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    stolen = deployment.grant(connection)
    deployment.age(connection, by=OVER)
    expect_token(deployment.token(connection))
    deployment.put(connection, stolen)
    deployment.age(connection, by=OVER)
    members = expect_problem(deployment.token(connection), 401, LOGIN_IS_NEEDED)
    assert members["cause"] == "refresh-token-rejected"


def test_checklist_38_living_access_token_is_served_beside_a_dead_refresh_token(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    scripted.age(connection, by=NEAR_END)
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    # The refresh that this one begins is refused behind its back.
    assert expect_token(scripted.token(connection)) == grant.tokens.access_token
    until_outcome(scripted, connection, "refused-for-now")
    for _ in range(3):
        assert expect_token(scripted.token(connection)) == grant.tokens.access_token
    assert len(endpoint.seen) == 1
    members = expect_json(scripted.verify(connection))
    assert (members["action_required"], members["cause"]) == (True, "refresh-token-rejected")
    # One more try decides, at the access token's end.
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    scripted.age(connection, by=5 * MINUTE)
    expect_problem(scripted.token(connection), 401, LOGIN_IS_NEEDED)
    expect_problem(scripted.verify(connection), 404, "not-authorized")
    expect_problem(scripted.token(connection), 401, LOGIN_IS_NEEDED)
    assert len(endpoint.seen) == 2


def until_outcome(deployment: Deployment, connection: str, outcome: str) -> None:
    """Wait for what goes on behind an answer."""
    until(
        lambda: deployment.verify(connection).json()["last_refresh"]["outcome"] == outcome,
        lambda: deployment.verify(connection).json(),
    )


def until(holds: Callable[[], bool], state: Callable[[], object]) -> None:
    """Look until something holds; whoever looks for ten seconds has found a bug."""
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError(state())


# --- a provider that is away, or out of its mind

AWAY: list[tuple[str, tuple[int, str]]] = [
    ("unavailable", (503, "provider-unavailable")),
    ("rate-limited", (503, "provider-unavailable")),
    ("lose-request", (503, "provider-unavailable")),
    ("lose-answer", (503, "provider-unavailable")),
    ("html", (503, "provider-unavailable")),
    ("empty-400", (502, "refused-without-reason")),
]


@pytest.mark.parametrize(("fault", "expected"), AWAY)
def test_checklist_54_old_token_is_served_while_it_lives_then_the_caller_is_told_when_to_come_back(
    deployment: Deployment,
    digikey: SimulatedDigiKeyPeer,
    connection: str,
    fault: str,
    expected: tuple[int, str],
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    deployment.age(connection, by=NEAR_END)
    digikey.plan_faults(fault)
    assert expect_token(deployment.token(connection)) == old.access_token
    until_failed(deployment, connection)
    assert expect_token(deployment.token(connection)) == old.access_token
    # Without the access token nothing is left, and the provider is not asked before its time.
    grant = deployment.grant(connection)
    assert isinstance(grant, Authorized)
    ended = replace(grant.tokens, expires_at=datetime.now(UTC))
    assert grant.failure_state is not None
    # However long this test takes.
    later = replace(grant.failure_state, retry_at=datetime.now(UTC) + 10 * MINUTE)
    deployment.put(connection, replace(grant, tokens=ended, failure_state=later))
    stats = digikey.stats()
    answer = deployment.token(connection)
    members = expect_problem(answer, *expected)
    assert digikey.stats() == stats
    expect_retry_after(answer, at_most=600)
    assert answer.headers["retry-after"] in members["detail"]
    verified = expect_json(deployment.verify(connection), 202)
    assert verified["next_try_at"] is not None
    # The tokens are kept; and then it is asked again.
    assert deployment.tokens(connection).refresh_token == old.refresh_token
    deployment.age(connection, by=10 * MINUTE)
    if fault in {"lose-answer", "html"}:
        # The answer held the only living refresh token.
        members = expect_problem(deployment.token(connection), 401, LOGIN_IS_NEEDED)
        assert members["cause"] == "refresh-answer-lost"
    else:
        token = expect_token(deployment.token(connection))
        assert token != old.access_token
        assert digikey.accepts(token)


def until_failed(deployment: Deployment, connection: str) -> None:
    def has_failed() -> bool:
        grant = deployment.grant(connection)
        return isinstance(grant, Authorized) and grant.failure_state is not None

    until(has_failed, lambda: deployment.grant(connection))


@pytest.mark.parametrize(("fault", "expected"), AWAY)
def test_expired_token_cannot_be_replaced_while_the_provider_is_away(
    deployment: Deployment,
    digikey: SimulatedDigiKeyPeer,
    connection: str,
    fault: str,
    expected: tuple[int, str],
) -> None:
    deployment.put(connection, grant := over())
    digikey.plan_faults(fault)
    answer = deployment.token(connection)
    expect_problem(answer, *expected)
    expect_retry_after(answer, at_most=60)
    assert deployment.tokens(connection) == grant.tokens


# --- settings that the provider refuses


def test_checklist_39_54_wrong_client_secret_is_said_and_the_right_one_recovers(
    deploy: Deploy,
) -> None:
    right = deploy(ENCRYPTION_KEYS=KEY)
    right.log_in("default")
    right.age("default", by=OVER)
    before = right.tokens("default")
    right.running.stop()

    wrong = deploy(ENCRYPTION_KEYS=KEY, CLIENT_SECRET="a wrong secret")
    answer = wrong.token("default")
    members = expect_problem(answer, 502, "client-refused")
    assert "CLIENT_SECRET" in members["detail"]
    assert "a wrong secret" not in answer.text
    expect_retry_after(answer, at_most=60)
    assert wrong.tokens("default") == before
    verified = expect_json(wrong.verify("default"), 202)
    assert verified["last_refresh"]["outcome"] == "client-refused"

    recovered = deploy(ENCRYPTION_KEYS=KEY)
    recovered.age("default", by=MINUTE)
    token = expect_token(recovered.token("default"))
    assert recovered.provider.accepts(token)
    assert recovered.tokens("default").generation == before.generation + 1


def test_record_sealed_with_another_key_is_kept_and_said(deploy: Deploy) -> None:
    right = deploy()
    right.put("default", grant := fresh())
    rows = right.rows()

    wrong = deploy(CLIENT_SECRET="a wrong secret")
    for answer in (wrong.token("default"), wrong.verify("default")):
        members = expect_problem(answer, 500, "record-unreadable")
        assert "ENCRYPTION_KEYS" in members["detail"]
    assert right.rows() == rows
    assert expect_token(right.token("default")) == grant.tokens.access_token


def test_unreadable_record_is_replaced_by_a_login(deploy: Deploy) -> None:
    deploy(CLIENT_SECRET="an earlier secret").put("default", fresh())
    now = deploy()
    expect_problem(now.token("default"), 500, "record-unreadable")
    now.log_in("default")
    assert now.provider.accepts(expect_token(now.token("default")))


# --- many callers


@on_hosts("in-process", "uvicorn", "lambda")
def test_fifty_callers_of_an_expired_token_cause_one_refresh_and_get_the_same(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    deployment.age(connection, by=OVER)
    before = deployment.provider.stats()
    answers = deployment.together(sequence_of(deployment, connection, 50))
    [token] = {expect_token(answer) for answer in answers}
    assert token != old.access_token
    assert deployment.provider.accepts(token)
    after = deployment.provider.stats()
    assert after["refresh_token"] == before["refresh_token"] + 1
    assert after["refused"] == before["refused"]


def test_fifty_callers_of_a_dead_refresh_token_cause_one_refusal(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, over())
    before = deployment.provider.stats()["refused"]
    for answer in deployment.together(sequence_of(deployment, connection, 50)):
        assert expect_problem(answer, 401, LOGIN_IS_NEEDED)["cause"] == "refresh-token-rejected"
    assert deployment.provider.stats()["refused"] == before + 1


# Lambda answers when all is done; what it does then is in test_aws.py.
behind_the_answer = pytest.mark.parametrize(
    "host",
    [name for name, host in HOSTS.items() if host.goes_on_behind_its_answer],
    indirect=True,
)


@behind_the_answer
def test_old_token_is_served_while_one_refresh_goes_on(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    scripted.age(connection, by=NEAR_END)
    with endpoint.held() as go_on:
        # Each of these answers comes while the provider has not answered: it must not.
        assert expect_token(scripted.token(connection)) == grant.tokens.access_token
        answers = scripted.together(sequence_of(scripted, connection, 20))
        assert {expect_token(answer) for answer in answers} == {grant.tokens.access_token}
        members = expect_json(scripted.verify(connection))
        assert members["last_refresh"]["outcome"] == "in-progress"
        go_on.set()
        until_outcome(scripted, connection, "tokens")
    assert len(endpoint.seen) == 1
    assert expect_token(scripted.token(connection)) == endpoint.given[0]["access_token"]


@behind_the_answer
def test_other_connections_do_not_wait_for_a_refresh(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, fresh())
    scripted.age(connection, by=NEAR_END)
    other = fresh()
    scripted.put(f"{connection}-other", other)
    with endpoint.held():
        expect_token(scripted.token(connection))
        assert expect_token(scripted.token(f"{connection}-other")) == other.tokens.access_token
        expect_json(scripted.call("GET", "/api/health"))
        assert expect_json(scripted.verify(connection))["last_refresh"]["outcome"] == "in-progress"
    until_outcome(scripted, connection, "tokens")


# Callers are patient for 20 s, and only in this process can that be made less.
@pytest.mark.parametrize("host", ["in-process"], indirect=True)
def test_refresh_that_takes_too_long_is_said_with_a_time_to_come_back(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keeper, "PATIENCE", timedelta(seconds=0.2))
    scripted.put(connection, over())
    with endpoint.held():
        answer = scripted.token(connection)
        expect_problem(answer, 503, "refresh-in-progress")
        expect_retry_after(answer, at_most=5)
        members = expect_json(scripted.verify(connection), 202)
        assert members["last_refresh"]["outcome"] == "in-progress"
    until_outcome(scripted, connection, "tokens")
    assert expect_token(scripted.token(connection)) == endpoint.given[0]["access_token"]


@behind_the_answer
def test_refresh_survives_the_end_of_the_process_that_began_it(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    first = deploy(**endpoint.environ)
    first.put("default", grant := fresh())
    first.age("default", by=NEAR_END)
    with endpoint.held():
        assert expect_token(first.token("default")) == grant.tokens.access_token
        assert expect_json(first.verify("default"))["last_refresh"]["outcome"] == "in-progress"
    # The answer is on its way, or has just come; what it holds may not be lost.
    first.running.stop()
    [given] = endpoint.given
    assert first.tokens("default").access_token == given["access_token"]
    assert first.tokens("default").refresh_token == given["refresh_token"]


@on_hosts("in-process", "uvicorn", "lambda")
def test_caller_who_hangs_up_leaves_the_refresh_going_on(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, over())
    with endpoint.held() as go_on:
        target = at("/api/token", connection=connection)
        call = Call(method="GET", target=target, headers=(scripted.key,))
        scripted.abandon(call, once=lambda: endpoint.seen)
        members = expect_json(scripted.verify(connection), 202)
        assert members["last_refresh"]["outcome"] == "in-progress"
        go_on.set()
    assert expect_token(scripted.token(connection)) == endpoint.given[0]["access_token"]
    assert len(endpoint.seen) == 1


@on_hosts("in-process", "uvicorn", "lambda")
def test_two_logins_and_a_refresh_at_once_leave_one_grant_that_works(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    deployment.age(connection, by=LIFE)
    urls = [deployment.provider.allow(deployment.begin_login(connection)) for _ in range(2)]
    logins = [
        Call(method="GET", target=url.removeprefix(deployment.environ["PUBLIC_URL"]))
        for url in urls
    ]
    asks = sequence_of(deployment, connection, 5)
    answers = deployment.together([*asks, *logins, *asks])
    assert {answer.status_code for answer in answers} == {200}
    token = expect_token(deployment.token(connection))
    assert deployment.provider.accepts(token)
    deployment.age(connection, by=OVER)
    assert deployment.provider.accepts(expect_token(deployment.token(connection)))

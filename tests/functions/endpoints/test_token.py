"""GET /api/token over the lifetime of tokens: served, refreshed, and refused for a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.grant import Authorized, FailureState
from functions.refresh import keeper
from tests.functions.conftest import Deploy
from tests.functions.deployment import Call, Deployment, at, sequence_of
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_problem, expect_retry_after, expect_token
from tests.functions.grants import DAY, LIFE, MINUTE, NEAR_END, OVER, authorized, fresh, over
from tests.functions.hosts import HOSTS, OVER_STORES, on_each_host_and_store, on_hosts
from tests.functions.token_endpoint import Answer, TokenEndpoint
from tests.system.simulated_digikey import SimulatedDigiKeyPeer
from tests.system.waiting import wait_until

LOGIN_IS_NEEDED = "authorization-required"
CALLERS = 30


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


@on_each_host_and_store
def test_expired_token_is_replaced_by_one_that_works(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    for generation in (1, 2):
        deployment.age(connection, by=OVER)
        answer = deployment.token(connection)
        token = expect_token(answer)
        assert token != old.access_token
        assert deployment.provider.accepts(token)
        new = deployment.tokens(connection)
        assert new.generation == generation
        assert str(new.refresh_token) not in answer.text


def test_refresh_keeps_values_that_the_answer_leaves_out(
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
def test_token_is_valid_for_the_time_that_the_caller_demands(
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


def test_token_that_does_not_expire_is_always_served(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, authorized(access_ends=None, refresh_ends=None))
    members = expect_json(scripted.token(connection, min_ttl="999999999"))
    assert (members["expires_in"], members["expires_at"]) == (None, None)
    assert endpoint.seen == []


def test_login_is_required_before_the_first_login(deployment: Deployment, connection: str) -> None:
    members = expect_problem(deployment.token(connection), 401, LOGIN_IS_NEEDED)
    assert members["cause"] == "never-authorized"
    assert members["login"]["url"].endswith(f"/api/login?connection={connection}")


@pytest.mark.parametrize(
    ("has_refresh_token", "cause"),
    [(True, "refresh-token-expired"), (False, "refresh-token-missing")],
)
def test_login_is_required_once_nothing_can_be_refreshed(
    scripted: Deployment,
    endpoint: TokenEndpoint,
    connection: str,
    *,
    has_refresh_token: bool,
    cause: str,
) -> None:
    now = datetime.now(UTC)
    grant = authorized(
        access_ends=now + 5 * MINUTE, refresh_ends=now, has_refresh_token=has_refresh_token
    )
    scripted.put(connection, grant)
    # The access token is still served until it expires.
    expect_token(scripted.token(connection))
    scripted.age(connection, by=5 * MINUTE)
    members = expect_problem(scripted.token(connection), 401, LOGIN_IS_NEEDED)
    assert members["cause"] == cause
    assert endpoint.seen == []


# --- a refresh token that the provider rejects


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
    # A login helps.
    deployment.log_in(connection)
    assert deployment.provider.accepts(expect_token(deployment.token(connection)))


def test_checklist_38_valid_access_token_is_served_though_the_refresh_token_is_rejected(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant = fresh()
    scripted.put(connection, grant)
    scripted.age(connection, by=NEAR_END)
    endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    # This request starts a refresh after its response, and that is refused.
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
    """Wait for the refresh that continues after a response."""

    def has_come() -> bool:
        verified = deployment.verify(connection).json()
        return bool(verified["last_refresh"]["outcome"] == outcome)

    wait_until(has_come)


# --- a provider that is unavailable, or answers nonsense

AWAY: list[tuple[str, tuple[int, str]]] = [
    ("unavailable", (503, "provider-unavailable")),
    ("rate-limited", (503, "provider-unavailable")),
    ("lose-request", (503, "provider-unavailable")),
    ("lose-answer", (503, "provider-unavailable")),
    ("html", (503, "provider-unavailable")),
    ("empty-400", (502, "refused-without-reason")),
]


@pytest.mark.parametrize(("fault", "expected"), AWAY)
def test_checklist_54_old_token_is_served_until_it_expires_and_then_a_time_to_retry(
    deployment: Deployment,
    digikey: SimulatedDigiKeyPeer,
    connection: str,
    fault: str,
    expected: tuple[int, str],
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    deployment.age(connection, by=NEAR_END)
    digikey.plan_faults(fault, fault)
    assert expect_token(deployment.token(connection)) == old.access_token
    wait_until(lambda: failed(deployment, connection) is not None)
    assert expect_token(deployment.token(connection)) == old.access_token
    # Without the access token the answer is that of a refresh, which fails as well.
    ended = replace(old, expires_at=datetime.now(UTC))
    deployment.put(connection, Authorized(tokens=ended))
    answer = deployment.token(connection)
    expect_problem(answer, *expected)
    expect_retry_after(answer, at_most=60)
    # Then the provider is not asked before its time, however long this test takes.
    failure_state = failed(deployment, connection)
    assert failure_state is not None
    later = replace(failure_state, retry_at=datetime.now(UTC) + 10 * MINUTE)
    deployment.put(connection, Authorized(tokens=ended, failure_state=later))
    stats = digikey.stats()
    answer = deployment.token(connection)
    members = expect_problem(answer, *expected)
    assert digikey.stats() == stats
    expect_retry_after(answer, at_most=600)
    assert answer.headers["retry-after"] in members["detail"]
    verified = expect_json(deployment.verify(connection), 202)
    assert verified["next_try_at"] is not None
    # The tokens are kept, and the provider is asked again.
    assert deployment.tokens(connection).refresh_token == old.refresh_token
    deployment.age(connection, by=10 * MINUTE)
    if fault in {"lose-answer", "html"}:
        # The lost answer held the only valid refresh token.
        members = expect_problem(deployment.token(connection), 401, LOGIN_IS_NEEDED)
        assert members["cause"] == "refresh-answer-lost"
    else:
        token = expect_token(deployment.token(connection))
        assert token != old.access_token
        assert digikey.accepts(token)


def failed(deployment: Deployment, connection: str) -> FailureState | None:
    grant = deployment.grant(connection)
    return grant.failure_state if isinstance(grant, Authorized) else None


# --- settings that the provider refuses


def test_checklist_39_54_wrong_client_secret_is_reported_and_the_right_one_recovers(
    deploy: Deploy,
) -> None:
    right = deploy(ENCRYPTION_KEYS=encryption_key("deployment"))
    right.log_in("default")
    right.age("default", by=OVER)
    before = right.tokens("default")
    right.running.stop()

    wrong = deploy(ENCRYPTION_KEYS=encryption_key("deployment"), CLIENT_SECRET="a wrong secret")
    answer = wrong.token("default")
    members = expect_problem(answer, 502, "client-refused")
    assert "CLIENT_SECRET" in members["detail"]
    assert "a wrong secret" not in answer.text
    expect_retry_after(answer, at_most=60)
    assert wrong.tokens("default") == before
    verified = expect_json(wrong.verify("default"), 202)
    assert verified["last_refresh"]["outcome"] == "client-refused"

    recovered = deploy(ENCRYPTION_KEYS=encryption_key("deployment"))
    recovered.age("default", by=MINUTE)
    token = expect_token(recovered.token("default"))
    assert recovered.provider.accepts(token)
    assert recovered.tokens("default").generation == before.generation + 1


# --- many callers


@on_hosts("in-process", "uvicorn", "lambda", *OVER_STORES)
def test_many_callers_of_an_expired_token_cause_one_refresh_and_get_the_same(
    deployment: Deployment, connection: str
) -> None:
    deployment.log_in(connection)
    old = deployment.tokens(connection)
    deployment.age(connection, by=OVER)
    before = deployment.provider.stats()
    answers = deployment.together(sequence_of(deployment, connection, CALLERS))
    [token] = {expect_token(answer) for answer in answers}
    assert token != old.access_token
    assert deployment.provider.accepts(token)
    after = deployment.provider.stats()
    assert after["refresh_token"] == before["refresh_token"] + 1
    assert after["refused"] == before["refused"]


def test_many_callers_with_a_rejected_refresh_token_cause_one_refusal(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, over())
    before = deployment.provider.stats()["refused"]
    for answer in deployment.together(sequence_of(deployment, connection, CALLERS)):
        assert expect_problem(answer, 401, LOGIN_IS_NEEDED)["cause"] == "refresh-token-rejected"
    assert deployment.provider.stats()["refused"] == before + 1


# Lambda responds when all is done: test_aws.py has its refreshes.
behind_the_answer = on_hosts(
    *(name for name, host in HOSTS.items() if host.goes_on_behind_its_answer)
)


@behind_the_answer
def test_refresh_in_progress_keeps_neither_its_connection_nor_another_waiting(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    grant, other = fresh(), fresh()
    scripted.put(connection, grant)
    scripted.age(connection, by=NEAR_END)
    scripted.put(f"{connection}-other", other)
    with endpoint.held() as go_on:
        # The provider does not answer until each of these requests has its answer.
        assert expect_token(scripted.token(connection)) == grant.tokens.access_token
        answers = scripted.together(sequence_of(scripted, connection, 20))
        assert {expect_token(answer) for answer in answers} == {grant.tokens.access_token}
        assert expect_token(scripted.token(f"{connection}-other")) == other.tokens.access_token
        expect_json(scripted.call("GET", "/api/health"))
        members = expect_json(scripted.verify(connection))
        assert members["last_refresh"]["outcome"] == "in-progress"
        go_on.set()
        until_outcome(scripted, connection, "tokens")
    assert len(endpoint.seen) == 1
    assert expect_token(scripted.token(connection)) == endpoint.given[0]["access_token"]


def test_refresh_that_takes_too_long_is_reported_with_a_time_to_retry(
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
def test_refresh_survives_the_end_of_the_process_that_started_it(
    deploy: Deploy, endpoint: TokenEndpoint
) -> None:
    first = deploy(**endpoint.environ)
    first.put("default", grant := fresh())
    first.age("default", by=NEAR_END)
    with endpoint.held():
        assert expect_token(first.token("default")) == grant.tokens.access_token
        assert expect_json(first.verify("default"))["last_refresh"]["outcome"] == "in-progress"
    # The answer is on its way, or has just come, and must not be lost.
    first.running.stop()
    [given] = endpoint.given
    assert first.tokens("default").access_token == given["access_token"]
    assert first.tokens("default").refresh_token == given["refresh_token"]


@on_hosts("in-process", "uvicorn", "lambda", *OVER_STORES)
def test_refresh_continues_after_its_caller_hangs_up(
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


@on_hosts("in-process", "uvicorn", "lambda", *OVER_STORES)
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

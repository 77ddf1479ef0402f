"""GET /api/verify: the status of a connection. The provider is not asked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.grant import Attempt, Authorized, Failure, FailureState, Moved, Refreshing
from domain.provider import LifetimeStart
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment
from tests.functions.expect import PROBLEM_MEMBERS, expect_json, expect_problem
from tests.functions.grants import DAY, LIFE, MINUTE, authorized, fresh, over
from tests.functions.token_endpoint import TokenEndpoint

MEMBERS = {
    "state",
    "generation",
    "access_token_expires_at",
    "refresh_token_expires_at",
    "refresh_token_days_left",
    "login_expires_at",
    "last_refresh",
    "next_try_at",
    "action_required",
    "cause",
}
NOW = datetime.now(UTC)
ZERO = timedelta(0)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
A_MOMENT = timedelta(seconds=0.3)


def text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_both_tokens_valid_is_200(deployment: Deployment, connection: str) -> None:
    grant = fresh()
    deployment.put(connection, replace(grant, tokens=replace(grant.tokens, generation=7)))
    assert expect_json(deployment.verify(connection)) == {
        "state": "fresh",
        "generation": 7,
        "access_token_expires_at": text(grant.tokens.expires_at),
        "refresh_token_expires_at": text(grant.tokens.refresh_token_expires_at),
        "refresh_token_days_left": 89,
        "login_expires_at": None,
        "last_refresh": {"at": text(grant.tokens.issued_at), "outcome": "tokens"},
        "next_try_at": None,
        "action_required": False,
        "cause": None,
    }


def test_access_token_expired_is_202(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, over())
    members = expect_json(deployment.verify(connection), 202)
    assert set(members) == MEMBERS
    assert members["state"] == "access-expired"
    assert (members["action_required"], members["cause"]) == (False, None)


@pytest.mark.parametrize(
    ("scope", "granted", "missing"),
    [
        pytest.param(None, "read", None, id="nothing-asked"),
        pytest.param("read write", "write", ["read"], id="one"),
        pytest.param("repo gist", "gist,repo", [], id="none"),
        pytest.param("read", None, [], id="not-told"),
    ],
)
def test_scopes_that_were_asked_for_and_not_granted_are_missing(
    deploy: Deploy,
    connection: str,
    *,
    scope: str | None,
    granted: str | None,
    missing: list[str] | None,
) -> None:
    deployment = deploy(SCOPE=scope)
    deployment.put(connection, Authorized(tokens=replace(fresh().tokens, scope=granted)))
    members = expect_json(deployment.verify(connection))
    assert members.get("missing_scopes") == missing
    # They require nobody.
    assert members["action_required"] is False
    assert expect_json(deployment.refresh(connection)).get("missing_scopes") == missing


def test_missing_scopes_and_the_account_are_known_where_a_login_is_required(
    deploy: Deploy, connection: str
) -> None:
    deployment = deploy(SCOPE="read write")
    unknown = expect_problem(deployment.verify(connection), 404, "not-authorized")
    assert not {"missing_scopes", "account"} & set(unknown)
    tokens = replace(fresh().tokens, scope="read", refresh_token=None, account="a@a.example")
    for grant in (Authorized(tokens=tokens), Moved(grant=Authorized(tokens=tokens), since=NOW)):
        deployment.put(connection, grant)
        members = deployment.verify(connection).json()
        assert (members["missing_scopes"], members["account"]) == (["write"], "a@a.example")


def test_token_that_does_not_expire_is_200(deployment: Deployment, connection: str) -> None:
    grant = authorized(access_ends=None, refresh_ends=None, has_refresh_token=False)
    deployment.put(connection, grant)
    assert expect_json(deployment.verify(connection))["access_token_expires_at"] is None


def test_unknown_connection_is_404(deployment: Deployment, connection: str) -> None:
    members = expect_problem(deployment.verify(connection), 404, "not-authorized")
    assert (members["state"], members["cause"]) == ("unauthorized", "never-authorized")


@pytest.mark.parametrize(
    ("access_left", "refresh_left", "has_refresh_token", "cause"),
    [
        (-DAY, ZERO, True, "refresh-token-expired"),
        # Though the access token is still valid.
        (MINUTE, ZERO, True, "refresh-token-expired"),
        (LIFE, None, False, "refresh-token-missing"),
    ],
)
def test_connection_that_cannot_be_refreshed_is_404(
    deployment: Deployment,
    connection: str,
    *,
    access_left: timedelta,
    refresh_left: timedelta | None,
    has_refresh_token: bool,
    cause: str,
) -> None:
    now = datetime.now(UTC)
    grant = authorized(
        access_ends=now + access_left,
        refresh_ends=None if refresh_left is None else now + refresh_left,
        has_refresh_token=has_refresh_token,
    )
    deployment.put(connection, grant)
    members = expect_problem(deployment.verify(connection), 404, "not-authorized")
    assert set(members) == {*PROBLEM_MEMBERS, "login"} | MEMBERS
    assert (members["state"], members["cause"]) == ("refresh-expired", cause)
    assert members["action_required"] is True
    assert members["refresh_token_days_left"] == (None if refresh_left is None else 0)
    assert "log in" in members["detail"]


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (DAY - MINUTE, 0),
        (DAY + MINUTE, 1),
        (2 * DAY - MINUTE, 1),
        (90 * DAY + MINUTE, 90),
        (None, None),
    ],
)
def test_checklist_36_days_left_are_whole_days(
    deployment: Deployment, connection: str, left: timedelta | None, days: int | None
) -> None:
    now = datetime.now(UTC)
    refresh_ends = None if left is None else now + left
    deployment.put(connection, authorized(access_ends=now + LIFE, refresh_ends=refresh_ends))
    assert expect_json(deployment.verify(connection))["refresh_token_days_left"] == days


@pytest.mark.parametrize(
    ("counted", "login_left", "days"),
    [
        pytest.param(LifetimeStart.LOGIN, None, 7, id="the refresh token expires with the login"),
        pytest.param(LifetimeStart.ISSUE, 300 * DAY, 300, id="the login outlasts it"),
        pytest.param(LifetimeStart.ISSUE, None, None, id="no end is known"),
    ],
)
def test_the_end_that_no_refresh_extends_is_returned(
    deployment: Deployment,
    connection: str,
    counted: LifetimeStart,
    login_left: timedelta | None,
    days: int | None,
) -> None:
    now = datetime.now(UTC)
    grant = authorized(access_ends=now + LIFE, refresh_ends=now + 7 * DAY)
    tokens = replace(
        grant.tokens,
        refresh_token_counted=counted,
        login_expires_at=None if login_left is None else now + login_left,
    )
    deployment.put(connection, replace(grant, tokens=tokens))
    members = expect_json(deployment.verify(connection))
    assert members["login_expires_at"] == (None if days is None else text(now + days * DAY))


@pytest.mark.parametrize(
    ("access_ends_after", "refresh_ends_after", "before", "since"),
    [(A_MOMENT, DAY, 200, 202), (-DAY, A_MOMENT, 202, 404)],
    ids=["access token", "refresh token"],
)
def test_token_has_expired_from_the_instant_of_its_expiry_on(
    deployment: Deployment,
    connection: str,
    *,
    access_ends_after: timedelta,
    refresh_ends_after: timedelta,
    before: int,
    since: int,
) -> None:
    now = datetime.now(UTC)
    ends = now + A_MOMENT
    deployment.put(
        connection,
        authorized(access_ends=now + access_ends_after, refresh_ends=now + refresh_ends_after),
    )
    # Asked again and again: each answer that is wholly on one side of the instant is known.
    status = before
    while status != since:
        asked = datetime.now(UTC)
        status = deployment.verify(connection).status_code
        answered = datetime.now(UTC)
        if answered < ends:
            assert status == before
        elif asked >= ends:
            assert status == since
        else:
            assert status in {before, since}


@pytest.mark.parametrize(
    ("failure", "failing_for", "cause"),
    [
        (Failure.UNAVAILABLE, HOUR - MINUTE, None),
        (Failure.UNAVAILABLE, HOUR, "provider-unavailable"),
        (Failure.UNKNOWN, HOUR, "outcome-unknown"),
        (Failure.UNEXPLAINED, MINUTE, None),
        (Failure.UNEXPLAINED, DAY, "refused-without-reason"),
        (Failure.MISCONFIGURED, MINUTE, "client-refused"),
        (Failure.REFUSED, MINUTE, "refresh-token-rejected"),
        (Failure.NOT_SENT, MINUTE, None),
        (Failure.EXPIRED_ON_ARRIVAL, MINUTE, None),
    ],
)
@pytest.mark.parametrize("grant", [fresh, over])
def test_action_is_required_by_a_failure_that_does_not_pass(
    deployment: Deployment,
    connection: str,
    *,
    grant: Callable[[], Authorized],
    failure: Failure,
    failing_for: timedelta,
    cause: str | None,
) -> None:
    now = datetime.now(UTC)
    failure_state = FailureState(
        failures=9,
        failure=failure,
        at=now - SECOND,
        retry_at=now + MINUTE,
        in_doubt_since=None,
        since=now - failing_for,
    )
    deployment.put(connection, replace(grant(), failure_state=failure_state))
    members = expect_json(deployment.verify(connection), 200 if grant is fresh else 202)
    assert (members["action_required"], members["cause"]) == (cause is not None, cause)
    assert members["last_refresh"] == {"at": text(now - SECOND), "outcome": failure.value}
    assert members["next_try_at"] == text(now + MINUTE)


def test_refresh_in_progress_is_reported_and_not_joined(
    deployment: Deployment, connection: str
) -> None:
    now = datetime.now(UTC)
    attempt = Attempt(
        id="an-attempt", authorized_at=now, generation=0, client="another", started_at=now
    )
    deployment.put(
        connection, Refreshing(tokens=over().tokens, attempt=attempt, failure_state=None)
    )
    members = expect_json(deployment.verify(connection), 202)
    assert members["last_refresh"] == {"at": text(now), "outcome": "in-progress"}


def test_verify_asks_only_the_store_and_changes_nothing(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    now = datetime.now(UTC)
    seeded = {
        "fresh": (200, fresh()),
        "over": (202, over()),
        "expired": (404, authorized(access_ends=now - DAY, refresh_ends=now - DAY)),
    }
    for name, (_, grant) in seeded.items():
        scripted.put(f"{connection}-{name}", grant)
    rows = scripted.rows()
    with endpoint.held():
        for name, (status, grant) in seeded.items():
            answer = scripted.verify(f"{connection}-{name}")
            assert answer.status_code == status
            assert grant.tokens.access_token not in answer.text
            assert str(grant.tokens.refresh_token) not in answer.text
        scripted.verify(f"{connection}-unknown")
    assert endpoint.seen == []
    assert scripted.rows() == rows

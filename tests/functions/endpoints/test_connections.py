"""GET /api/connections: what a key may see, in pages. The provider is not asked."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.store_sqlite import SqliteStore
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Revoked,
    Unauthorized,
)
from domain.token_endpoint import RevocationResult
from functions.endpoints.connections import FILTERS
from ports.store import RecordPage
from tests.functions.access.test_api_keys import api_keys, entry, with_key
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, Header, at
from tests.functions.doctors import encryption_key
from tests.functions.expect import PROBLEM_MEMBERS, expect_json, expect_problem
from tests.functions.grants import DAY, LIFE, authorized, fresh, over
from tests.functions.hosts import on_each_host_and_store

NOW = datetime.now(UTC)
PLACE = {"connection", "client", "provider"}
NARROW = "a-key-that-may-see-some-connections"
OTHER_CLIENTS = json.dumps(
    {
        "google": {"client_id": "g", "client_secret": "not-a-real-secret", "scope": "openid"},
        "broken": {"provider": "no-such-preset", "client_id": "b", "client_secret": "not-real"},
    }
)
SEVERAL = {"CLIENTS": OTHER_CLIENTS, "ENCRYPTION_KEYS": encryption_key("deployment")}
ANOTHER_KEY = {"CLIENT_SECRET": "another-secret", "ENCRYPTION_KEYS": encryption_key("another")}


def ending(days: int) -> Authorized:
    return authorized(access_ends=NOW + LIFE, refresh_ends=NOW + days * DAY)


def failing(grant: Authorized, failure: Failure = Failure.UNAVAILABLE) -> Authorized:
    failure_state = FailureState(
        failures=1, failure=failure, at=NOW, retry_at=NOW + LIFE, in_doubt_since=None
    )
    return replace(grant, failure_state=failure_state)


def required() -> AuthorizationRequired:
    cause, client = Cause.REFRESH_TOKEN_REJECTED, "client"
    return AuthorizationRequired(tokens=over().tokens, cause=cause, client=client, since=NOW)


def in_every_state() -> Mapping[str, Grant]:
    """A connection of each kind; the names are in the order of a page."""
    return {
        "z-required": required(),
        "y-refused": failing(ending(50), Failure.MISCONFIGURED),
        "x-failing": failing(ending(60)),
        "w-soon": ending(3),
        "v-late": ending(80),
        "u-expired": replace(over(), tokens=replace(over().tokens, account="a@a.example")),
        "t-without-end": authorized(access_ends=None, refresh_ends=None, has_refresh_token=False),
        "s-nobody": Unauthorized(),
        "q-moved": Moved(grant=fresh(), since=NOW),
        "r-revoked": Revoked(at=NOW, result=RevocationResult.NOT_SUPPORTED),
    }


def put_all(deployment: Deployment, grants: Mapping[str, Grant]) -> None:
    for name, grant in grants.items():
        deployment.put(name, grant)


def listed(deployment: Deployment, *headers: Header, **parameters: str) -> dict[str, Any]:
    target = at("/api/connections", **parameters)
    return expect_json(deployment.call("GET", target, *(headers or (deployment.key,))))


def names(page: Mapping[str, Any]) -> list[str]:
    return [row["connection"] for row in page["connections"]]


def walk(deployment: Deployment, *headers: Header, **parameters: str) -> list[str]:
    """Return the names of all pages."""
    page = listed(deployment, *headers, **parameters)
    found = names(page)
    while page["next"] is not None:
        page = listed(deployment, *headers, **{**parameters, "after": page["next"]})
        found += names(page)
    return found


def test_each_row_is_what_verify_returns_and_the_most_urgent_is_first(deploy: Deploy) -> None:
    deployment = deploy(SCOPE="read")
    grants = in_every_state()
    put_all(deployment, grants)
    page = listed(deployment)
    assert page["next"] is None
    assert names(page) == list(grants)
    for row in page["connections"]:
        assert (row["client"], row["provider"]) == (None, "digikey")
        verified = deployment.verify(row["connection"]).json()
        told = {k: v for k, v in verified.items() if k not in {*PROBLEM_MEMBERS, "login"}}
        assert {k: v for k, v in row.items() if k not in PLACE} == told


@on_each_host_and_store
def test_pages_follow_the_names_and_lead_to_each_other(deployment: Deployment) -> None:
    every = {f"paged-{number}": ending(90 - number) for number in range(5)}
    put_all(deployment, every)
    seen: list[list[str]] = []
    target = at("/api/connections", limit="2", after="paged-")
    while True:
        answer = deployment.get(target)
        page = expect_json(answer)
        seen.append([name for name in names(page) if name in every])
        if "paged-4" in seen[-1]:
            break
        # RFC 8288: relative to the address of this page.
        [target, after] = re.findall(
            r'^<(/api/connections\?limit=2&after=([^>]*))>; rel="next"$', answer.headers["link"]
        )[0]
        assert after == page["next"]
    # Within a page the most urgent one is first.
    assert seen == [["paged-1", "paged-0"], ["paged-3", "paged-2"], ["paged-4"]]
    head = deployment.call("HEAD", at("/api/connections", limit="2"), deployment.key)
    assert (head.status_code, head.content) == (200, b"")


def test_the_last_page_has_no_next(deploy: Deploy) -> None:
    deployment = deploy()
    assert listed(deployment) == {"connections": [], "next": None}
    put_all(deployment, {"a": fresh(), "b": fresh()})
    answer = deployment.get(at("/api/connections", limit="2"))
    assert (expect_json(answer)["next"], "link" in answer.headers) == (None, False)
    assert listed(deployment, after="b") == {"connections": [], "next": None}
    # A name of its own is not needed.
    assert names(listed(deployment, after="aa")) == ["b"]


def test_each_filter_returns_the_connections_of_its_state(deploy: Deploy) -> None:
    deployment = deploy(**SEVERAL)
    put_all(deployment, in_every_state())
    put_all(deployment, {"broken:a": fresh(), "refused": required(), "of:nobody": fresh()})
    no_refresh_token = authorized(access_ends=NOW - DAY, refresh_ends=None, has_refresh_token=False)
    deployment.put("ended", no_refresh_token)
    rows = listed(deployment)["connections"]
    by_state = {name: {r["connection"] for r in rows if r["state"] == name} for name in FILTERS}
    by_state["action-required"] = {r["connection"] for r in rows if r["action_required"]}
    # No other test has an unreadable one.
    assert [name for name, found in by_state.items() if not found] == ["unreadable"]
    for state, expected in by_state.items():
        for limit in ("1", "3", "1000"):
            found = walk(deployment, state=state, limit=limit)
            assert (len(found), set(found)) == (len(expected), expected)


def test_what_cannot_be_shown_is_a_row_with_its_fault(deploy: Deploy) -> None:
    right = deploy(**SEVERAL)
    put_all(right, {"a": fresh(), "google:a": fresh(), "broken:a": fresh(), "of:nobody": fresh()})
    another = deploy(**ANOTHER_KEY)
    another.put("b", fresh())
    rows = {row["connection"]: row for row in listed(right)["connections"]}
    assert rows["google:a"]["client"] == rows["google:a"]["provider"] == "google"
    assert rows["a"]["state"] == rows["google:a"]["state"] == "fresh"
    unreadable, broken, unknown = rows["b"], rows["broken:a"], rows["of:nobody"]
    assert unreadable["provider"] == "digikey"
    assert (broken["client"], broken["provider"]) == ("broken", None)
    for row, state, cause, text in (
        (unreadable, "unreadable", "record-unreadable", "'b' cannot be read: it was sealed"),
        (broken, "not-configured", "not-configured", "client 'broken' in CLIENTS: provider"),
        (unknown, "not-configured", "unknown-client", "'of:nobody' belongs to no client"),
    ):
        assert set(row) == {*PLACE, "state", "action_required", "cause", "fault"}
        assert (row["state"], row["action_required"], row["cause"]) == (state, True, cause)
        assert text in row["fault"]
    assert names(listed(right))[3:] == ["a", "google:a"]
    assert names(listed(right, state="unreadable")) == ["b"]


@pytest.mark.parametrize(
    ("connections", "seen"),
    [
        pytest.param(["google:*"], ["google:a", "google:b"], id="accounts"),
        pytest.param(["google", "google:*"], ["google", "google:a", "google:b"], id="client"),
        pytest.param(["google:b", "google:*"], ["google:a", "google:b"], id="both"),
        pytest.param(["z", "a", "missing"], ["a", "z"], id="names"),
        pytest.param(["z", "google:*", "goo"], ["google:a", "google:b", "z"], id="mixed"),
        pytest.param(["missing"], [], id="none"),
        pytest.param(["b"], ["b"], id="unreadable"),
        pytest.param(None, ["a", "b", "goo-d", "google", "google:a", "google:b", "z"], id="all"),
    ],
)
def test_a_key_sees_its_connections_and_reads_no_other(
    deploy: Deploy, connections: list[str] | None, seen: list[str]
) -> None:
    scope = {} if connections is None else {"connections": connections}
    key = api_keys(entry("narrow", NARROW, endpoints=["connections"], **scope))
    deployment = deploy(API_KEYS=key, **SEVERAL)
    put_all(deployment, dict.fromkeys(("z", "a", "goo-d", "google", "google:a"), fresh()))
    deployment.put("google:b", fresh())
    deploy(**ANOTHER_KEY).put("b", fresh())
    assert sorted(names(listed(deployment, with_key(NARROW)))) == seen
    assert walk(deployment, with_key(NARROW), limit="1") == seen
    assert sorted(walk(deployment, with_key(NARROW), limit="2")) == seen


def round_trips(deployment: Deployment, *headers: Header, **parameters: str) -> int:
    """Return the number of the request's calls of the store, and expect none of the provider."""
    answer = deployment.call("GET", at("/api/connections", **parameters), *headers)
    timing = answer.headers["server-timing"]
    assert "provider" not in timing
    [trips] = re.findall(r'store;dur=[0-9.]+;desc="round trips: (\d+)"', timing)
    return int(trips)


def test_a_page_costs_one_store_call_for_a_hundred_records(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = ["b", "a", "google:*"]
    key = api_keys(entry("narrow", NARROW, connections=scope))
    deployment = deploy(API_KEYS=key, **SEVERAL)
    put_all(deployment, {f"many-{number:03}": fresh() for number in range(201)})
    put_all(deployment, dict.fromkeys(("a", "google:a"), fresh()))
    assert round_trips(deployment, deployment.key) == 1
    assert round_trips(deployment, deployment.key, limit="1000") == 3
    assert round_trips(deployment, deployment.key, limit="1000", state="moved") == 3
    # Two names in one, and a range of names.
    assert round_trips(deployment, with_key(NARROW), limit="1000") == 2
    # A page without matches ends, too.
    monkeypatch.setattr("functions.endpoints.overview.MOST_RECORDS", 150)
    assert round_trips(deployment, deployment.key, limit="1000", state="moved") == 2
    page = listed(deployment, state="moved")
    assert (page["connections"], page["next"]) == ([], "many-197")
    assert listed(deployment, state="moved", after=page["next"])["next"] is None


def test_a_key_that_names_many_connections_costs_one_store_call_for_a_hundred(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = [f"named-{number:03}" for number in range(201)]
    deployment = deploy(API_KEYS=api_keys(entry("narrow", NARROW, connections=scope)))
    put_all(deployment, dict.fromkeys(("named-", "named-000-x", *scope[50:]), fresh()))
    assert round_trips(deployment, with_key(NARROW), limit="1000") == 3
    assert sorted(names(listed(deployment, with_key(NARROW), limit="1000"))) == scope[50:]
    assert sorted(walk(deployment, with_key(NARROW), limit="60")) == scope[50:]
    # Large records end a page early.
    whole = SqliteStore.load_records

    async def some(store: SqliteStore, connections: Sequence[str]) -> RecordPage:
        page = await whole(store, connections[:40])
        return page._replace(next=connections[39] if len(connections) > 40 else None)

    monkeypatch.setattr(SqliteStore, "load_records", some)
    assert sorted(walk(deployment, with_key(NARROW), limit="60")) == scope[50:]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            pytest.param("limit", text, id=f"limit-{text!r}")
            for text in ("0", "1001", "-1", "01", "1.5", "x", "", " 5", "٣", "9" * 5000)
        ),
        *(
            pytest.param("state", text, id=f"state-{text!r}")
            for text in ("", "x", "FRESH", "fresh,moved", "<b>")
        ),
        *(
            pytest.param("after", text, id=f"after-{text!r:.20}")
            for text in ("", "~", "a b", "-a", "é", "a" * 129, "<b>", "a\n")
        ),
        pytest.param("connection", "default", id="connection"),
    ],
)
def test_a_bad_parameter_is_refused_by_its_name(
    deployment: Deployment, name: str, value: str
) -> None:
    answer = deployment.get(at("/api/connections", **{name: value}))
    detail = expect_problem(answer, 400, "invalid-request")["detail"]
    assert name in detail
    assert len(detail) < 300
    assert "<b>" not in detail


def test_a_reply_has_no_token(deployment: Deployment, connection: str) -> None:
    grant = fresh()
    deployment.put(connection, grant)
    answer = deployment.get(at("/api/connections", after=connection[:-1], limit="1000"))
    assert connection in names(expect_json(answer))
    for secret in (grant.tokens.access_token, grant.tokens.refresh_token):
        assert str(secret) not in answer.text

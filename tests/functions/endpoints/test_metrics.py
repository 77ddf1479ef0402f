"""GET /api/metrics: what Prometheus reads, from the store and for one key."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Failure,
    FailureState,
    Grant,
    Moved,
    Revoked,
)
from domain.token_endpoint import RevocationResult
from functions.version import VERSION
from tests.functions.access.test_api_keys import api_keys, entry, with_key
from tests.functions.conftest import Deploy
from tests.functions.deployment import Deployment, Header, aged, idle
from tests.functions.doctors import encryption_key
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import DAY, MINUTE, authorized, fresh, over
from tests.functions.hosts import on_each_host
from tests.infra.promtool import promtool

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
# As Prometheus 2.42 sends it.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
SCRAPER, NARROW, OTHER = "a-key-of-prometheus-itself", "a-key-of-one-team-only", "a-key-for-tokens"
KEYS = api_keys(
    entry("prometheus", SCRAPER, endpoints=["metrics"]),
    entry("narrow", NARROW, connections=["one", "unknown"], endpoints=["metrics"]),
    entry("other", OTHER, endpoints=["token", "connections"]),
)
NOW = datetime.now(UTC)

Values = Mapping[tuple[str, ...], float]


def scrape(deployment: Deployment, key: str | None = None, *headers: Header) -> httpx.Response:
    with_a_key = deployment.key if key is None else with_key(key)
    answer = deployment.call("GET", "/api/metrics", with_a_key, *headers)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer


class Metrics:
    """Parsed metrics, by sample name."""

    def __init__(self, text: str) -> None:
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples = [each for family in self.families.values() for each in family.samples]

    def of(self, name: str, *labels: str) -> Values:
        """The values of a metric, by these labels."""
        return {
            tuple(each.labels[label] for label in labels): each.value
            for each in self.samples
            if each.name == f"oauth_callback_{name}"
        }

    def about(self, connection: str, name: str) -> float | None:
        """The value of a metric for a connection; None without a sample."""
        return self.of(name, "connection").get((connection,))


def metrics(deployment: Deployment, key: str | None = None) -> Metrics:
    return Metrics(scrape(deployment, key).text)


@on_each_host
def test_the_metrics_agree_with_verify_and_with_the_sweep(
    deployment: Deployment, connection: str
) -> None:
    began_at = datetime.now(UTC)
    deployment.log_in(connection)
    deployment.age(connection, MINUTE)
    expect_json(deployment.refresh(connection))
    expect_json(deployment.sweep())
    answer = scrape(deployment)
    assert answer.headers["content-type"] == OPENMETRICS
    assert answer.headers["cache-control"] == "no-store"
    found, tokens = Metrics(answer.text), deployment.tokens(connection)
    verified = expect_json(deployment.verify(connection))
    assert tokens.expires_at is not None
    assert tokens.refresh_token_expires_at is not None
    assert found.of("build_info", "version") == {(VERSION,): 1}
    info = found.of("connection_info", "connection", "client", "provider", "state")
    assert info[connection, "", "digikey", verified["state"]] == 1
    for name, value in (
        ("access_token_expiry_timestamp_seconds", tokens.expires_at.timestamp()),
        ("refresh_token_expiry_timestamp_seconds", tokens.refresh_token_expires_at.timestamp()),
        ("login_expiry_timestamp_seconds", None),
        ("tokens_issued_timestamp_seconds", tokens.issued_at.timestamp()),
        ("connection_login_needed", 0),
        ("connection_action_required", 0),
        ("alerts_owed", 0),
    ):
        assert found.about(connection, name) == value, name
    refreshes = found.of("refreshes_total", "connection", "outcome")
    assert refreshes[connection, "tokens"] == 1
    [swept_at] = found.of("sweep_end_timestamp_seconds").values()
    assert int(began_at.timestamp()) <= swept_at <= datetime.now(UTC).timestamp()
    outcomes = found.of("sweep_outcome", "outcome")
    assert outcomes.keys() == {("done",), ("failed",), ("incomplete",)}
    assert sum(outcomes.values()) == 1


def test_any_instance_returns_the_same(deploy: Deploy) -> None:
    one, other = deploy(), deploy()
    for connection in ("b", "a", "c"):
        one.log_in(connection)
    one.age("b", MINUTE)
    expect_json(other.refresh("b"))
    expect_json(one.sweep())
    # A page of connections has it first.
    one.put("z", aged(fresh(), 91 * DAY))
    text = scrape(one).text
    assert text == scrape(other).text
    names = re.findall(r'login_needed{client="",connection="([a-z])"', text)
    assert names == ["a", "b", "c", "z"]
    assert metrics(other).of("refreshes_total", "connection", "outcome") == {("b", "tokens"): 1}


def test_refreshes_are_counted_by_outcome_across_instances(deploy: Deploy) -> None:
    one, other = deploy(), deploy()
    one.log_in("c")
    for deployment in (one, other, one):
        deployment.age("c", 11 * MINUTE)
        expect_json(deployment.refresh("c"))
    assert metrics(other).of("refreshes_total", "outcome") == {("tokens",): 3}


@pytest.mark.parametrize(
    ("grant", "needs_login", "cause"),
    [
        pytest.param(fresh(), 0, "", id="fresh"),
        pytest.param(over(), 0, "", id="access-expired"),
        pytest.param(aged(fresh(), 91 * DAY), 1, "refresh-token-expired", id="expired"),
        pytest.param(
            AuthorizationRequired(
                tokens=over().tokens, cause=Cause.REFRESH_TOKEN_REJECTED, client="c", since=NOW
            ),
            1,
            "refresh-token-rejected",
            id="rejected",
        ),
        pytest.param(
            Authorized(
                tokens=over().tokens,
                failure_state=FailureState(
                    failures=1,
                    failure=Failure.MISCONFIGURED,
                    at=NOW,
                    retry_at=NOW + MINUTE,
                    in_doubt_since=None,
                ),
            ),
            0,
            "client-refused",
            id="client-refused",
        ),
        pytest.param(
            authorized(
                access_ends=NOW + 5 * DAY,
                refresh_ends=None,
                has_refresh_token=False,
            ),
            0,
            "refresh-token-missing",
            id="no-refresh-token",
        ),
        pytest.param(
            authorized(access_ends=NOW - MINUTE, refresh_ends=None, has_refresh_token=False),
            1,
            "refresh-token-missing",
            id="no-refresh-token-and-expired",
        ),
        pytest.param(Revoked(at=NOW, result=RevocationResult.REVOKED), 0, "revoked", id="revoked"),
        pytest.param(Moved(grant=fresh(), since=NOW, place=1), 0, "", id="moved"),
    ],
)
def test_a_login_is_needed_where_there_was_one(
    deployment: Deployment, connection: str, grant: Grant, needs_login: int, cause: str
) -> None:
    deployment.put(connection, grant)
    found = metrics(deployment)
    assert found.about(connection, "connection_login_needed") == needs_login
    required = found.of("connection_action_required", "connection", "cause")
    assert required[connection, cause] == (cause != "")
    is_here = not isinstance(grant, Revoked | Moved)
    assert (found.about(connection, "tokens_issued_timestamp_seconds") is not None) is is_here


def test_a_login_that_no_refresh_extends_has_its_end(
    deployment: Deployment, connection: str
) -> None:
    grant = fresh()
    end = NOW + 3 * DAY
    deployment.put(
        connection,
        replace(
            grant,
            tokens=replace(grant.tokens, refresh_token_expires_at=end, login_expires_at=end),
        ),
    )
    assert metrics(deployment).about(connection, "login_expiry_timestamp_seconds") == (
        end.timestamp()
    )


def test_a_key_reads_the_metrics_of_its_connections_only(deploy: Deploy) -> None:
    deployment = deploy(API_KEYS=KEYS)
    for connection in ("one", "two"):
        deployment.put(connection, fresh())
    expect_json(deployment.sweep())
    for key, seen in ((SCRAPER, {"one", "two"}), (NARROW, {"one"})):
        text = scrape(deployment, key).text
        assert set(re.findall(r'connection="([^"]*)"', text)) == seen
        found = Metrics(text)
        assert len(found.of("sweep_end_timestamp_seconds")) == 1
        has_channels = "oauth_callback_channel_last_delivery_timestamp_seconds" in found.families
        assert has_channels is (key == SCRAPER)
    refused = deployment.call("GET", "/api/metrics", with_key(OTHER))
    assert "metrics" in expect_problem(refused, 403, "key-not-allowed")["detail"]
    expect_problem(deployment.call("GET", "/api/metrics"), 401, "api-key-missing")
    answer = deployment.call("GET", "/api/metrics?connection=one", deployment.key)
    expect_problem(answer, 400, "invalid-request")


def test_the_key_of_prometheus_reads_no_token(deploy: Deploy) -> None:
    deployment = deploy(API_KEYS=KEYS)
    deployment.put("one", grant := fresh())
    refused = deployment.call("GET", "/api/token?connection=one", with_key(SCRAPER))
    expect_problem(refused, 403, "key-not-allowed")
    text = scrape(deployment, SCRAPER).text
    assert grant.tokens.access_token not in text
    assert str(grant.tokens.refresh_token) not in text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param(None, OPENMETRICS, id="none"),
        pytest.param("*/*", OPENMETRICS, id="any"),
        pytest.param(PROMETHEUS, OPENMETRICS, id="prometheus"),
        pytest.param("text/plain", PLAIN, id="plain"),
        pytest.param("text/plain;version=0.0.4, */*;q=0.1", PLAIN, id="an-older-scraper"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", OPENMETRICS, id="a-browser"),
    ],
)
def test_the_format_is_openmetrics_or_the_older_one(
    deployment: Deployment, accept: str | None, content_type: str
) -> None:
    headers: tuple[Header, ...] = () if accept is None else (("accept", accept),)
    answer = scrape(deployment, None, *headers)
    assert answer.headers["content-type"] == content_type
    assert answer.text.endswith("# EOF\n") is (content_type == OPENMETRICS)
    head = deployment.call("HEAD", "/api/metrics", deployment.key, *headers)
    assert (head.status_code, head.content) == (200, b"")


def test_promtool_has_nothing_against_the_metrics(deployment: Deployment, connection: str) -> None:
    deployment.log_in(connection)
    deployment.age(connection, MINUTE)
    expect_json(deployment.refresh(connection))
    expect_json(deployment.sweep())
    text = scrape(deployment, None, ("accept", "text/plain")).text
    assert promtool("check", "metrics", stdin=text) == ""


def test_an_unreadable_record_costs_no_other_metric(deploy: Deploy) -> None:
    right = deploy(ENCRYPTION_KEYS=encryption_key("one"), CLIENT_SECRET="a-client-secret")
    wrong = deploy(ENCRYPTION_KEYS=encryption_key("two"), CLIENT_SECRET="another-client-secret")
    right.put("lost", fresh())
    wrong.put("found", fresh())
    found = metrics(wrong)
    assert found.of("unreadable_records") == {(): 1}
    assert found.of("connection_action_required", "connection", "cause") == {
        ("lost", "record-unreadable"): 1,
        ("found", ""): 0,
    }
    assert found.about("lost", "connection_login_needed") == 0
    assert found.about("found", "access_token_expiry_timestamp_seconds") is not None


def test_the_metrics_of_many_connections_cost_few_round_trips(deploy: Deploy) -> None:
    deployment = deploy()
    for number in range(250):
        deployment.put(f"c{number}", fresh())
    answer = scrape(deployment)
    assert len(Metrics(answer.text).of("connection_info", "connection")) == 250
    trips = re.search(
        r'store;dur=[0-9.]+;desc="round trips: ([0-9]+)"', answer.headers["server-timing"]
    )
    assert trips is not None
    # The deployment's own record, and three pages.
    assert int(trips[1]) == 1 + 3


def test_a_failed_sweep_shows_and_unused_connections_are_refreshed(deploy: Deploy) -> None:
    deployment = deploy()
    idle(deployment, "idle")
    deployment.put("refused", aged(fresh(), 80 * DAY))
    assert expect_json(deployment.sweep())["failed"] == 1
    found = metrics(deployment)
    assert found.of("sweep_outcome", "outcome") == {
        ("done",): 0,
        ("failed",): 1,
        ("incomplete",): 0,
    }
    counts = found.of("refreshes_total", "connection", "outcome")
    assert counts["idle", "tokens"] == 1
    assert sum(n for (name, outcome), n in counts.items() if name == "refused") == 1
    expect_token(deployment.token("idle"))

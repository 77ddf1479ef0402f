"""The id of a request, and the Server-Timing header, which only authenticated callers get."""

import re
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from functions.observability import tracing
from functions.observability.tracing import (
    mark_authenticated,
    request_id_of,
    trace_request,
    waiting_for,
)
from tests.functions.conftest import Deploy
from tests.functions.deployment import CRON_SECRET, HTML, Deployment, at
from tests.functions.grants import fresh, over
from tests.functions.hosts import on_each_host
from tests.functions.token_endpoint import Answer, TokenEndpoint

METRIC = re.compile(r'(store|provider|total);dur=([0-9]+\.[0-9])(?:;desc="round trips: ([0-9]+)")?')


def timing(answer: httpx.Response) -> dict[str, tuple[float, int | None]]:
    """Read the header: the milliseconds and the round trips of each part."""
    found = {}
    for metric in answer.headers["server-timing"].split(", "):
        parts = METRIC.fullmatch(metric)
        assert parts is not None, metric
        name, milliseconds, trips = parts.groups()
        found[name] = (float(milliseconds), int(trips) if trips else None)
    return found


def trips(answer: httpx.Response) -> dict[str, int | None]:
    return {name: trips for name, (_, trips) in timing(answer).items()}


@on_each_host
def test_fresh_token_is_one_round_trip_to_the_store(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, fresh())
    for answer in (deployment.token(connection), deployment.verify(connection)):
        assert trips(answer) == {"store": 1, "total": None}
        assert timing(answer)["store"] <= timing(answer)["total"]


@on_each_host
@pytest.mark.parametrize("status", [200, 401])
def test_refresh_is_three_round_trips_and_one_to_the_provider(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str, status: int
) -> None:
    scripted.put(connection, over())
    if status != 200:
        endpoint.plan(Answer.json({"error": "invalid_grant"}, status=400))
    answer = scripted.token(connection)
    assert answer.status_code == status
    assert trips(answer) == {"store": 3, "provider": 1, "total": None}
    assert len(endpoint.seen) == 1


def test_login_has_its_timing(deployment: Deployment, connection: str) -> None:
    begun = deployment.post(at("/api/login", connection=connection))
    assert trips(begun)["store"] is not None


def test_sweep_has_its_timing(deploy: Deploy) -> None:
    # Alone in its store: the connections of other tests would take time.
    swept = deploy().call("GET", "/api/refresh", ("authorization", f"Bearer {CRON_SECRET}"))
    assert trips(swept)["store"] is not None


def test_unauthenticated_caller_gets_no_timing(deployment: Deployment, connection: str) -> None:
    link = deployment.link(connection)
    strangers = [
        deployment.call("GET", "/api/health"),
        deployment.call("GET", "/api/openapi.json"),
        deployment.call("GET", at("/api/token", connection=connection)),
        deployment.call("GET", "/api/token", ("x-api-key", "another-key-than-the-deployments")),
        deployment.call("GET", "/api/refresh", ("authorization", "Bearer another secret")),
        deployment.callback(HTML, code="a-code", state="a-state"),
        deployment.open_link(link),
        deployment.press(link),
    ]
    for answer in strangers:
        assert "server-timing" not in answer.headers, answer.request.url
    assert "server-timing" in deployment.token(connection).headers


def test_times_are_measured_with_a_monotonic_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instants = iter([100.0, 100.25, 101.5, 102.0, 102.0625, 103.0, 103.5, 110.0])
    monkeypatch.setattr(tracing, "monotonic", lambda: next(instants))
    with trace_request("an-id") as trace:
        with waiting_for("store"):
            pass
        with waiting_for("provider"):
            pass
        with pytest.raises(TimeoutError), waiting_for("store"):
            raise TimeoutError
    assert trace.server_timing() == (
        'store;dur=1750.0;desc="round trips: 2", '
        'provider;dur=62.5;desc="round trips: 1", total;dur=10000.0'
    )


def test_without_a_request_nothing_is_recorded() -> None:
    mark_authenticated("ci")
    with waiting_for("store"):
        pass
    with trace_request("an-id") as trace:
        pass
    assert (trace.is_authenticated, trace.key_name, trace.waits) == (False, None, [])


# --- the id of a request

VERCEL = "fra1::iad1::abcde-1700000000000-0123456789ab"
AMAZON = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
LAMBDA = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
NEW = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-request-id": "of-a-proxy.1"}, "of-a-proxy.1"),
        ({"x-vercel-id": VERCEL, "x-request-id": "of-a-proxy"}, VERCEL),
        ({"x-amzn-trace-id": AMAZON, "x-request-id": "of-a-proxy"}, AMAZON),
        ({"X-Request-Id": "a" * 128}, "a" * 128),
    ],
)
def test_request_keeps_its_id(headers: dict[str, str], expected: str) -> None:
    assert request_id_of(scope(headers)) == expected


@pytest.mark.parametrize(
    "named",
    [
        "",
        "a" * 129,
        "two words",
        "a/b",
        "ü",
        "<b>",
        'quoted"',
        "line\nline",
        "-a",
        "end\n",
        "a%20b",
    ],
)
def test_invalid_id_is_replaced(named: str) -> None:
    first, second = (request_id_of(scope({"x-request-id": named})) for _ in range(2))
    assert NEW.fullmatch(first)
    assert NEW.fullmatch(second)
    assert first != second


def test_id_of_lambda_comes_first() -> None:
    context = SimpleNamespace(aws_request_id=LAMBDA)
    assert request_id_of({**scope({"x-amzn-trace-id": AMAZON}), "aws.context": context}) == LAMBDA
    # A call without a context has no such id.
    assert request_id_of({**scope({"x-request-id": "mine"}), "aws.context": None}) == "mine"


def scope(headers: dict[str, str]) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http", "headers": pairs}


@on_each_host
def test_answers_have_the_id_of_the_request(deployment: Deployment, connection: str) -> None:
    """Pages, tokens and problems; `expect_problem` looks at `instance` everywhere."""
    named = ("x-request-id", "of-the-client")
    deployment.put(connection, fresh())
    answers = [
        deployment.call("GET", "/api/health", named),
        deployment.call("GET", at("/api/token", connection=connection), deployment.key, named),
        deployment.call("GET", "/api/callback?code=c&state=s", HTML, named),
        deployment.call("GET", "/api/token", named),
    ]
    # A platform may replace the id by its own, one for each request.
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(ids)
    assert len(set(ids)) in {1, len(ids)}
    assert answers[-1].json()["instance"].endswith(ids[-1])

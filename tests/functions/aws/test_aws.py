"""Lambda's handlers: events of every kind that HTTP comes in, and the scheduled sweep."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal

from adapters import sqlite_database
from functions.aws.api import HttpHandler
from functions.aws.events import UnknownEventError
from functions.aws.settings import InstanceSettings
from functions.aws.sweep import ScheduledSweep, SweepFailedError
from functions.observability.log_lines import JsonLine
from functions.refresh import recorder
from tests.functions.conftest import Deploy, environ_for
from tests.functions.deployment import API_KEY, JSON, Call, Deployment, at, deployed, idle, spoil
from tests.functions.expect import (
    expect_common_headers,
    expect_json,
    expect_page,
    expect_problem,
    expect_token,
)
from tests.functions.grants import DAY, NEAR_END, fresh
from tests.functions.hosts import Host, aws_lambda, close_handler
from tests.functions.observability.test_log_lines import written_by
from tests.functions.stores import sqlite_store
from tests.functions.token_endpoint import TokenEndpoint
from tests.system.lambda_events import HTTP_EVENTS, Event, scheduler_event
from tests.system.lambda_instances import Instance
from tests.system.loopback import free_port
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

ROOT = Path(__file__).parents[3]
# Lambda's largest event: 6 MB. In base64 a quarter of it is lost.
MOST_BYTES = 6 * 1024 * 1024


# With the store that Lambda has.
on_lambda = pytest.mark.parametrize("host", ["lambda"], indirect=True)


@pytest.fixture(scope="module", params=HTTP_EVENTS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of event in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def behind(
    kind: str, portal: BlockingPortal, running_digikey: SimulatedDigiKeyPeer
) -> Iterator[Deployment]:
    """A deployment behind the front end that makes that kind of event."""
    host = Host(run=partial(aws_lambda, event_of=HTTP_EVENTS[kind]), store=sqlite_store)
    with host.store() as store:
        environ = environ_for(running_digikey, store.environ)
        with deployed(host, portal, environ, running_digikey) as deployment:
            yield deployment


# --- each kind of event


def test_login_with_its_page_and_token_come_through(behind: Deployment, connection: str) -> None:
    url = behind.provider.allow(behind.begin_login(connection))
    expect_page(behind.follow(url))
    assert behind.provider.accepts(expect_token(behind.token(connection)))
    assert expect_json(behind.verify(connection))["state"] == "fresh"
    # The state serves once, and a program has the same result as JSON.
    assert expect_json(behind.follow(url, JSON))["status"] == "authorized"
    other = url.replace("code=", "code=x")
    expect_problem(behind.follow(other, JSON), 400, "invalid-state")


def test_answers_without_a_page_or_token_come_through(behind: Deployment, connection: str) -> None:
    members = expect_problem(behind.token(connection), 401, "authorization-required")
    assert members["cause"] == "never-authorized"
    expect_problem(behind.call("GET", "/api/token"), 401, "api-key-missing")
    expect_problem(behind.get("/api/nothing"), 404, "not-found")
    get, head = behind.get("/api/health"), behind.call("HEAD", "/api/health")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    answer = behind.call("OPTIONS", "/api/token")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    expect_common_headers(answer)
    assert not {"content-length", "content-type"} & set(answer.headers)


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
def test_body_comes_through_whole(behind: Deployment, connection: str, content_type: str) -> None:
    target, header = at("/api/login", connection=connection), ("content-type", content_type)
    assert behind.post(target, header, content=b"{}").status_code == HTTPStatus.OK
    # The detail has its full length.
    largest = 64 * 1024
    answer = behind.post(target, header, content=b"x" * largest)
    assert f"length {largest})" in expect_problem(answer, 400, "invalid-request")["detail"]
    most = MOST_BYTES if content_type == "application/json" else MOST_BYTES * 3 // 4
    for size in (largest + 1, most):
        answer = behind.post(target, header, content=b"x" * size)
        expect_problem(answer, 413, "invalid-request")


def test_query_is_decoded_once(behind: Deployment, connection: str) -> None:
    grant = fresh()
    behind.put("A.b_c-d@e", grant)
    for query in ("connection=A.b_c-d@e", "connection=A%2Eb%5Fc-d%40e", "c%6Fnnection=A.b_c-d%40e"):
        assert expect_token(behind.get(f"/api/token?{query}")) == grant.tokens.access_token
    twice = f"connection=other&c%6fnnection={connection}"
    for query in ("connection=A.b_c-d%2540e", "connection=%20A.b_c-d@e", twice):
        expect_problem(behind.get(f"/api/token?{query}"), 400, "invalid-request")


def test_repeated_names_are_refused_where_the_event_has_them(
    behind: Deployment, kind: str, connection: str
) -> None:
    behind.put(connection, fresh())
    target = f"/api/token?connection=other&connection={connection}"
    twice = [("x-api-key", "another"), behind.key]
    answers = [behind.get(target), behind.call("GET", at("/api/verify"), *twice)]
    if kind == "load balancer, single values":
        # The event has only the last one of each.
        assert [answer.status_code for answer in answers] == [200, 404]
    else:
        expect_problem(answers[0], 400, "invalid-request")
        expect_problem(answers[1], 401, "api-key-invalid")


def test_query_that_is_not_utf8_is_refused_where_it_arrives(behind: Deployment, kind: str) -> None:
    answer = behind.call("GET", "/api/callback?code=%ff&state=never-given-out", JSON)
    # A REST API decodes queries, into text.
    expect_problem(answer, 400, "invalid-state" if kind == "REST API" else "invalid-request")


# --- events of other kinds, or incomplete


@contextmanager
def http_handler(environ: dict[str, str]) -> Iterator[Callable[[object], Any]]:
    """One instance, to be called with events that no transport makes."""
    instance = Instance(lambda: HttpHandler(InstanceSettings(environ)))
    try:
        yield lambda event: instance.invoke(event).result()
    finally:
        instance.stop(close_handler)


@pytest.fixture(scope="module")
def invoke() -> Iterator[Callable[[object], Any]]:
    """A handler without any settings: the application answers 500 to every request."""
    with http_handler({}) as handler:
        yield handler


def event_of(kind: str) -> Event:
    """Make the event of a call for a token."""
    call = Call(method="GET", target="/api/token", headers=(("x-api-key", API_KEY),))
    request = call.build("https://lambda")
    request.read()
    return HTTP_EVENTS[kind](request)


def test_handler_without_settings_answers_not_configured(
    invoke: Callable[[object], Any], kind: str
) -> None:
    answer = invoke(event_of(kind))
    assert answer["statusCode"] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert answer["isBase64Encoded"] is False
    members = json.loads(answer["body"])
    assert members["type"].endswith(":not-configured")
    assert "API_KEY" in members["detail"]


NO_REQUESTS: dict[str, object] = {
    "nothing": None,
    "empty": {},
    "a list": [],
    "a text": "GET /api/token",
    "a schedule's": scheduler_event(),
    "a queue's": {"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}]},
    "an edge's": {
        "Records": [
            {
                "cf": {
                    "config": {"eventType": "viewer-request"},
                    "request": {
                        "clientIp": "192.0.2.1",
                        "headers": {"host": [{"key": "Host", "value": "keeper.test"}]},
                        "method": "GET",
                        "uri": "/api/health",
                        "querystring": "",
                    },
                }
            }
        ]
    },
    "a version to come": {**event_of("HTTP API"), "version": "3.0"},
}


@pytest.mark.parametrize("event", NO_REQUESTS.values(), ids=NO_REQUESTS)
def test_event_that_is_not_a_request_is_an_error(
    invoke: Callable[[object], Any], event: object
) -> None:
    with pytest.raises(UnknownEventError, match="not an event of HTTP API") as raised:
        invoke(event)
    assert API_KEY not in str(raised.value)


V2 = ["requestContext", "requestContext.http", "requestContext.http.method"]
V2 += ["requestContext.http.path", "rawQueryString", "headers", "isBase64Encoded"]
V1 = ["requestContext", "httpMethod", "path", "headers", "multiValueHeaders", "isBase64Encoded"]
V1 += ["queryStringParameters", "multiValueQueryStringParameters"]
ELB = ["requestContext", "requestContext.elb", "httpMethod", "path", "isBase64Encoded"]
NEEDED = {
    "HTTP API": V2,
    "Function URL": V2,
    "REST API": V1,
    "load balancer": [*ELB, "multiValueHeaders", "multiValueQueryStringParameters"],
    "load balancer, single values": [*ELB, "headers", "queryStringParameters"],
}


@pytest.mark.parametrize(
    ("kind", "path"), [(kind, path) for kind, paths in NEEDED.items() for path in paths]
)
def test_incomplete_event_is_an_error(
    invoke: Callable[[object], Any], kind: str, path: str
) -> None:
    *above, name = path.split(".")
    for value in (None, 7):
        event = event_of(kind)
        holder = event
        for member in above:
            holder = holder[member]
        if value is None:
            del holder[name]
        else:
            holder[name] = value
        with pytest.raises(UnknownEventError, match="or incomplete") as raised:
            invoke(event)
        assert API_KEY not in str(raised.value)


MISSHAPED: dict[str, Event] = {
    "a body that is cut off": {"body": "A", "isBase64Encoded": True},
    "a body that is not base64": {"body": '{"a": 1}', "isBase64Encoded": True},
    "a body that is base64 in part": {"body": "QUJD, QUJD", "isBase64Encoded": True},
    "a body of other letters": {"body": "ключ", "isBase64Encoded": True},
    "a body of 6 MB that is not base64": {"body": "-" * MOST_BYTES, "isBase64Encoded": True},
    "a body that is not text": {"body": {"a": 1}},
    "a body that is bytes in a list": {"body": [65, 66], "isBase64Encoded": True},
    "a body of half a character": {"body": "\ud83d"},
    "a header that is a number": {"headers": {"x-api-key": 1}},
    "a header that is null": {"headers": {"x-api-key": None}},
    "one value instead of a header's list": {"multiValueHeaders": {"x-api-key": API_KEY}},
    "null in a header's list": {"multiValueHeaders": {"accept": [None]}},
    "a parameter that is a number": {"queryStringParameters": {"connection": 1}},
    "a parameter that is null": {"queryStringParameters": {"connection": None}},
    "one value instead of a list": {"multiValueQueryStringParameters": {"connection": "ab"}},
    "a list in a list": {"multiValueQueryStringParameters": {"connection": [["a"]]}},
}


@pytest.mark.parametrize("members", MISSHAPED.values(), ids=MISSHAPED)
def test_event_with_misshapen_members_is_an_error(
    invoke: Callable[[object], Any], kind: str, members: Event
) -> None:
    # Mangum would read some of them as another valid request.
    name = next(iter(members))
    expected = f"unreadable HTTP event: ({name}|UnicodeEncodeError)"
    with pytest.raises(UnknownEventError, match=expected) as raised:
        invoke(event_of(kind) | members)
    assert API_KEY not in str(raised.value)


def _with_header(event: Event, name: str, value: str) -> Event:
    headers, every = event.get("headers"), event.get("multiValueHeaders")
    return {
        **event,
        **({} if headers is None else {"headers": {**headers, name: value}}),
        **({} if every is None else {"multiValueHeaders": {**every, name: [value]}}),
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "a:b"),
        ("Host", "a:b:c"),
        ("host", "[::1]:80"),
        ("host", "a:1e9"),
        ("x-forwarded-port", "x"),
        ("X-Forwarded-Port", "1e9"),
        ("x-forwarded-port", "9" * 5000),
        ("host", "\ud800"),
        ("x-api-key", "\udcff"),
        ("x-\ud83d", "a"),
    ],
)
def test_header_of_a_stranger_that_cannot_be_read_is_answered_400(
    invoke: Callable[[object], Any], kind: str, name: str, value: str
) -> None:
    answer = invoke(_with_header(event_of(kind), name, value))
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST
    members = json.loads(answer["body"])
    assert members["type"].endswith(":invalid-request")
    assert members["detail"].isascii()
    assert not answer["isBase64Encoded"]


def test_path_and_query_that_are_not_utf8_are_answered_400(
    invoke: Callable[[object], Any], kind: str
) -> None:
    event = event_of(kind)
    broken = "/api/\ud800"
    paths = {"path": broken} if "path" in event else {}
    if "rawQueryString" in event:
        paths = {"rawQueryString": "connection=\udfff"}
    answer = invoke(event | paths)
    assert answer["statusCode"] == HTTPStatus.BAD_REQUEST


def test_text_that_looks_like_base64_is_a_text(behind: Deployment, connection: str) -> None:
    # The event says so.
    target, header = at("/api/login", connection=connection), ("content-type", "text/plain")
    answer = behind.post(target, header, content=b"QUJD")
    assert "length 4)" in expect_problem(answer, 400, "invalid-request")["detail"]


# --- a deployment without a store


def test_lambda_without_a_table_answers_not_configured(
    running_digikey: SimulatedDigiKeyPeer,
) -> None:
    environ = environ_for(running_digikey, {})
    with http_handler(environ) as invoke:
        answer = invoke(event_of("HTTP API"))
    assert answer["statusCode"] == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "DYNAMODB_TABLE" in json.loads(answer["body"])["detail"]
    with scheduled(environ) as sweep, pytest.raises(SweepFailedError, match="DYNAMODB_TABLE"):
        sweep(scheduler_event(), None)


# --- after the answer


@pytest.fixture
def over_sqlite(
    portal: BlockingPortal, running_digikey: SimulatedDigiKeyPeer, endpoint: TokenEndpoint
) -> Iterator[Deployment]:
    """A deployment whose provider's answers are written by the test, and its store in a file."""
    host = Host(run=aws_lambda, store=sqlite_store)
    with host.store() as store:
        environ = environ_for(running_digikey, store.environ) | endpoint.environ
        with deployed(host, portal, environ, running_digikey) as deployment:
            yield deployment


def test_refresh_after_the_answer_is_over_when_the_handler_returns(
    over_sqlite: Deployment, endpoint: TokenEndpoint
) -> None:
    over_sqlite.put("default", grant := fresh())
    over_sqlite.age("default", by=NEAR_END)
    with ThreadPoolExecutor(1) as threads, endpoint.held() as go_on:
        asked = threads.submit(over_sqlite.token, "default")
        until(lambda: endpoint.seen, unless=asked.done)
        # Others are served meanwhile, by another instance.
        assert expect_token(over_sqlite.token("default")) == grant.tokens.access_token
        assert not asked.done()
        go_on.set()
        assert expect_token(asked.result()) == grant.tokens.access_token
    [given] = endpoint.given
    assert over_sqlite.tokens("default").access_token == given["access_token"]


def test_scheduled_sweep_returns_when_late_tokens_are_stored(
    over_sqlite: Deployment,
    endpoint: TokenEndpoint,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So that the store is given up soon for the time being.
    monkeypatch.setattr(recorder, "SWAP_RETRIES", ())
    monkeypatch.setattr(sqlite_database, "BUSY_TIMEOUT", timedelta(seconds=0.5))
    over_sqlite.put("default", fresh())
    over_sqlite.age("default", 89 * DAY)
    with ThreadPoolExecutor(1) as threads, endpoint.held() as go_on:
        swept = threads.submit(sweep_once, over_sqlite)
        until(lambda: endpoint.seen, unless=swept.done)
        with closing(sqlite3.connect(over_sqlite.environ["SQLITE_PATH"])) as other:
            other.execute("BEGIN EXCLUSIVE")
            go_on.set()
            until(lambda: "could not be stored yet" in caplog.text, unless=swept.done)
        assert swept.result()["refreshed"] == 1
    [given] = endpoint.given
    assert over_sqlite.tokens("default").access_token == given["access_token"]


def until(is_so: Callable[[], object], *, unless: Callable[[], bool]) -> None:
    """Wait for something that must come before something else."""
    while not is_so():
        assert not unless()
        time.sleep(0.01)


# --- the module that Lambda imports

_MAIN = """
import json, sys
from functions.aws.{module} import handler
for line in sys.stdin:
    print(json.dumps(handler(json.loads(line), None)))
"""


def handled(module: str, environ: dict[str, str], *events: Event) -> list[Any]:
    """Give events to a module's own handler in a process of its own, with no warning allowed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _MAIN.format(module=module)],
        input="".join(json.dumps(event) + "\n" for event in events),
        env={"PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    # The rest is the log.
    return [answer for answer in printed if "logger" not in answer]


@on_lambda
def test_modules_serve_call_after_call_over_the_environment(
    deploy: Deploy,
) -> None:
    deployment = deploy()
    idle(deployment, "default")
    environ = dict(deployment.environ)
    counts = handled("sweep", environ, scheduler_event(), scheduler_event())
    assert [report["refreshed"] for report in counts] == [1, 0]
    answers = handled("api", environ, *[event_of(kind) for kind in [*HTTP_EVENTS] * 2])
    tokens = {json.loads(answer["body"])["access_token"] for answer in answers}
    assert tokens == {deployment.tokens("default").access_token}


# --- the scheduled sweep


def sweep_once(deployment: Deployment) -> dict[str, object]:
    """Sweep in an instance that serves no longer."""
    with scheduled(dict(deployment.environ)) as sweep:
        return sweep(scheduler_event(), None)


@contextmanager
def scheduled(environ: dict[str, str]) -> Iterator[ScheduledSweep]:
    """One instance's handler, in this thread."""
    sweep = ScheduledSweep(InstanceSettings(environ))
    try:
        yield sweep
    finally:
        sweep._runner.run(sweep.close())
        sweep._runner.close()


@on_lambda
def test_scheduled_sweep_refreshes_due_connections_once(
    deploy: Deploy, caplog: pytest.LogCaptureFixture
) -> None:
    # AWS authorizes the call: the sweep needs no secret of its own.
    deployment = deploy(CRON_SECRET=None)
    idle(deployment, "a")
    deployment.log_in("not-due")
    counts = {"refreshed": 1, "skipped": 0, "failed": 0, "left": 0, "is_complete": True}
    with scheduled(dict(deployment.environ)) as sweep:
        assert sweep(scheduler_event(), None) == counts
        assert (
            "swept: refreshed: 1, skipped: 0, failed: 0, left: 0, is_complete: True" in caplog.text
        )
        # AWS calls again where it does not know how the first call ended.
        assert sweep(scheduler_event(), None) == {**counts, "refreshed": 0}
    assert [deployment.tokens(name).generation for name in ("a", "not-due")] == [1, 0]


@on_lambda
def test_log_of_a_sweep_goes_by_the_id_of_its_call(deploy: Deploy) -> None:
    deployment = deploy()
    with (
        written_by(JsonLine(), "functions") as output,
        scheduled(dict(deployment.environ)) as sweep,
    ):
        sweep(scheduler_event(), SimpleNamespace(aws_request_id="the-first"))
        idle(deployment, "a")
        sweep(scheduler_event(), SimpleNamespace(aws_request_id="the-second"))
    lines = [json.loads(line) for line in output.getvalue().splitlines()]
    swept = [line["request_id"] for line in lines if line["message"].startswith("swept: ")]
    assert swept == ["the-first", "the-second"]
    [refreshed] = [line for line in lines if line["message"].endswith(": refreshed")]
    assert (refreshed["request_id"], refreshed["connection"]) == ("the-second", "a")


@on_lambda
def test_two_scheduled_sweeps_at_once_refresh_each_connection_once(deploy: Deploy) -> None:
    deployment = deploy()
    names = [f"c{number}" for number in range(6)]
    for name in names:
        idle(deployment, name)

    before = deployment.provider.stats()["refresh_token"]
    with ThreadPoolExecutor(2) as threads:
        reports = [
            done.result() for done in [threads.submit(sweep_once, deployment) for _ in range(2)]
        ]
    assert {deployment.tokens(name).generation for name in names} == {1}
    assert deployment.provider.stats()["refresh_token"] == before + len(names)
    assert sum(int(str(report["refreshed"])) for report in reports) >= len(names)


@on_lambda
def test_scheduled_sweep_in_which_something_failed_is_an_error_and_the_rest_is_done(
    deploy: Deploy,
) -> None:
    deployment = deploy()
    idle(deployment, "a")
    idle(deployment, "b")
    spoil(deployment, "b")
    with scheduled(dict(deployment.environ)) as sweep:
        with pytest.raises(SweepFailedError, match="refreshed: 1, skipped: 0, failed: 1"):
            sweep(scheduler_event(), None)
        assert deployment.tokens("a").generation == 1
        # The rest needs a person, and AWS must not repeat the event for ever.
        assert sweep(scheduler_event(), None)["failed"] == 0


def test_scheduled_sweep_without_a_store_that_answers_is_an_error(
    running_digikey: SimulatedDigiKeyPeer,
) -> None:
    url, token = f"http://127.0.0.1:{free_port()}", "the-token-of-a-store"
    store = {"KV_REST_API_URL": url, "KV_REST_API_TOKEN": token}
    with scheduled(environ_for(running_digikey, store)) as sweep:
        for _ in range(2):
            with pytest.raises(SweepFailedError, match="the store is not available") as raised:
                sweep(scheduler_event(), None)
            assert token not in str(raised.value)


def test_scheduled_sweep_without_settings_is_an_error_that_names_them(
    running_digikey: SimulatedDigiKeyPeer, tmp_path: Path
) -> None:
    environ = environ_for(running_digikey, tmp_path)
    del environ["CLIENT_ID"]
    with (
        scheduled(environ) as sweep,
        pytest.raises(SweepFailedError, match=r"not configured: .*CLIENT_ID") as raised,
    ):
        sweep(scheduler_event(), None)
    assert environ["CLIENT_SECRET"] not in str(raised.value)

"""Lambda's runtime with our artifact: errors, timeouts and the schedule."""

import json
from collections.abc import Iterator
from itertools import product

import httpx
import pytest

from domain.grant import Refreshing
from tests.functions.conftest import Deploy
from tests.functions.deployment import Call, Deployment, at, idle, spoil
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import MINUTE, over
from tests.functions.token_endpoint import TokenEndpoint
from tests.system.lambda_artifact import lambda_artifact
from tests.system.lambda_deployment import HANDLER, EveryKind
from tests.system.lambda_events import HTTP_EVENTS, Event, response_of, scheduler_event
from tests.system.lambda_runtime import FunctionError, LambdaProcess, lambda_process

SWEEP = "functions.aws.sweep.handler"
# Lambda's limit.
LARGEST_EVENT = 6 * 1024 * 1024
# In seconds. It includes the start of a function, on a busy machine too.
SHORT_LIMIT = 12

on_lambda = pytest.mark.parametrize("host", ["lambda-runtime"], indirect=True)


def event_of(deployment: Deployment, kind: str, call: Call) -> Event:
    request = call.build(deployment.running.base_url)
    request.read()
    return HTTP_EVENTS[kind](request)


def asked(deployment: Deployment, process: LambdaProcess, target: str) -> httpx.Response:
    call = Call(method="GET", target=target, headers=(deployment.key,))
    return response_of(process(event_of(deployment, "Function URL", call)))


# --- which kinds of event carry the contract


def test_every_kind_of_event_carries_a_fifth_of_the_requests() -> None:
    make_event = EveryKind()
    for _ in range(100):
        make_event(Call(method="GET", target="/api/token?connection=a").build("https://lambda"))
    assert make_event.made == dict.fromkeys(HTTP_EVENTS, 20)


@pytest.mark.parametrize(
    ("call", "unable"),
    [
        (Call(method="GET", target="/?a=1&a=1"), {"load balancer, single values"}),
        (
            Call(method="GET", target="/", headers=(("x-a", "1"), ("X-A", "2"))),
            {"load balancer, single values"},
        ),
        (Call(method="GET", target="/?a=%ff"), {"REST API"}),
    ],
    ids=["name twice", "header twice", "no text"],
)
def test_request_that_does_not_fit_a_kind_comes_as_another(call: Call, unable: set[str]) -> None:
    make_event = EveryKind()
    for _ in range(20):
        make_event(call.build("https://lambda"))
    assert make_event.made.keys() == HTTP_EVENTS.keys() - unable


# --- other events


@pytest.fixture(scope="module")
def unset() -> Iterator[LambdaProcess]:
    """The function behind HTTP without any settings: it answers 500 to every request."""
    with lambda_process(lambda_artifact(), HANDLER, {}) as process:
        yield process


NO_JSON = {
    "nothing": b"",
    "half of it": b'{"version": "2.0", "headers": {"x-api-key": "not-a-real-key"',
    "not UTF-8": b'{"version": "\xff"}',
    "a page": b"<html></html>",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("payload", NO_JSON.values(), ids=NO_JSON)
def test_other_payload_than_json_never_reaches_the_handler(
    unset: LambdaProcess, payload: bytes
) -> None:
    with pytest.raises(FunctionError, match="Unable to unmarshal input") as raised:
        unset.invoke(payload)
    assert raised.value.kind == "Runtime.UnmarshalError"
    assert "not-a-real-key" not in unset.log()


@pytest.mark.parametrize(
    "event",
    [None, {}, [], "GET /api/token", scheduler_event(), {"Records": [{"body": "not-a-real-key"}]}],
    ids=["null", "empty", "a list", "a text", "a schedule's", "a queue's"],
)
def test_event_that_is_not_a_request_is_an_error_that_lambda_names(
    unset: LambdaProcess, event: object
) -> None:
    with pytest.raises(FunctionError, match="not an event of HTTP API") as raised:
        unset(event)
    assert raised.value.kind == "UnknownEventError"
    assert "not-a-real-key" not in unset.log()


def test_module_that_cannot_be_imported_is_an_error_of_the_start() -> None:
    with (
        lambda_process(lambda_artifact(), "functions.aws.nothing.handler", {}) as process,
        pytest.raises(FunctionError) as raised,
    ):
        process(scheduler_event())
    assert raised.value.kind == "Runtime.ImportModuleError"


@on_lambda
def test_largest_event_of_each_kind_is_too_large(deployment: Deployment) -> None:
    call = Call(method="POST", target="/api/login", headers=(deployment.key,))
    with lambda_process(lambda_artifact(), HANDLER, deployment.environ) as process:
        for kind, is_base64 in product(HTTP_EVENTS, (False, True)):
            event = event_of(deployment, kind, call)
            length = (LARGEST_EVENT - len(json.dumps(event)) - 100) // 4 * 4
            event |= {"body": "A" * length, "isBase64Encoded": is_base64}
            expect_problem(response_of(process(event)), 413, "invalid-request")


# --- a function that is ended


@on_lambda
def test_function_that_takes_too_long_is_ended_and_the_next_one_reports_the_refresh(
    scripted: Deployment, endpoint: TokenEndpoint, connection: str
) -> None:
    scripted.put(connection, over())
    target = at("/api/token", connection=connection)
    with lambda_process(
        lambda_artifact(), HANDLER, scripted.environ, time_limit=SHORT_LIMIT
    ) as process:
        assert asked(scripted, process, "/api/health").status_code == httpx.codes.OK
        endpoint.plan(None)
        with endpoint.held(), pytest.raises(FunctionError, match="Task timed out") as raised:
            asked(scripted, process, target)
        assert raised.value.kind == "Sandbox.Timedout"
        # The next process knows that a request was sent.
        assert isinstance(scripted.grant(connection), Refreshing)
        verified = asked(scripted, process, at("/api/verify", connection=connection))
        assert expect_json(verified, 202)["last_refresh"]["outcome"] == "in-progress"
        assert len(endpoint.seen) == 1

        scripted.age(connection, by=2 * MINUTE)
        assert expect_token(asked(scripted, process, target)) == endpoint.given[0]["access_token"]
        assert process.log().count("INIT RTDONE(status: success)") == 2


# --- the scheduled sweep


@on_lambda
def test_scheduled_sweep_raises_an_error_that_lambda_names_and_does_the_rest(
    deploy: Deploy,
) -> None:
    deployment = deploy(CRON_SECRET=None)
    idle(deployment, "a")
    idle(deployment, "b")
    spoil(deployment, "b")
    deployment.log_in("not-due")
    nothing = {"refreshed": 0, "skipped": 0, "failed": 0, "left": 0, "is_complete": True}
    with lambda_process(lambda_artifact(), SWEEP, deployment.environ) as process:
        with pytest.raises(FunctionError, match="refreshed: 1, skipped: 0, failed: 1") as raised:
            process(scheduler_event())
        assert raised.value.kind == "SweepFailedError"
        # The rest needs a person, and AWS must not repeat the event for ever.
        assert process(scheduler_event()) == nothing
        assert (
            "swept: refreshed: 0, skipped: 0, failed: 0, left: 0, is_complete: True"
            in process.log()
        )
        for name in ("CLIENT_SECRET", "API_KEY"):
            assert deployment.environ[name] not in process.log(), name
    assert [deployment.tokens(name).generation for name in ("a", "not-due")] == [1, 0]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"CLIENT_ID": ""}, "not configured: CLIENT_ID"),
        ({"DYNAMODB_TABLE": "no-such-table"}, "the store is not available"),
    ],
    ids=["settings", "store"],
)
@on_lambda
def test_impossible_sweep_is_an_error_that_lambda_names(
    deployment: Deployment, changes: dict[str, str], cause: str
) -> None:
    with (
        lambda_process(lambda_artifact(), SWEEP, {**deployment.environ, **changes}) as process,
        pytest.raises(FunctionError, match=cause) as raised,
    ):
        process(scheduler_event())
    assert raised.value.kind == "SweepFailedError"

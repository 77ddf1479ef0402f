"""The stack as it is created: a login and what follows by its Function URL, the schedule, rights.

`tests/infra/test_aws_template.py` asserts on the template what the imitation does not do: time to
live, point-in-time recovery, the rights of the scheduler, alarms.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.grant import Authorized
from functions.aws.settings import FAULT_FOR
from functions.settings.settings import Settings
from functions.wiring import Wiring
from ports.rescue import RescuedRecord
from tests.domain.examples import TOKENS
from tests.functions.expect import expect_json, expect_page, expect_problem
from tests.infra.aws_template import BUCKET, KEY, native
from tests.records import record_of
from tests.system.aws_page import CHECK, DOCTOR, LOG_IN, RECOVER, fill_secret, operate, shell
from tests.system.aws_stack import Stack, aws_stack
from tests.system.dynamodb_peer import TABLE
from tests.system.lambda_events import scheduler_event
from tests.system.loopback import http
from tests.system.simulated_digikey import SimulatedDigiKeyPeer, simulated_digikey
from tests.system.waiting import wait_until

# The answers of `verify`.
ACCEPTED, NOT_FOUND = 202, 404
YEAR = 365.0 * 86_400
ALERT_TOPIC = "arn:aws:sns:eu-central-1:000000000000:alerts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A stack whose secret has been put, and the provider that it asks."""

    stack: Stack
    provider: SimulatedDigiKeyPeer
    api_key: str = field(repr=False)

    def ask(self, method: str, path: str) -> httpx.Response:
        headers = {"x-api-key": self.api_key}
        return http.request(method, f"{self.stack.public_url}/api/{path}", headers=headers)

    def log_in(self, connection: str, **lifetimes: float) -> None:
        """Log in as a person does, for tokens that live so long."""
        self.provider.set_lifetimes(**lifetimes)
        begun = expect_json(self.ask("POST", f"login?connection={connection}"))
        callback = self.provider.allow(begun["authorization_url"])
        expect_page(http.get(callback, headers={"accept": "text/html"}))
        self.provider.set_lifetimes(access_token=1800, refresh_token=7_776_000)

    def outlive_access_token(self, connection: str) -> None:
        """Wait until it is over, and the refresh token is not."""
        path = f"verify?connection={connection}"
        wait_until(lambda: self.ask("GET", path).status_code == ACCEPTED, every=0.5)

    def due_at(self, connection: str) -> float:
        """Return the time of the connection's next sweep, in seconds since the epoch."""
        key = {"id": {"S": f"grant#{connection}"}}
        table = self.stack.client("dynamodb")
        found = table.get_item(TableName=self.stack.outputs["TableName"], Key=key)["Item"]
        return float(found["due_at"]["N"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack just after its deployment, until a test asks for more."""
    parameters = {
        "AlarmEmail": "somebody@example.org",
        "AlertTopicArn": ALERT_TOPIC,
        "AlertSender": "example.org",
    }
    with aws_stack(Provider="custom", **parameters) as stack:
        yield stack


@pytest.fixture(scope="module")
def deployment(stack: Stack) -> Iterator[Deployment]:
    redirect_uri = f"{stack.public_url}/api/callback"
    with simulated_digikey(redirect_uri=redirect_uri) as provider:
        api_key = fill_secret(
            stack,
            {
                "CLIENT_ID": provider.client_id,
                "CLIENT_SECRET": provider.client_secret,
                "AUTHORIZATION_ENDPOINT": provider.authorization_endpoint,
                "TOKEN_ENDPOINT": provider.token_endpoint,
                "ROTATION": "always",
                "ALERTS": [{"kind": "sns", "topic_arn": stack.outputs["AlarmTopic"]}],
            },
        )
        deployment = Deployment(stack=stack, provider=provider, api_key=api_key)
        # An instance remembers for so long that its secret was empty. Asking it meanwhile would
        # only keep the machine busy.
        time.sleep(FAULT_FOR.total_seconds())
        wait_until(lambda: deployment.ask("GET", "verify").status_code == NOT_FOUND, every=1)
        yield deployment


def test_every_resource_of_the_template_is_created(stack: Stack) -> None:
    wanted = {
        name
        for name, resource in json.loads(native())["Resources"].items()
        if resource.get("Condition") not in {"HasOwnKey", "IsTraced"}
    }
    assert set(stack.resources) == wanted


def test_a_stack_without_its_secret_s_value_is_up_and_reports_how_to_put_it(stack: Stack) -> None:
    assert http.get(f"{stack.public_url}/api/health").is_success
    answer = http.get(f"{stack.public_url}/api/token")
    assert (
        "aws secretsmanager put-secret-value"
        in expect_problem(answer, 500, "not-configured")["detail"]
    )


def test_a_sweep_that_fails_is_tried_three_times_and_set_aside(stack: Stack) -> None:
    event = scheduler_event()
    stack.client("lambda").invoke(
        FunctionName=stack.outputs["SweepFunction"],
        InvocationType="Event",
        Payload=json.dumps(event),
    )
    told = json.loads(next_message(stack, stack.resources["FailedSweeps"]))
    assert told["requestPayload"] == event
    assert told["requestContext"]["approximateInvokeCount"] == 3
    assert "not configured" in told["responsePayload"]["errorMessage"]
    assert log_of(stack, "Sweep").count("SweepFailedError: not configured") == 3


def next_message(stack: Stack, url: str) -> str:
    """Wait for a message of a queue; return its body."""
    queue = stack.client("sqs")
    found: list[Any] = []

    def look() -> bool:
        answer = queue.receive_message(QueueUrl=url)
        found.extend(answer.get("Messages", []))
        return bool(found)

    wait_until(look, every=0.5)
    text: str = found[0]["Body"]
    return text


def test_a_login_a_token_and_a_refresh_by_the_function_url(deployment: Deployment) -> None:
    expect_problem(deployment.ask("GET", "token?connection=url"), 401, "authorization-required")
    deployment.log_in("url", access_token=5)
    first = expect_json(deployment.ask("GET", "token?connection=url"))["access_token"]
    deployment.outlive_access_token("url")
    token = expect_json(deployment.ask("GET", "token?connection=url"))["access_token"]
    assert token != first
    assert deployment.provider.accepts(token)
    assert expect_json(deployment.ask("GET", "verify?connection=url"))["state"] == "fresh"
    assert expect_json(deployment.ask("POST", "refresh?connection=url"))["state"] == "fresh"


def test_the_page_s_last_steps_lead_to_a_token(deployment: Deployment) -> None:
    environ = {"API_KEY": deployment.api_key, "PUBLIC_URL": deployment.stack.public_url}
    authorization_url = json.loads(shell(LOG_IN, environ))["authorization_url"]
    callback = deployment.provider.allow(authorization_url)
    expect_page(http.get(callback, headers={"accept": "text/html"}))
    verified, token = map(json.loads, shell(CHECK, environ).replace("}{", "}\n{").splitlines())
    assert verified["state"] == "fresh"
    assert deployment.provider.accepts(token["access_token"])


def test_nobody_is_let_in_without_the_key(deployment: Deployment) -> None:
    url = f"{deployment.stack.public_url}/api/token"
    expect_problem(http.get(url), 401, "api-key-missing")


def test_the_schedule_has_the_sweep_refresh_what_is_due(deployment: Deployment) -> None:
    # Due after a third of its life. The access token has expired by then, as in reality. A slow
    # machine needs the rest.
    deployment.log_in("idle", access_token=5, refresh_token=90)
    due = deployment.due_at("idle")
    deployment.outlive_access_token("idle")
    wait_until(lambda: time.time() > due, every=0.5)
    let_it_be_time(deployment.stack)
    path = "verify?connection=idle"
    # Not its state, because the access token is fresh for 5 s only.
    wait_until(lambda: deployment.ask("GET", path).json().get("generation") == 1, every=0.5)
    assert deployment.due_at("idle") > due


def let_it_be_time(stack: Stack) -> None:
    """Give the target of the schedule another one, which is for now."""
    schedules = stack.client("scheduler")
    schedule = schedules.get_schedule(Name=stack.resources["SweepDaily"])
    schedules.create_schedule(
        Name="now",
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
    )


def test_a_lost_login_is_in_the_log_for_an_alarm_and_an_alert_on_the_topic(
    deployment: Deployment,
) -> None:
    queue = subscribed(deployment.stack)
    deployment.log_in("ended", access_token=5)
    deployment.outlive_access_token("ended")
    # The refresh token has expired by the provider's clock, and not by ours.
    deployment.provider.shift_clock(YEAR)
    answer = deployment.ask("GET", "token?connection=ended")
    deployment.provider.shift_clock(-YEAR)
    expect_problem(answer, 401, "authorization-required")
    log = log_of(deployment.stack, "Api")
    assert "connection ended: a person has to log in" in log
    assert "connection ended: alert connection.login-needed: delivered to sns" in log
    alert = json.loads(next_message(deployment.stack, queue))
    assert alert["MessageAttributes"]["type"]["Value"] == "connection.login-needed"
    assert f"{deployment.stack.public_url}/api/login?link=" in alert["Message"]


def subscribed(stack: Stack) -> str:
    """Return the URL of a queue that subscribes to the topic of the alarms."""
    arn, topic = "arn:aws:sqs:eu-central-1:000000000000:of-alerts", stack.outputs["AlarmTopic"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    created = stack.client("sqs").create_queue(QueueName="of-alerts", Attributes={"Policy": policy})
    url: str = created["QueueUrl"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def test_the_page_s_doctor_and_recovery_have_the_environment_of_the_functions(
    deployment: Deployment, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wiring = Wiring(Settings.from_environ(variables(deployment.stack, tmp_path)))
    record = record_of(Authorized(tokens=TOKENS), "rescued")
    for function in ("Api", "Sweep"):
        rescued = RescuedRecord(connection=f"of-{function}", expected_etag=None, record=record)
        wiring.rescue.emit(rescued)
        log(deployment.stack, function, caplog.messages[-1])
    printed = operate(deployment.stack, f"{DOCTOR}\n{RECOVER}").splitlines()
    same_store = "same store: a login that was started there is in this environment's store"
    assert f"ok       {same_store}" in printed
    assert any(line.startswith("ok       PROVIDER: custom, ") for line in printed)
    assert {"of-Api: applied", "of-Sweep: applied"} <= set(printed)


def variables(stack: Stack, folder: Path) -> dict[str, str]:
    """Return the environment of the functions, with another store."""
    secrets = stack.client("secretsmanager")
    secret = secrets.get_secret_value(SecretId=stack.outputs["SecretId"])["SecretString"]
    return {**json.loads(secret), "PROVIDER": "custom", "SQLITE_PATH": str(folder / "none")}


def log(stack: Stack, function: str, message: str) -> None:
    """Put a line into the log of a function."""
    logs, stream = stack.client("logs"), "of-a-test"
    group = stack.resources[f"{function}Logs"]
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    event = {"timestamp": int(time.time() * 1000), "message": message}
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])


def log_of(stack: Stack, function: str) -> str:
    """Return what a function has logged where the template says that it should."""
    group = stack.resources[f"{function}Logs"]
    events = stack.client("logs").filter_log_events(logGroupName=group)["events"]
    return "\n".join(event["message"] for event in events)


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        ("ApiRole", {"get_item", "put_item", "update_item"}),
        # Scan and update: for the records of an earlier version.
        ("SweepRole", {"get_item", "put_item", "query", "scan", "update_item"}),
    ],
)
def test_a_role_may_do_to_the_table_what_its_function_does_and_nothing_else(
    stack: Stack, role: str, granted: set[str]
) -> None:
    key = {"id": {"S": "grant#probe"}}
    due = {
        "KeyConditionExpression": "agenda = :agenda",
        "ExpressionAttributeValues": {":agenda": {"S": "refresh"}},
    }
    tried: dict[str, dict[str, object]] = {
        "get_item": {"Key": key},
        "put_item": {"Item": key},
        "update_item": {"Key": key},
        "query": {"IndexName": "due", **due},
        "scan": {},
        "delete_item": {"Key": key},
        "describe_table": {},
        "update_time_to_live": {
            "TimeToLiveSpecification": {"Enabled": False, "AttributeName": "delete_after"}
        },
        "update_table": {"DeletionProtectionEnabled": False},
        "delete_table": {},
    }
    table = stack.outputs["TableName"]
    told = {
        operation: stack.probe(role, "dynamodb", operation, TableName=table, **arguments)
        for operation, arguments in tried.items()
    }
    assert {operation for operation, code in told.items() if code == "done"} == granted
    assert {told[operation] for operation in set(tried) - granted} == {"AccessDeniedException"}


@pytest.mark.parametrize("role", ["ApiRole", "SweepRole"])
def test_a_role_may_do_nothing_elsewhere(deployment: Deployment, role: str) -> None:
    stack = deployment.stack
    secret, other = stack.outputs["SecretId"], new_secret(stack, f"other-{role}")
    key, table = {"id": {"S": "grant#probe"}}, new_table(stack, f"other-{role}")
    assert stack.probe(role, "secretsmanager", "get_secret_value", SecretId=secret) == "done"
    refused = [
        stack.probe(role, "secretsmanager", "get_secret_value", SecretId=other),
        stack.probe(role, "secretsmanager", "put_secret_value", SecretId=secret, SecretString="{}"),
        stack.probe(role, "secretsmanager", "delete_secret", SecretId=secret),
        stack.probe(role, "secretsmanager", "list_secrets"),
        stack.probe(role, "dynamodb", "get_item", TableName=table, Key=key),
        stack.probe(role, "dynamodb", "put_item", TableName=table, Item=key),
        stack.probe(role, "dynamodb", "list_tables"),
        stack.probe(role, "lambda", "invoke", FunctionName=stack.outputs["SweepFunction"]),
        stack.probe(role, "logs", "describe_log_groups"),
        stack.probe(role, "iam", "create_user", UserName="somebody"),
        stack.probe(role, "s3", "get_object", Bucket=BUCKET, Key=KEY),
    ]
    assert {code.removesuffix("Exception") for code in refused} == {"AccessDenied"}


@pytest.mark.parametrize("role", ["ApiRole", "SweepRole"])
def test_a_role_may_send_alerts_by_the_topics_of_the_stack_only(stack: Stack, role: str) -> None:
    topics = stack.client("sns")
    mine, other = (
        topics.create_topic(Name=name)["TopicArn"] for name in ("alerts", f"other-{role}")
    )
    assert mine == ALERT_TOPIC
    told = [
        stack.probe(role, "sns", "publish", TopicArn=topic, Message="an alert")
        for topic in (stack.outputs["AlarmTopic"], mine, other)
    ]
    assert told == ["done", "done", "AuthorizationError"]


def new_table(stack: Stack, name: str) -> str:
    stack.client("dynamodb").create_table(TableName=name, **TABLE)
    return name


def new_secret(stack: Stack, name: str) -> str:
    stack.client("secretsmanager").create_secret(Name=name, SecretString="{}")
    return name

"""The stack's template agrees with the code."""

import ast
import asyncio
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from adapters import dynamodb_agenda, dynamodb_listing, store_dynamodb
from adapters.rescue_log import RescueLog
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from domain.grant import Authorized
from domain.providers.digikey_sandbox import PROVIDER as DIGIKEY_SANDBOX
from domain.token_endpoint import Outcome, TokenErrorResponse
from functions.settings.presets import NAME
from functions.settings.settings import Settings
from functions.settings.store import DynamoDbSettings
from infra.aws.check import TEMPLATE
from ports.rescue import RescuedRecord
from tests.domain.examples import TOKENS
from tests.functions.keeper_rig import EXPIRED, KeeperRig
from tests.infra.aws_template import resources
from tests.presets import NAMES
from tests.records import record_of
from tests.system.dynamodb_peer import TABLE

# The calls of the store by the functions: the HTTP endpoints, and the sweep.
CALLED = {
    "ApiRole": {"load", "swap", "put_login", "take_login", "count", "_query_names", "_get_items"},
    "SweepRole": {
        *("load", "swap", "_fill", "_query_names", "_get_items"),
        # Once, for the records of an earlier version.
        *("complete", "_enter_one", "_move"),
    },
}
_MODULES = (store_dynamodb, dynamodb_agenda, dynamodb_listing)
INDEXES = {"ApiRole": ["listing"], "SweepRole": ["due", "listing"]}
# Further calls by the operators' commands, with the rights of the operator.
OPERATORS = {"connections"}


def statements(role: str) -> list[dict[str, Any]]:
    policies = resources("IAM::Role")[role]["Policies"]
    return [one for policy in policies for one in policy["PolicyDocument"]["Statement"]]


def allowed(role: str) -> dict[str, list[object]]:
    """The resources of each action that a role has."""
    found: dict[str, list[object]] = {}
    for statement in statements(role):
        for action in _listed(statement["Action"]):
            found.setdefault(action, []).append(statement["Resource"])
    return found


def _listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def operations() -> dict[str, set[str]]:
    """The operations of DynamoDB that each method of the store calls, as its source says."""
    client = botocore.session.Session().create_client("dynamodb", region_name="eu-central-1")
    names: Mapping[str, str] = client.meta.method_to_api_mapping
    sources = [inspect.getsource(module) for module in _MODULES]
    found: dict[str, set[str]] = {}
    for source in sources:
        for method in ast.walk(ast.parse(source)):
            if isinstance(method, ast.AsyncFunctionDef):
                calls = {f"dynamodb:{names[name]}" for name in _called(method)}
                found.setdefault(method.name, set()).update(calls)
    return found


def _called(method: ast.AsyncFunctionDef) -> Iterator[str]:
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Attribute(attr="call"), args=[ast.Constant(value=str(name))]):
                yield name
            case _:
                pass


def test_the_table_is_the_one_that_the_store_is_tested_with() -> None:
    table = resources("DynamoDB::Table")["Table"]
    assert {name: table[name] for name in TABLE} == TABLE
    assert set(table) - set(TABLE) == {
        "DeletionProtectionEnabled",
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "TimeToLiveSpecification",
    }


def test_the_table_forgets_logins_and_keeps_all_else() -> None:
    table = resources("DynamoDB::Table")["Table"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "delete_after", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("role", CALLED)
def test_a_role_is_allowed_what_its_function_calls_and_nothing_else(role: str) -> None:
    table = {"Fn::GetAtt": ["Table", "Arn"]}
    calls = {call for method in CALLED[role] for call in operations()[method]}
    of_table = {action: on for action, on in allowed(role).items() if action.startswith("dynamo")}
    indexes = [{"Fn::Sub": f"${{Table.Arn}}/index/{name}"} for name in INDEXES[role]]
    assert of_table == {call: indexes if call == "dynamodb:Query" else [table] for call in calls}


def test_every_operation_of_the_store_is_somebodys() -> None:
    methods = {name for name, calls in operations().items() if calls}
    assert methods == set.union(OPERATORS, *CALLED.values())


def test_the_roles_have_nothing_but_table_secret_and_log() -> None:
    api, sweep = ({**allowed(role)} for role in CALLED)
    assert {action for action in api if not action.startswith("dynamodb:")} == {
        "secretsmanager:GetSecretValue",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }
    assert api["secretsmanager:GetSecretValue"] == [{"Fn::GetAtt": ["Secret", "Id"]}]
    # The public function cannot read the whole table at once.
    assert set(sweep) - set(api) == {"dynamodb:Scan", "sqs:SendMessage"}
    assert sweep["sqs:SendMessage"] == [{"Fn::GetAtt": ["FailedSweeps", "Arn"]}]
    assert set(allowed("ScheduleRole")) == {"lambda:InvokeFunction", "sqs:SendMessage"}


def test_parameters_let_both_roles_send_alerts_to_one_place_each() -> None:
    rights = {
        name: (policy["Roles"], policy["PolicyDocument"]["Statement"])
        for name, policy in resources("IAM::ManagedPolicy").items()
        if name.startswith("Alerts")
    }
    identity = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${AlertSender}"
    places = {
        "AlertsToAlarms": ("sns:Publish", {"Ref": "Alarms"}),
        "AlertsToTopic": ("sns:Publish", {"Ref": "AlertTopicArn"}),
        "AlertsByMail": ("ses:SendEmail", {"Fn::Sub": identity}),
    }
    both = [{"Ref": "ApiRole"}, {"Ref": "SweepRole"}]
    assert rights == {
        name: (both, [{"Effect": "Allow", "Action": action, "Resource": place}])
        for name, (action, place) in places.items()
    }


def test_the_variables_of_the_functions_name_the_store_and_no_secret() -> None:
    for function in resources("Lambda::Function").values():
        assert function["Environment"]["Variables"] == {
            "DYNAMODB_TABLE": {"Ref": "Table"},
            "SECRET_ID": {"Fn::GetAtt": ["Secret", "Id"]},
            "PROVIDER": {"Ref": "Provider"},
        }


def test_the_functions_are_those_of_the_artifact() -> None:
    functions = resources("Lambda::Function")
    assert set(functions) == {"Api", "Sweep"}
    for function in functions.values():
        module, _, name = function["Handler"].rpartition(".")
        spec = find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        assert re.search(rf"^{name} = ", Path(spec.origin).read_text(), re.MULTILINE)
        assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
        assert function["Timeout"] == 300


def test_the_sweep_comes_daily_and_is_set_aside_where_it_fails() -> None:
    queue = {"Arn": {"Fn::GetAtt": ["FailedSweeps", "Arn"]}}
    (schedule,) = resources("Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "cron(0 5 * * ? *)"
    assert schedule["Target"]["Arn"] == {"Fn::GetAtt": ["Sweep", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"] == queue
    assert schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"] > 0
    (retries,) = resources("Lambda::EventInvokeConfig").values()
    assert (retries["FunctionName"], retries["MaximumRetryAttempts"]) == ({"Ref": "Sweep"}, 2)
    assert retries["DestinationConfig"]["OnFailure"]["Destination"] == queue["Arn"]


def test_the_stack_accepts_the_names_that_presets_can_have() -> None:
    [pattern] = re.findall(r"Provider:\n(?: .*\n)*? +AllowedPattern: (.*)", TEMPLATE.read_text())
    assert pattern == f"^{NAME.pattern}$"
    assert [name for name in NAMES if not NAME.fullmatch(name)] == []


def test_every_setting_that_the_template_gives_is_taken() -> None:
    template = resources("Lambda::Function")["Api"]["Environment"]["Variables"]
    secret = {
        "CLIENT_ID": "c",
        "CLIENT_SECRET": "not-a-real-secret",
        "API_KEY": "the-api-key-of-this-test",
    }
    # A name that both a table and a provider can have.
    environ = {**secret, **dict.fromkeys(template, "digikey-sandbox"), "AWS_REGION": "eu-central-1"}
    settings = Settings.from_environ(environ)
    assert settings.clients.get(None).provider == DIGIKEY_SANDBOX
    assert settings.store == DynamoDbSettings(table="digikey-sandbox", region="eu-central-1")


def test_alarms_are_set_on_lines_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    filters = resources("Logs::MetricFilter").values()
    patterns = {
        (filter_["MetricTransformations"][0]["MetricName"], json.loads(filter_["FilterPattern"]))
        for filter_ in filters
    }
    assert len(patterns) == 3
    for name, happens in (
        ("LoginNeeded", refused()),
        ("NotStored", rescued()),
        ("RolledBack", rolled_back()),
    ):
        caplog.clear()
        asyncio.run(happens)
        assert len([line for line in caplog.messages if dict(patterns)[name] in line]) == 1


async def refused() -> None:
    async def refuse() -> Outcome:
        return TokenErrorResponse(status=400, error="invalid_grant")

    rig = KeeperRig(refuse)
    await rig.keep(EXPIRED)
    await rig.instance().refresh("c")


async def rescued() -> None:
    record = record_of(Authorized(tokens=TOKENS), "rescued")
    log = RescueLog(SealedRecords(KeyRing([bytes(32)])))
    log.emit(RescuedRecord(connection="c", expected_etag="intent", record=record))


async def rolled_back() -> None:
    rig = KeeperRig()
    keeper = rig.instance()
    older = await rig.write(Authorized(tokens=TOKENS))
    newer = await rig.write(older.grant)
    await keeper.load("c")
    await rig.store.swap("c", older, expected_etag=newer.etag)
    await keeper.load("c")


def test_each_function_s_log_has_each_alarm_s_filter() -> None:
    filters = resources("Logs::MetricFilter").values()
    found = {
        (filter_["LogGroupName"]["Ref"], filter_["MetricTransformations"][0]["MetricName"])
        for filter_ in filters
    }
    logs = {function["LoggingConfig"]["LogGroup"]["Ref"] for function in functions()}
    metrics = ("LoginNeeded", "NotStored", "RolledBack")
    assert found == {(log, metric) for log in logs for metric in metrics}
    assert len(filters) == len(found)


def functions() -> list[dict[str, Any]]:
    return list(resources("Lambda::Function").values())


def test_there_is_an_alarm_for_each_way_to_fail() -> None:
    watched = {
        (alarm["Namespace"], alarm["MetricName"], json.dumps(alarm.get("Dimensions")))
        if isinstance(alarm["Namespace"], str)
        else ("ours", alarm["MetricName"], "null")
        for alarm in resources("CloudWatch::Alarm").values()
    }
    of = {
        name: json.dumps([{"Name": "FunctionName", "Value": {"Ref": name}}])
        for name in resources("Lambda::Function")
    }
    queue = {"Fn::GetAtt": ["FailedSweeps", "QueueName"]}
    assert watched == {
        *(("AWS/Lambda", metric, on) for metric in ("Errors", "Throttles") for on in of.values()),
        ("AWS/Lambda", "Invocations", of["Sweep"]),
        (
            "AWS/SQS",
            "ApproximateNumberOfMessagesVisible",
            json.dumps([{"Name": "QueueName", "Value": queue}]),
        ),
        ("ours", "LoginNeeded", "null"),
        ("ours", "NotStored", "null"),
        ("ours", "RolledBack", "null"),
    }

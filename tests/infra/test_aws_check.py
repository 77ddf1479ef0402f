"""Each fault that the tools are there for is found, where it is the only one."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from infra.aws.check import (
    RULES,
    TEMPLATE,
    Finding,
    ToolError,
    lint,
    run_checkov,
    run_guard,
    transform,
    validate,
)
from tests.infra.aws_template import BUCKET, KEY, native, require_tools

Change: TypeAlias = Callable[[Any], object]
Tool: TypeAlias = Callable[[Path], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One change to the transformed template, and the rule of ours that it breaks."""

    rule: str
    resource: str
    change: Change


def without(name: str) -> Change:
    return lambda resource: resource["Properties"].pop(name)


def having(name: str, value: object) -> Change:
    return lambda resource: resource["Properties"].update({name: value})


def being(name: str, value: object) -> Change:
    return lambda resource: resource.update({name: value})


def allowing(policy: int, **members: object) -> Change:
    """Change the first statement of a role's policy."""
    return lambda role: statement_of(role, policy).update(members)


def statement_of(role: Any, policy: int) -> dict[str, object]:
    statement: dict[str, object] = role["Properties"]["Policies"][policy]["PolicyDocument"][
        "Statement"
    ][0]
    return statement


FAULTS = [
    Fault("tables_forget_logins", "Table", without("TimeToLiveSpecification")),
    Fault(
        "tables_forget_logins",
        "Table",
        having("TimeToLiveSpecification", {"AttributeName": "due_at", "Enabled": True}),
    ),
    Fault("tables_can_be_restored", "Table", without("PointInTimeRecoverySpecification")),
    Fault(
        "tables_can_be_restored",
        "Table",
        having("PointInTimeRecoverySpecification", {"PointInTimeRecoveryEnabled": False}),
    ),
    Fault("tables_are_encrypted", "Table", without("SSESpecification")),
    Fault("tables_are_encrypted", "Table", having("SSESpecification", {"SSEEnabled": False})),
    Fault("tables_stay", "Table", being("DeletionPolicy", "Delete")),
    Fault("tables_stay", "Table", being("UpdateReplacePolicy", "Delete")),
    Fault("tables_stay", "Table", without("DeletionProtectionEnabled")),
    Fault("secrets_stay", "Secret", being("DeletionPolicy", "Delete")),
    Fault("secrets_stay", "Secret", being("UpdateReplacePolicy", "Delete")),
    Fault("secrets_are_not_in_the_template", "Secret", having("SecretString", "{}")),
    Fault("secrets_are_not_in_the_template", "Secret", having("GenerateSecretString", {})),
    Fault("statements_name_their_actions", "ApiRole", allowing(0, Action="dynamodb:*")),
    Fault("statements_name_their_actions", "SweepRole", allowing(0, Action=["dynamodb:Get*"])),
    Fault("statements_name_their_actions", "ApiRole", allowing(0, NotAction="dynamodb:Scan")),
    Fault("statements_name_their_resources", "ApiRole", allowing(0, Resource="*")),
    Fault("statements_name_their_resources", "SweepRole", allowing(1, Resource=["*"])),
    Fault(
        "statements_name_their_resources",
        "SweepRole",
        allowing(0, Resource={"Fn::Sub": "${Table.Arn}/index/*"}),
    ),
    Fault(
        "statements_name_their_resources",
        "SweepRole",
        allowing(0, Resource=[{"Fn::Sub": "${Table.Arn}/index/*"}]),
    ),
    Fault(
        "statements_name_their_resources",
        "OwnKey",
        lambda policy: policy["Properties"]["PolicyDocument"]["Statement"][0].update(Resource="*"),
    ),
    Fault(
        "statements_name_their_actions",
        "OwnKey",
        lambda policy: policy["Properties"]["PolicyDocument"]["Statement"][0].update(
            Action="kms:*"
        ),
    ),
    Fault("the_url_reads_no_whole_table", "ApiRole", allowing(0, Action="dynamodb:Scan")),
    Fault(
        "the_url_reads_no_whole_table",
        "ApiRole",
        allowing(0, Action=["dynamodb:GetItem", "dynamodb:Scan"]),
    ),
    Fault(
        "roles_have_no_rights_from_elsewhere",
        "ApiRole",
        having("ManagedPolicyArns", ["arn:aws:iam::aws:policy/AdministratorAccess"]),
    ),
    Fault("only_the_url_is_open", "AnybodyMayInvokeByUrl", without("InvokedViaFunctionUrl")),
    Fault("functions_can_store_what_came", "Api", having("Timeout", 30)),
    Fault("functions_log_where_logs_end", "Sweep", without("LoggingConfig")),
    Fault("functions_log_where_logs_end", "Api", having("LoggingConfig", {"LogFormat": "Text"})),
    Fault("logs_end", "ApiLogs", without("RetentionInDays")),
    Fault("queues_are_encrypted", "FailedSweeps", without("SqsManagedSseEnabled")),
    Fault("alarms_are_heard", "NoSweep", without("AlarmActions")),
]


def broken(found: Iterator[Finding]) -> set[str]:
    return {finding.rule for finding in found}


def planted(folder: Path, text: str) -> Path:
    path = folder / "template.json"
    path.write_text(text)
    return path


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.rule}-{fault.resource}")
def test_each_rule_finds_its_fault_and_no_other_does(tmp_path: Path, fault: Fault) -> None:
    template = json.loads(native())
    fault.change(template["Resources"][fault.resource])
    assert broken(run_guard(planted(tmp_path, json.dumps(template)))) == {fault.rule}


def test_each_rule_has_had_its_fault() -> None:
    rules = re.findall(r"^rule (\w+)", RULES.read_text(), re.MULTILINE)
    assert {fault.rule for fault in FAULTS} == set(rules)


def test_a_rule_that_finds_nothing_to_look_at_is_a_finding(tmp_path: Path) -> None:
    template = json.loads(native())
    del template["Resources"]["FailedSweeps"]
    path = planted(tmp_path, json.dumps(template))
    assert list(run_guard(path)) == [
        Finding("queues_are_encrypted", "the rule found nothing to look at")
    ]


def test_the_linter_finds_what_is_misspelt_once_it_is_transformed(tmp_path: Path) -> None:
    require_tools()
    text = TEMPLATE.read_text()
    misspelt = {
        "E1020": ("SECRET_ID: !GetAtt Secret.Id", "SECRET_ID: !Ref Secretly"),
        "W3037": ("[dynamodb:GetItem, dynamodb:PutItem]", "[dynamodb:GetItemz]"),
        "E1010": ("!GetAtt ApiLogs.Arn", "!GetAtt ApiLogs.ARN"),
    }
    for before, after in misspelt.values():
        assert text.count(before) == 1
        text = text.replace(before, after)
    assert broken(lint(planted(tmp_path, transform(text, bucket=BUCKET, key=KEY)))) == set(misspelt)


def test_sam_finds_what_it_cannot_transform(tmp_path: Path) -> None:
    require_tools()
    text = TEMPLATE.read_text().replace("AutoPublishAlias: live", "AutoPublishAlias: [live]")
    path = tmp_path / "template.yaml"
    path.write_text(text)
    assert broken(validate(path)) == {"sam"}


def test_checkov_finds_what_it_advises_against_and_what_was_skipped_for_no_reason(
    tmp_path: Path,
) -> None:
    template = json.loads(native())
    found: Mapping[str, Any] = template["Resources"]
    without("PointInTimeRecoverySpecification")(found["Table"])
    del found["ApiUrl"]["Metadata"]
    del found["FailedSweeps"]["Metadata"]["checkov"]["skip"][0]["comment"]
    path = planted(tmp_path, json.dumps(template))
    assert broken(run_checkov(path)) == {"CKV_AWS_28", "CKV_AWS_258", "CKV_AWS_27"}


@pytest.mark.parametrize("tool", [run_guard, run_checkov])
def test_a_template_that_a_tool_cannot_read_fails(tmp_path: Path, tool: Tool) -> None:
    require_tools()
    path = planted(tmp_path, "{")
    with suppress(ToolError):
        assert broken(tool(path))

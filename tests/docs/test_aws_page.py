"""docs/aws.md, except for its commands, which `tests/system/test_aws_stack.py` runs."""

import json
import re
import subprocess

import pytest

from infra.aws.check import ROOT
from tests.infra.aws_template import native, resources
from tests.system.aws_page import BUILD, BUILD_OTHERWISE, PAGE


@pytest.mark.parametrize("command", [*BUILD.splitlines(), BUILD_OTHERWISE])
def test_make_knows_the_commands_that_need_aws(command: str) -> None:
    subprocess.check_output(["bash", "-ec", f"{command.strip()} --dry-run"], cwd=ROOT)


def test_the_parameters_are_the_templates() -> None:
    named = set(re.findall(r"\b(\w+)=\S+", BUILD_OTHERWISE)) - {"ARGS"}
    later = set(re.findall(r"`(\w+)(?:=\w+)?` \(", PAGE))
    assert named | later == set(json.loads(native())["Parameters"])


def test_the_outputs_and_alarms_are_the_templates() -> None:
    outputs = set(re.findall(r"output (\w+)\)", PAGE))
    assert outputs <= set(json.loads(native())["Outputs"])
    assert len(resources("CloudWatch::Alarm")) == 9, "as the table of costs says"


def test_the_costs_add_up() -> None:
    rows = re.findall(r"^\| [\d,]+ \|(.*)\|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for row in rows:
        *parts, together, after_free = (float(cell) for cell in row.split("|"))
        assert round(sum(parts), 2) == together
        assert after_free < together

"""infra/prometheus: the rules fire when they should, and name metrics that there are."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.alerts.deployment import DeploymentStatus
from functions.endpoints.metric_families import (
    build_family,
    channel_families,
    connection_families,
    deployment_families,
)
from ports.metrics import MetricType
from tests.functions.grants import fresh
from tests.infra.promtool import promtool

FOLDER = Path(__file__).parents[2] / "infra" / "prometheus"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
SUFFIXES = {MetricType.GAUGE: "", MetricType.COUNTER: "_total", MetricType.INFO: "_info"}
NAME = re.compile(r"(?<!:)\boauth_callback_[a-z_]+\b(?!:)")
ALERT = re.compile(r"- alert: (\w+)")


def metric_names() -> set[str]:
    status = DeploymentStatus()
    families = (
        build_family(""),
        *connection_families([], fresh().tokens.issued_at),
        *deployment_families(status),
        *channel_families(status),
    )
    return {f"{family.name}{SUFFIXES[family.type]}" for family in families}


def expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_the_rules_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yaml", folder=FOLDER)


def test_every_alert_is_tested() -> None:
    alerts = set(ALERT.findall((FOLDER / "rules.yaml").read_text()))
    tested = (FOLDER / "rules_test.yaml").read_text()
    assert {
        alert for alert in alerts if f"alertname: {alert}\n        exp_alerts" in tested
    } == alerts


def test_the_configuration_is_one_of_prometheus(tmp_path: Path) -> None:
    folder = tmp_path / "prometheus"
    shutil.copytree(FOLDER, folder)
    (folder / "oauth-callback-key").write_text("an API key")
    assert "SUCCESS" in promtool("check", "config", "prometheus.yaml", folder=folder)


def test_every_expression_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    # A dashboard's variable is a pattern in a query.
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$job", ".*")}
        for number, expression in enumerate(expressions())
    ]
    groups = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.json").write_text(json.dumps(groups))
    assert "SUCCESS" in promtool("check", "rules", "rules.json", folder=tmp_path)


@pytest.mark.parametrize("name", ["rules.yaml", "rules_test.yaml", "dashboard.json"])
def test_every_metric_that_is_named_there_is(name: str) -> None:
    named = set(NAME.findall((FOLDER / name).read_text()))
    assert named
    assert named <= metric_names()


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    shown = set(NAME.findall((FOLDER / "dashboard.json").read_text()))
    alerts = set(NAME.findall((FOLDER / "rules.yaml").read_text()))
    assert metric_names() == shown | alerts


def test_the_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24

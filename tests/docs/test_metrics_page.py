"""docs/metrics.md: its commands run, and its tables match the code and the rules."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.docs.pages import ROOT, block, first_cells, page
from tests.docs.test_commands import log_in
from tests.infra.test_prometheus import ALERT, metric_names
from tests.system.local_server import LocalServer, local_server

PAGE = page("metrics.md")
FOLDER = ROOT / "infra" / "prometheus"
RULES = (FOLDER / "rules.yaml").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("metrics")) as running:
        log_in(running)
        yield running


def run(command: str, environ: Mapping[str, str]) -> str:
    variables = {**os.environ, **environ}
    return subprocess.check_output(["sh", "-c", command], cwd=ROOT, text=True, env=variables)


def test_the_key_of_the_page_is_for_metrics_only() -> None:
    command = block("sh", PAGE, having="keys new").replace(".venv/bin/python", sys.executable)
    entry = json.loads(run(f"{command.strip()} 2>&1 >/dev/null", {}).splitlines()[-1])
    assert entry["endpoints"] == ["metrics"]


def test_the_metrics_of_the_page_are_returned(server: LocalServer) -> None:
    variables = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
    text = run(block("sh", PAGE, having="curl"), variables)
    assert set(block("text", PAGE, having="# HELP").splitlines()) <= set(text.splitlines())
    assert list(text_string_to_metric_families(text))


def test_the_tables_list_every_metric_and_every_alert() -> None:
    listed = {f"oauth_callback_{name}" for name in first_cells("## The metrics", PAGE)}
    assert listed == metric_names()
    assert first_cells("## The alerts", PAGE) == ALERT.findall(RULES)


def test_the_job_of_the_page_is_the_one_of_the_example() -> None:
    lines = block("yaml", PAGE, having="job_name").splitlines()
    example = (FOLDER / "prometheus.yaml").read_text()
    assert "\n".join(f"  {line}" for line in lines) in example
    assert re.search(r"scrape_interval: 2m", example)

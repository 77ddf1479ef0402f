"""docs/http.md: its examples run unchanged, and its tables match the code."""

import re
from pathlib import Path

import pytest

from functions.asgi import ROUTES
from functions.endpoints.promises import OPERATIONS
from functions.http.problems import PROBLEMS
from tests.docs.conftest import let_expire
from tests.docs.pages import block, first_cells, page, run_python
from tests.system.local_server import LocalServer

PAGE = page("http.md")
# The page lists these once for all endpoints.
OF_ALL = {400, 408, 413, 414, 429, 431, 500, 503}


def test_the_endpoints_listed_are_the_ones_there_are() -> None:
    listed = {tuple(cell.split()) for cell in first_cells("## Endpoints", PAGE)}
    there = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert listed == {(method, path) for method, path in there if method != "HEAD"}


def test_the_statuses_of_each_endpoint_are_those_it_promises() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/api/\S+)` \| (.*) \| (.*)\|$", PAGE, re.MULTILINE)
    for method, path, success, problems in rows:
        operation = OPERATIONS[path][method]
        promised = {PROBLEMS[name][0].value for name in operation.problems}
        assert statuses(success) == set(operation.answers), path
        assert statuses(problems) - OF_ALL == promised - OF_ALL, path
    assert len(rows) == sum(map(len, OPERATIONS.values()))


def statuses(cell: str) -> set[int]:
    return {int(number) for number in re.findall(r"\b[2-5]\d\d\b", cell)}


def test_each_parameter_is_on_the_page() -> None:
    parameters = {
        parameter.name
        for methods in OPERATIONS.values()
        for operation in methods.values()
        for parameter in operation.parameters
        if not operation.open_parameters and parameter.name != "link"
    }
    assert [name for name in sorted(parameters) if f"{name}=" not in PAGE] == []


@pytest.fixture
def environ(logged_in: LocalServer) -> dict[str, str]:
    return {"API_KEY": logged_in.api_key, "PUBLIC_URL": logged_in.address}


def test_the_command_and_the_short_program_get_a_token(
    logged_in: LocalServer, environ: dict[str, str]
) -> None:
    curl = block("sh", PAGE, having="min_ttl")
    assert '"access_token"' in logged_in.shell(curl, environ)
    python = block("python", PAGE, having="httpx")
    token = run_python(f"{python}\nprint(access_token())", environ).strip()
    assert logged_in.token_works(token)


def test_the_step_of_a_job_waits_masks_a_token_and_hands_it_on(
    logged_in: LocalServer, environ: dict[str, str], tmp_path: Path
) -> None:
    let_expire(logged_in, fault="unavailable")
    yaml = block("yaml", PAGE, having="GITHUB_ENV")
    step = "\n".join(line.strip() for line in yaml.partition("  env:")[0].splitlines()[1:])
    handed_on = tmp_path / "env"
    job = {"GITHUB_ENV": str(handed_on), "RUNNER_TEMP": str(tmp_path)}
    said = logged_in.shell(step, environ | job)
    token = handed_on.read_text().removeprefix("ACCESS_TOKEN=").strip()
    assert logged_in.token_works(token)
    assert said == f"::add-mask::{token}\n"

"""The README: its commands are run as they stand, its tables compared with the code."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from domain.grant import Cause, Failure
from domain.ledger import OUTCOMES, Happening
from functions.asgi import ROUTES
from functions.http.problems import PROBLEMS, TYPE_PREFIX
from functions.settings.settings import Settings
from infra.local.digikey import DEFAULT_PREFIX
from tests.system.local_server import LocalServer, local_server
from tests.system.simulated_digikey import press

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PROBLEMS_PAGE = (ROOT / "docs/problems.md").read_text()
DOCUMENTS = [
    ROOT / name
    for name in subprocess.check_output(["git", "ls-files", "*.md"], cwd=ROOT, text=True).split()
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def first_cells(heading: str, text: str) -> list[str]:
    """The code words in the first column of the first table below a heading."""
    below = text.split(f"{heading}\n", 1)[1]
    table = re.search(r"(^\|.*\n)+", below, re.MULTILINE)
    assert table is not None
    rows = table.group().splitlines()[2:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with local_server(tmp_path_factory.mktemp("newcomer")) as running:
        yield running


def test_the_three_commands_lead_from_nothing_to_a_token(server: LocalServer) -> None:
    log_in, get_token, verify = (
        command
        for block in blocks("sh")
        for command in block.splitlines()
        if command.startswith("curl") and "localhost:8000" in command
    )
    assert '"status":401' in server.shell(get_token)
    authorization_url = re.search(r'"authorization_url":"([^"]+)"', server.shell(log_in))
    assert authorization_url is not None
    page = httpx.get(press(authorization_url.group(1), "allow"), headers={"accept": "text/html"})
    assert "Logged in" in page.text
    token = re.search(r'"access_token":"([^"]+)"', server.shell(get_token))
    assert token is not None
    assert server.token_works(token.group(1))
    assert '"state":"fresh"' in server.shell(verify)


def test_the_server_prints_the_same_three_commands(server: LocalServer) -> None:
    commands = re.findall(r"curl .*", server.greeting)
    documented = [
        line for block in blocks("sh") for line in block.splitlines() if "localhost:8000" in line
    ]
    there = [command.replace(server.address, "http://localhost:8000") for command in commands]
    assert there == [line for line in documented if line.startswith("curl")]


def test_the_shell_and_python_examples_give_a_token(server: LocalServer) -> None:
    environ = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
    (curl,) = (block for block in blocks("sh") if "min_ttl" in block)
    assert '"access_token"' in server.shell(curl, environ)
    (curl,) = (block for block in blocks("sh") if "history" in block)
    told = json.loads(server.shell(curl, environ))["history"]
    (example,) = blocks("json")
    assert list(told[-1]) == list(json.loads(f"{{{example}}}")["history"][-1])
    assert (told[-1]["event"], told[-1]["outcome"]) == ("login", "tokens")
    (python,) = (block for block in blocks("python") if "httpx" in block)
    token = run_python(f"{python}\nprint(access_token())", environ).strip()
    assert server.token_works(token)


def test_the_step_of_a_job_masks_a_token_and_hands_it_on(
    server: LocalServer, tmp_path: Path
) -> None:
    (yaml,) = blocks("yaml")
    steps = re.findall(r"^    (.*)\n", yaml.partition("  env:")[0], re.MULTILINE)
    handed_on = tmp_path / "env"
    environ = {"API_KEY": server.api_key, "PUBLIC_URL": server.address}
    said = server.shell("\n".join(steps), environ | {"GITHUB_ENV": str(handed_on)})
    token = handed_on.read_text().removeprefix("ACCESS_TOKEN=").strip()
    assert server.token_works(token)
    assert said == f"::add-mask::{token}\n"


def test_the_library_example_prints_what_it_says() -> None:
    (python,) = (block for block in blocks("python") if "decide(" in block)
    assert run_python(python, {}) == blocks("text")[-1]


def test_the_line_of_a_crontab_sweeps(server: LocalServer) -> None:
    (line,) = (block for block in blocks("text") if "curl" in block)
    command = " ".join(line.split()[5:])
    # The server of `make run` has no secret for it, and says so.
    answer = server.shell(command.replace("PUBLIC_URL", server.address), {})
    assert "CRON_SECRET is not set" in answer


def run_python(code: str, environ: Mapping[str, str]) -> str:
    return subprocess.check_output(
        [sys.executable, "-c", code], cwd=ROOT, text=True, env={**os.environ, **environ}
    )


def test_the_variables_listed_are_the_ones_that_are_read() -> None:
    read: set[str] = set()

    class Recording(dict[str, str]):
        def get(self, key: str, default: str = "") -> str:  # type: ignore[override]
            read.add(key)
            return super().get(key, default)

    key = "the-api-key-of-this-test"
    Settings.from_environ(Recording(CLIENT_ID="c", CLIENT_SECRET="s", API_KEY=key, SQLITE_PATH="x"))
    documented = set(first_cells("## Environment variables", README))
    # Set by the platform, not by the owner; and read on Lambda, for more of the others.
    assert read - {"VERCEL_PROJECT_PRODUCTION_URL"} == documented - {"SECRET_ID"}


def test_the_endpoints_listed_are_the_ones_there_are() -> None:
    listed = {tuple(cell.split()) for cell in first_cells("## HTTP", README)}
    there = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert listed == {(method, path) for method, path in there if method != "HEAD"}


def test_the_problems_listed_are_the_ones_there_are() -> None:
    assert sorted(first_cells("# Problems", PROBLEMS_PAGE)) == sorted(PROBLEMS)
    assert TYPE_PREFIX in PROBLEMS_PAGE
    assert first_cells("## Causes", PROBLEMS_PAGE) == [cause.value for cause in Cause]
    outcomes = first_cells("## Outcomes of a refresh", PROBLEMS_PAGE)
    assert outcomes == [failure.value for failure in Failure]
    assert first_cells("## History", PROBLEMS_PAGE) == [event.value for event in Happening]
    told = PROBLEMS_PAGE.split("## Outcomes of a refresh", 1)[1]
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in told] == []


def test_the_statuses_listed_are_the_ones_answered() -> None:
    for name, (status, _) in PROBLEMS.items():
        assert re.search(rf"\| `{name}` \| {status.value}", PROBLEMS_PAGE), name


def test_the_make_commands_named_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        command
        for document in DOCUMENTS
        for command in re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }
    assert named <= targets
    assert {"run", "test", "check"} <= named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_the_simulation_is_where_the_readme_says() -> None:
    assert f"http://localhost:8000{DEFAULT_PREFIX}/" in README

"""docs/recipes: its index, and the pages whose tools are quick. The others: `make recipes`."""

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from oauth_callback.shims.__main__ import PROGRAMS
from oauth_callback.testing import FakeKeeper
from tests.client.guarded_api import guarded_api
from tests.docs.pages import ROOT, block, blocks, page
from tests.needs import cannot_run
from tests.recipes.checks import CHECKS, NOT_HERE, TESTED
from tests.recipes.place import AbsentError, Place, place

INDEX = page("recipes/README.md")
PAGES = sorted((ROOT / "docs/recipes").glob("*.md"))


def test_index_lists_each_page_once() -> None:
    listed = re.findall(r"^\|.*\]\(([a-z0-9-]+\.md)\) \|$", INDEX, re.MULTILINE)
    assert sorted(listed) == [each.name for each in PAGES if each.name != "README.md"]


def test_each_page_names_the_effect_of_an_expiry_and_the_failures() -> None:
    texts = {each.name: each.read_text() for each in PAGES if each.name != "README.md"}
    assert [name for name, text in texts.items() if "t expiry" not in text] == []
    assert [name for name, text in texts.items() if "## Failures" not in text] == []


def test_each_tool_is_run_or_reported() -> None:
    reported = " ".join([*CHECKS, *TESTED, *NOT_HERE]).lower()
    words = {"api", "the", "and", "its", "forks", "shell", "clients", "in", "python"}
    tools = re.findall(r"^\| ([^|`]+?) \| [^|]+ \| \[", INDEX, re.MULTILINE)
    named = {word for tool in tools for word in re.findall(r"[\w-]+", tool.lower())} - words
    assert [name for name in sorted(named) if name not in reported] == []


def test_pages_start_each_shim() -> None:
    texts = " ".join(each.read_text() for each in PAGES).replace('", "', " ")
    assert [name for name in PROGRAMS if f"oauth_callback.shims {name} " not in texts] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_settings_of_the_pages_are_well_formed(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is missing: make test")
    text = path.read_text()
    for each in blocks("yaml", text):
        assert all(map(bool, yaml.safe_load_all(textwrap.dedent(each)))), each
    for each in blocks("json", text):
        assert json.loads(each)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A deployment after a login, and stand-ins."""
    with place(tmp_path_factory.mktemp("recipes")) as running:
        yield running


@pytest.mark.parametrize("name", ["curl", "git"])
def test_recipe_works(here: Place, name: str) -> None:
    try:
        CHECKS[name](here)
    except AbsentError as absent:
        cannot_run(f"{name} is missing: {absent}")


def test_mcp_client_of_the_page_lists_the_tools_of_a_server() -> None:
    pytest.importorskip("mcp", reason="mcp is missing: pip install -r infra/locks/dev.txt")
    program = block("python", page("recipes/mcp.md"), having="ClientSession")
    with FakeKeeper() as keeper, guarded_api("token-2") as api:
        # The first token is refused, and replaced.
        variables = {"MCP_URL": f"{api.url}/mcp", "PYTHONPATH": str(ROOT / "client/src")}
        printed = subprocess.check_output(
            [sys.executable, "-c", program],
            env={**os.environ, **keeper.environ, **variables},
            text=True,
        )
    assert "search" in printed
    assert [status for _, status in api.seen].count(401) == 1


def test_headers_of_claude_are_those_of_the_page(here: Place) -> None:
    command = re.search(r'"headersHelper": "([^"]+)"', page("recipes/mcp.md"))
    assert command is not None
    printed = here.shell(command[1].replace(" --connection CONNECTION", ""), prints_token=True)
    assert re.fullmatch(r'\{"Authorization": "Bearer [^"]+"\}\n', printed)

"""docs/page.md: its tables match the code, and its command prints a link that signs in."""

import re

from functions.endpoints.page.routes import PAGES
from functions.settings.api_keys import KEYED_ENDPOINTS
from tests.docs.pages import block, first_cells, page
from tests.functions.commands import run_admin
from tests.functions.conftest import Deploy
from tests.functions.endpoints.page.visitor import Visitor
from tests.functions.grants import fresh

PAGE = page("page.md")


def test_the_paths_listed_are_the_ones_there_are() -> None:
    listed = {tuple(cell.split()) for cell in first_cells("## Its paths", PAGE)}
    there = {(method, path or "/") for path, methods in PAGES.items() for method in methods}
    assert listed == {each for each in there if each[0] != "HEAD"}


def test_the_endpoints_named_are_the_ones_that_keys_have() -> None:
    rights = PAGE.partition("## What a key may do")[2].partition("## Its paths")[0]
    named = re.findall(r"^\| [^|]+ \| `([a-z]+)` \|", rights, re.MULTILINE)
    assert set(named) <= set(KEYED_ENDPOINTS)
    assert set(named) == {"connections", "verify", "token", "login", "refresh", "revoke"}


def test_the_states_and_buttons_are_those_of_the_page(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.put("works", fresh())
    command = block("sh", PAGE, having="page-link").split()
    status, link, error = run_admin(dict(deployment.environ), *command[3:])
    assert status == 0, error
    visitor = Visitor(deployment=deployment)
    visitor.press("Sign in", visitor.get(link.strip().removeprefix("https://keeper.test")))
    listed = visitor.show("/")
    assert "| Works |" in PAGE
    assert "</svg> Works<" in listed
    for name in ("works", "new"):
        shown = visitor.get(f"/connections/{name}").text
        for button in re.findall(r"<button[^>]*>([^<]+)</button>", shown):
            assert f"*{button}*" in PAGE

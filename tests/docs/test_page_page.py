"""docs/page.md: its tables match the code."""

import re

from functions.endpoints.page.routes import PAGES
from functions.settings.api_keys import KEYED_ENDPOINTS
from tests.docs.pages import first_cells, page

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

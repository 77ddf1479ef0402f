"""docs/page.md: its command prints a link that signs in, and it names the states and buttons."""

import re

from tests.docs.pages import ROOT, block, page
from tests.functions.commands import run_admin
from tests.functions.conftest import Deploy
from tests.functions.endpoints.page.visitor import Visitor
from tests.functions.grants import fresh

PAGE = page("page.md")


def test_the_states_and_buttons_are_those_of_the_page(deploy: Deploy) -> None:
    deployment = deploy()
    deployment.put("works", fresh())
    command = block("sh", PAGE, having="page-link").split()
    status, link, error = run_admin(dict(deployment.environ), *command[3:])
    assert status == 0, error
    visitor = Visitor(deployment=deployment)
    visitor.press("Sign in", visitor.get(link.strip().removeprefix("https://keeper.test")))
    listed = visitor.show("/")
    assert "</svg> Works<" in listed
    for name in ("works", "new"):
        shown = visitor.get(f"/connections/{name}").text
        for button in re.findall(r"<button[^>]*>([^<]+)</button>", shown):
            assert f"*{button}*" in PAGE


def test_every_state_is_explained() -> None:
    text = (ROOT / "functions/endpoints/page/words.py").read_text()
    states = set(re.findall(r'State\(Tone\.\w+, "([^"]+)"', text)) | {"Works", "Ready"}
    table = PAGE.partition("| state | meaning |")[2].partition("\n\n")[0]
    named = {
        word
        for cell in re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE)
        for word in cell.split(", ")
    }
    assert named == states | {"Unreadable", "Not configured"}

"""docs/operating.md: its commands run unchanged."""

import json
import re
import sys

from functions.admin.__main__ import COMMANDS
from tests.docs.pages import ROOT, block, blocks, first_cells, page
from tests.system.local_server import LocalServer

PAGE = page("operating.md")


def test_the_line_of_a_crontab_sweeps(server: LocalServer) -> None:
    line = block("text", PAGE, having="curl")
    command = " ".join(line.split()[5:])
    # The server of `make run` has no secret for it.
    answer = server.shell(command.replace("PUBLIC_URL", server.address), {})
    assert "CRON_SECRET is not set" in answer


def test_the_history_looks_as_the_page_shows_it(logged_in: LocalServer) -> None:
    environ = {"API_KEY": logged_in.api_key, "PUBLIC_URL": logged_in.address}
    told = json.loads(logged_in.shell(block("sh", PAGE, having="history"), environ))["history"]
    (example,) = blocks("json", PAGE)
    assert list(told[-1]) == list(json.loads(f"{{{example}}}")["history"][-1])
    assert (told[-1]["event"], told[-1]["outcome"]) == ("login", "tokens")


def test_a_key_is_made_as_the_page_says(server: LocalServer) -> None:
    command = block("sh", PAGE, having="keys new").replace("NAME", "ci")
    there = command.replace(".venv/bin/python", sys.executable)
    entry = server.shell(f"{there.strip()} 2>&1 >/dev/null", {"PYTHONPATH": str(ROOT)})
    assert '{"name": "ci", "sha256": "' in entry


def test_the_commands_listed_are_the_ones_there_are() -> None:
    listed = first_cells("## Commands", PAGE)
    names = {re.split(r"[ \[]", cell)[0] for cell in listed}
    assert names == set(COMMANDS)

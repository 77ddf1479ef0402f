"""docs/operating.md: its table of commands matches the code."""

import re

from functions.admin.__main__ import COMMANDS
from tests.docs.pages import first_cells, page

PAGE = page("operating.md")


def test_the_commands_listed_are_the_ones_there_are() -> None:
    listed = first_cells("## Commands", PAGE)
    names = {re.split(r"[ \[]", cell)[0] for cell in listed}
    assert names == set(COMMANDS)

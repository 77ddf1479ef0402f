"""`docs/guarantees.md` has the findings of the simulation, and no client could do better."""

from pathlib import Path

import pytest

from tests.simulation.guarantees import HEADINGS, KEPT, ROWS, cell, measure, page, read_cells
from tests.simulation.provider import KINDS
from tests.thorough import IS_THOROUGH

PAGE = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text()
REWRITE = "rewrite it: see tests/simulation/guarantees.py"


def test_the_page_has_these_rows_and_words() -> None:
    assert page(read_cells(PAGE)) == PAGE, REWRITE


@pytest.mark.parametrize("kind", HEADINGS)
def test_the_page_has_what_the_simulation_finds_and_no_client_could_keep_more(kind: str) -> None:
    documented = read_cells(PAGE)
    costly = set()
    for row in ROWS:
        text = documented[row.name, kind]
        # The seed that cost a login is among all of them.
        tally = measure(row, kind, part=1 if IS_THOROUGH or text != KEPT else 1 / 8)
        assert text == cell(tally), f"{row.name}: {REWRITE}"
        if tally.losses:
            costly.add(row.name)
    unavoidable = {row.name for row in ROWS if row.may_cost_a_login(KINDS[kind])}
    assert costly
    assert costly <= unavoidable, costly - unavoidable

"""docs/guarantees.md has what the simulation finds, and that is the best that a client can do."""

from pathlib import Path

import pytest

from tests.simulation.guarantees import FEW_RUNS, HEADINGS, ROWS, Cells, cell, measure, page
from tests.simulation.provider import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text()
REWRITE = "rewrite it: see tests/simulation/guarantees.py"


def cells() -> Cells:
    """Read the cells of the page."""
    rows = PAGE[PAGE.index("| fault |") :].partition("\n\n")[0].splitlines()[2:]
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        name, *values = [part.strip() for part in row.strip("|").split(" | ")]
        found |= {(name, kind): text for kind, text in zip(HEADINGS, values, strict=True)}
    return found


def test_the_page_has_these_rows_and_words() -> None:
    assert page(cells()) == PAGE, REWRITE


@pytest.mark.parametrize("kind", HEADINGS)
def test_the_page_has_what_the_simulation_finds_and_no_client_could_keep_more(kind: str) -> None:
    documented = cells()
    costly = set()
    for row in ROWS:
        tally = measure(row, kind, FEW_RUNS)
        assert documented[row.name, kind] == cell(tally), f"{row.name}: {REWRITE}"
        if tally.losses:
            costly.add(row.name)
    unavoidable = {row.name for row in ROWS if row.may_cost_a_login(KINDS[kind])}
    assert costly
    assert costly <= unavoidable, costly - unavoidable

"""`docs/guarantees.md` has the findings of the simulation, and no client could do better."""

from itertools import product
from pathlib import Path

from tests.simulation.guarantees import HEADINGS, ROWS, measure, page
from tests.simulation.provider import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"


def test_page_has_the_findings_of_the_simulation() -> None:
    assert PAGE.read_text() == page(), "write it again: see tests/simulation/guarantees.py"


def test_one_fault_costs_a_login_only_where_no_client_could_keep_the_grant() -> None:
    costly = {
        (row.name, kind) for row, kind in product(ROWS, HEADINGS) if measure(row, kind).losses
    }
    unavoidable = {
        (row.name, kind)
        for row, kind in product(ROWS, HEADINGS)
        if row.may_cost_a_login(KINDS[kind])
    }
    assert costly
    assert costly <= unavoidable, costly - unavoidable

"""What `docs/guarantees.md` says is what the simulation finds, and it is what can be had."""

from itertools import product
from pathlib import Path

from tests.simulation.guarantees import HEADINGS, ROWS, measure, page
from tests.simulation.provider import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"


def test_the_page_says_what_the_simulation_finds() -> None:
    assert PAGE.read_text() == page(), "write it anew: see tests/simulation/guarantees.py"


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

"""docs/problems.md: its lists match the code."""

import re

from domain.grant import Cause, Failure
from domain.ledger import HistoryEvent
from domain.outcomes import OUTCOMES
from functions.http.problems import PROBLEMS, TYPE_PREFIX
from tests.docs.pages import first_cells, page

PAGE = page("problems.md")


def test_the_problems_listed_are_the_ones_there_are() -> None:
    assert sorted(first_cells("# Problems", PAGE)) == sorted(PROBLEMS)
    assert TYPE_PREFIX in PAGE
    assert first_cells("## Causes", PAGE) == [cause.value for cause in Cause]
    outcomes = first_cells("## Outcomes of a refresh", PAGE)
    assert outcomes == [failure.value for failure in Failure]
    assert first_cells("## History", PAGE) == [event.value for event in HistoryEvent]
    told = PAGE.split("## Outcomes of a refresh", 1)[1]
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in told] == []


def test_the_statuses_listed_are_the_ones_answered() -> None:
    for name, (status, _) in PROBLEMS.items():
        assert re.search(rf"\| `{name}` \| {status.value}", PAGE), name

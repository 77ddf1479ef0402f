"""The benchmark of sweeps runs, and their calls of the store grow with the pages only."""

from functions.refresh.away_clients import MOST_FAILURES
from functions.refresh.sweep import MAX_CONCURRENCY
from functions.refresh.sweep_walk import PAGE_SIZE
from tests.bench.sweep import SITUATIONS, rows, table

PAGES = 4


def test_sweeps_of_many_connections_cost_pages() -> None:
    found = list(rows([PAGES * PAGE_SIZE]))
    nothing, far, away = found
    assert [row["situation"] for row in found] == list(SITUATIONS)
    assert (nothing["pages"], nothing["loads"], nothing["swaps"]) == (2, 1, 0)
    # Of the names and of the records; then the ends of those due and of those far from due. The
    # position is written for each page, and at the end.
    assert (far["pages"], far["loads"], far["swaps"]) == (2 * PAGES + 2, 1, PAGES + 1)
    failed = PAGES * PAGE_SIZE - int(str(away["left"]))
    assert MOST_FAILURES <= failed < MOST_FAILURES + MAX_CONCURRENCY
    assert (away["pages"], away["loads"]) == (PAGES + 2, failed + 1)
    # A failure may be tried again at once.
    assert failed <= int(str(away["requests"])) <= 3 * failed
    assert table(found).count("\n") == len(found) + 2

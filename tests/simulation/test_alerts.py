"""Each alert that is owed arrives, in order, and none for a state that did not occur."""

import pytest

from tests.simulation.alert_stories import STORIES, run_alerts
from tests.simulation.alert_world import ALERT_KINDS
from tests.simulation.run import Tally
from tests.thorough import times

SEEDS = {
    "ordinary": times(8),
    "away": times(10),
    "gone": times(3),
    "idle": times(8),
    "lost": times(4),
    "unswept": times(8),
    "switched-on": times(20),
    "adopted": times(10),
    "danger": times(20),
}


@pytest.mark.parametrize("kind", ALERT_KINDS)
@pytest.mark.parametrize("story", STORIES)
def test_no_fault_loses_an_alert_or_makes_one_up(story: str, kind: str) -> None:
    tally = Tally()
    for seed in range(SEEDS[story]):
        tally.add(run_alerts(kind, seed, story))
    print(f"{story}, {kind}: {tally}")  # noqa: T201 - how many ran, what was sent, and twice
    assert tally.runs == SEEDS[story]
    alerts = tally.alerts
    if (story, kind) != ("idle", "rotating"):
        assert alerts["delivered"] > tally.runs
    if story != "danger":
        assert alerts["duplicates"] == 0
    if story in {"away", "gone"}:
        assert alerts["given up"] > 0


def test_the_same_seed_gives_the_same_run() -> None:
    assert run_alerts("fixed", 7) == run_alerts("fixed", 7)

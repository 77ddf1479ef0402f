"""No grant is lost that could be kept: thousands of seeds of everything that can go wrong."""

from collections.abc import Callable

import pytest

from functions.sweep import Swept
from tests.simulation.exchanges import Loss
from tests.simulation.provider import KINDS, ROTATING
from tests.simulation.run import Tally, run_chaos, run_doubt, run_idle

CHAOS_SEEDS = 200
DOUBT_SEEDS = 100
IDLE_SEEDS = 40


@pytest.mark.parametrize("kind", KINDS)
def test_no_promise_is_broken_whatever_goes_wrong(kind: str) -> None:
    tally = run_all(run_chaos, kind, CHAOS_SEEDS)
    assert tally.answers["Serve"] > tally.runs
    assert tally.swept[Swept.REFRESHED]
    if kind.startswith("no-rotation"):
        assert set(tally.losses) <= {Loss.EXPIRED, Loss.DAMAGED}


@pytest.mark.parametrize("kind", KINDS)
def test_no_promise_is_broken_while_nobody_knows_what_came_of_requests(kind: str) -> None:
    tally = run_all(run_doubt, kind, DOUBT_SEEDS)
    assert tally.answers["Serve"] > tally.runs
    if kind.startswith("no-rotation"):
        assert not tally.losses


@pytest.mark.parametrize("kind", ROTATING)
def test_an_idle_grant_does_not_die_of_its_age_while_a_sweep_before_that_is_well(kind: str) -> None:
    tally = run_all(run_idle, kind, IDLE_SEEDS)
    assert tally.swept[Swept.REFRESHED] > tally.runs
    assert tally.losses[Loss.EXPIRED] == 0


def run_all(run: Callable[[str, int], Tally], kind: str, seeds: int) -> Tally:
    tally = Tally()
    for seed in range(seeds):
        tally.add(run(kind, seed))
    print(f"{kind}: {tally}")  # noqa: T201 - how many ran, and what they met
    assert tally.runs == seeds
    return tally


@pytest.mark.parametrize("run", [run_chaos, run_doubt, run_idle])
def test_the_same_seed_gives_the_same_run(run: Callable[[str, int], Tally]) -> None:
    assert run("overlap", 7) == run("overlap", 7)

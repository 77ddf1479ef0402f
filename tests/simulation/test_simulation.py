"""No grant is lost that could be kept: thousands of seeds of everything that can go wrong."""

import pytest

from tests.simulation.provider import KINDS
from tests.simulation.run import Tally, run_chaos

SEEDS = 400


@pytest.mark.parametrize("kind", KINDS)
def test_no_promise_is_broken_whatever_goes_wrong(kind: str) -> None:
    tally = Tally()
    for seed in range(SEEDS):
        tally.add(run_chaos(kind, seed))
    print(f"{kind}: {tally}")  # noqa: T201 - how many ran, and what they met
    assert tally.runs == SEEDS
    assert tally.answers["Serve"] > tally.runs
    if kind.startswith("no-rotation"):
        assert tally.logins == 0


def test_the_same_seed_gives_the_same_run() -> None:
    assert run_chaos("overlap", 7) == run_chaos("overlap", 7)

"""Nobody ever logs in for client credentials, and one request serves all: thousands of answers."""

import pytest

from tests.simulation.own_tokens import STORIES, run_own
from tests.simulation.own_world import OWN_KINDS
from tests.simulation.run import Tally
from tests.thorough import times

SEEDS = {
    "stampede": times(4),
    "danger": times(80),
    "outage": times(3),
    "clocks": times(20),
    "refusals": times(10),
}


@pytest.mark.parametrize("kind", OWN_KINDS)
@pytest.mark.parametrize("story", STORIES)
def test_no_fault_breaks_a_promise_of_client_credentials(story: str, kind: str) -> None:
    tally = Tally()
    for seed in range(SEEDS[story]):
        tally.add(run_own(kind, seed, story))
    print(f"{story}, {kind}: {tally}")  # noqa: T201 - how many ran, and what they met
    assert tally.runs == SEEDS[story]
    assert tally.answers["Serve"] > tally.runs
    assert tally.answers["AskForAuthorization"] == 0


def test_the_same_seed_gives_the_same_run() -> None:
    assert run_own("own-repeats", 7) == run_own("own-repeats", 7)

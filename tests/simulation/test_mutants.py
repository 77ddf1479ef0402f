"""The simulation can fail: every rule that is broken on purpose is noticed, and soon."""

from itertools import islice, product

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.run import SimulationFailedError

MOST_RUNS = 1000
# A change elsewhere shifts what chance finds: what is found late today is not found tomorrow.
SOON = MOST_RUNS // 5


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_broken_rule_is_found_soon(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    number, failure = first_failure(mutant)
    print(f"{mutant.name}: noticed in run {number}")  # noqa: T201 - the margin
    assert failure is not None, f"it survives {MOST_RUNS} runs"
    assert failure.rule in mutant.breaks, failure
    assert number <= SOON, f"it is noticed in run {number} only"


def first_failure(mutant: Mutant) -> tuple[int, SimulationFailedError | None]:
    """Run seeds of all kinds by turns; return the number of the first that fails, and how."""
    runs = islice(product(range(MOST_RUNS), mutant.kinds), MOST_RUNS)
    for number, (seed, kind) in enumerate(runs, start=1):
        try:
            mutant.run(kind, seed)
        except SimulationFailedError as failure:
            return number, failure
    return MOST_RUNS, None

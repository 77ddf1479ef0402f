"""The simulation can fail: every rule that is broken on purpose is noticed."""

from itertools import product

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.provider import KINDS
from tests.simulation.run import SimulationFailedError, run_chaos

# Of each kind of provider.
MOST_SEEDS = 60


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    failure = first_failure()
    assert failure is not None, f"it survives {MOST_SEEDS} seeds of each kind"
    assert failure.rule in mutant.breaks, failure


def first_failure() -> SimulationFailedError | None:
    for seed, kind in product(range(MOST_SEEDS), KINDS):
        try:
            run_chaos(kind, seed)
        except SimulationFailedError as failure:
            return failure
    return None

"""`make mutate`: run the domain's tables against each mutant; only named survivors may pass.

It takes about forty minutes on two idle cores. Name a new survivor, with its reason, in
tests/mutation/survivors.py. After any change of the domain, write the page again:
`python -m tests.mutation.page > docs/mutation.md`.
"""

import argparse
import sys
from collections import Counter
from time import monotonic

from tests.mutation.mutants import Mutant, modules, mutants_of, unchanged
from tests.mutation.run import Outcome, outcomes, tables
from tests.mutation.survivors import is_named

_CORES = 2


def main() -> int:
    """Run the mutants, print the outcomes, and return how many are not as named."""
    asked = _parser().parse_args()
    _demand_that_the_tables_hold()
    return sum(_mutate(module, asked.every) for module in asked.modules or modules())


def _demand_that_the_tables_hold() -> None:
    [(_, outcome)] = outcomes([unchanged("domain.tokens")], at_once=1, tests=tables())
    if outcome is not Outcome.SURVIVED:
        sys.exit(f"{outcome.value} without a fault: first mend what `make test` shows")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutate ARGS=…", description=__doc__)
    parser.add_argument("modules", nargs="*", help="domain.tokens …; all if none is named")
    parser.add_argument("--every", type=int, default=1, help="a sample: every so many-th mutant")
    return parser


def _mutate(module: str, every: int) -> int:
    begun = monotonic()
    counts: Counter[Outcome] = Counter()
    surprises = 0
    for mutant, outcome in outcomes(mutants_of(module)[::every], at_once=_CORES, tests=tables()):
        counts[outcome] += 1
        if is_named(mutant) is not (outcome is Outcome.SURVIVED):
            surprises += 1
            _print(f"{outcome.value}, though it is{_not(mutant)} named: {mutant}")
    counted = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)
    _print(f"{module}: {counts.total()} mutants, {counted}; {monotonic() - begun:.0f} s")
    return surprises


def _not(mutant: Mutant) -> str:
    return "" if is_named(mutant) else " not"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(min(main(), 1))

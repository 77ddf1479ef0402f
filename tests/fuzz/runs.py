"""Any number of inputs for a target, and the same ones for the same seed."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.targets import Target

# The memory of hypothesis grows with a run.
_AT_ONCE = 5_000


def run(target: Target, *, inputs: int, first_seed: int) -> int:
    """Feed a target, in rounds with a seed each. Return at least how many inputs it had.

    Raises the error of the target, with the smallest input that causes it in a note.
    """
    fed = 0
    while fed < inputs:
        fed += _run_round(target, min(_AT_ONCE, inputs - fed), first_seed)
        first_seed += 1
    return fed


def _run_round(target: Target, inputs: int, seed_of_round: int) -> int:
    calls = 0

    def check(**drawn: Any) -> None:
        nonlocal calls
        calls += 1
        target.check(**drawn)

    test = as_test(target, check)
    limits = settings(
        max_examples=inputs,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        limits(seed(seed_of_round)(test))()
    except Exception as error:
        error.add_note(f"seed {seed_of_round}, after {calls} inputs of its round")
        raise
    return calls


def as_test(target: Target, check: Callable[..., None] | None = None) -> Any:
    """Make a test of hypothesis of a target."""
    return given(**target.inputs)(check or target.check)

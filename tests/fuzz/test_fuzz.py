"""Some of the inputs of `make fuzz`, the same each time."""

import pytest

from tests.conftest import COUNTED
from tests.fuzz.runs import run
from tests.fuzz.targets import TARGETS
from tests.system.account import RecordProperty
from tests.thorough import times

SEED = 1
INPUTS = times(2_000)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_raises_an_undeclared_error(name: str, record_property: RecordProperty) -> None:
    fed = run(TARGETS[name], inputs=INPUTS, first_seed=SEED)
    record_property(COUNTED, f"{fed} inputs, seed {SEED}")
    assert fed >= INPUTS

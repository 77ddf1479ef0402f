"""A few thousand of the inputs that `make fuzz` makes in numbers, the same each time."""

import pytest

from tests.conftest import COUNTED
from tests.fuzz.runs import run
from tests.fuzz.targets import TARGETS
from tests.system.account import RecordProperty

SEED = 1
INPUTS = 2_000


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_brings_about_what_is_not_declared(
    name: str, record_property: RecordProperty
) -> None:
    fed = run(TARGETS[name], inputs=INPUTS, first_seed=SEED)
    record_property(COUNTED, f"{fed} inputs, seed {SEED}")
    assert fed >= INPUTS

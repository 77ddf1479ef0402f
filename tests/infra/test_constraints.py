"""The constraints in pyproject.toml are what is locked."""

import tomllib

import pytest

from infra.constraints import LOCK, PYPROJECT, constraints, with_constraints


def test_constraints_are_those_of_the_lock() -> None:
    assert with_constraints(PYPROJECT.read_text(), LOCK.read_text()) == PYPROJECT.read_text()


def test_constraints_are_read_from_a_lock_as_they_stand_there() -> None:
    lock = (
        "one==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
        'two==2.0 ; sys_platform == "win32" \\\n    --hash=sha256:cc\nthree==3.0\n'
    )
    assert constraints(lock) == ["one==1.0", 'two==2.0 ; sys_platform == "win32"', "three==3.0"]


@pytest.mark.parametrize("before", ["", '    "old==1",\n    "old-too==2",\n'])
def test_constraints_replace_those_before_and_nothing_else(before: str) -> None:
    text = f'[a]\nb = 1\nconstraint-dependencies = [\n{before}]\nc = ["d"]\n'
    written = with_constraints(text, 'new==3 ; os_name == "nt" \\\n    --hash=sha256:aa\n')
    assert tomllib.loads(written) == {
        "a": {"b": 1, "c": ["d"], "constraint-dependencies": ['new==3 ; os_name == "nt"']}
    }
    assert with_constraints(written, "new==3\n").count("new==3") == 1

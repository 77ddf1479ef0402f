"""Runs the table tests of the domain against a mutant, in a process of its own."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec as Spec
from importlib.util import spec_from_loader
from pathlib import Path

import pytest
import xdist.remote
import xdist.scheduler  # noqa: F401 - tests/conftest.py wants both: once for all the processes
from hypothesis import settings

from tests.mutation.mutants import ROOT, Mutant

# The tables take a second. A mutant that takes so much longer hangs.
SECONDS = 120
# The properties, the type checker and the reader of sources are slow, and the tables should notice
# each fault.
_SLOW = ("_properties.py", "test_exhaustiveness.py", "test_rules.py")
_PYTEST = ("-x", "--assert=plain", "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Outcome(Enum):
    """The result of a mutant."""

    KILLED = "killed"
    HUNG = "hung"
    SURVIVED = "survived"


def tables() -> list[str]:
    """Return the files of the tests that a mutant must pass to survive."""
    files = sorted(ROOT.glob("tests/domain/test_*.py"))
    return [str(file) for file in files if not file.name.endswith(_SLOW)]


def outcomes(
    mutants: Iterable[Mutant], *, at_once: int, tests: list[str], seconds: int = SECONDS
) -> Iterator[tuple[Mutant, Outcome]]:
    """Run the tests against each mutant, and yield each one when its process has ended.

    Raises RuntimeError if the tests could not be run.
    """
    running: dict[int, Mutant] = {}
    for mutant in mutants:
        if len(running) == at_once:
            yield _next_ended(running)
        running[_start(mutant, tests, seconds)] = mutant
    while running:
        yield _next_ended(running)


def _next_ended(running: dict[int, Mutant]) -> tuple[Mutant, Outcome]:
    pid, status = os.wait()
    mutant = running.pop(pid)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        return mutant, Outcome.HUNG
    match os.waitstatus_to_exitcode(status):
        case pytest.ExitCode.OK:
            return mutant, Outcome.SURVIVED
        case pytest.ExitCode.TESTS_FAILED | pytest.ExitCode.INTERRUPTED:
            # An import that fails interrupts the run.
            return mutant, Outcome.KILLED
        case code:
            raise RuntimeError(f"the tests of {mutant} could not be run: {code}")


def _start(mutant: Mutant, tests: list[str], seconds: int) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(seconds)
    # Other plugins cost time, and these tests need none.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # The same examples each time.
    settings.load_profile("ci")
    sys.meta_path.insert(0, _Faulty(mutant))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())
    os._exit(_test(mutant, tests))


def _test(mutant: Mutant, tests: list[str]) -> int:
    """Run the tests first that begin like the module's name: most mutants need no more."""
    word = mutant.module.rpartition(".")[2].partition("_")[0]
    first = [file for file in tests if Path(file).name.startswith(f"test_{word}")]
    for files in (first, [file for file in tests if file not in first]):
        if files and (code := pytest.main([*_PYTEST, *files])) != pytest.ExitCode.OK:
            return code
    return pytest.ExitCode.OK


class _Faulty(MetaPathFinder, InspectLoader):
    """Loads the mutant instead of the module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, _path: object, _target: object = None, /) -> Spec | None:
        if fullname != self._mutant.module:
            return None
        return spec_from_loader(fullname, self)

    def get_source(self, fullname: str) -> str:  # noqa: ARG002 - it is asked for one only
        return self._mutant.source

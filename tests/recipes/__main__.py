"""`make recipes`: run each recipe with the tool of this machine, and print one line for each."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.recipes.checks import CHECKS, NOT_HERE, TESTED, Check
from tests.recipes.place import AbsentError, Place, place

_WIDTH = 24


def main() -> int:
    """Return the exit code: 1 if a recipe failed. An absent tool is counted as success."""
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder, place(Path(folder)) as here:
        outcomes = [_run(name, check, here) for name, check in CHECKS.items()]
    for outcome, notes in (("tested", TESTED), ("not here", NOT_HERE)):
        for name, note in notes.items():
            _print(outcome, name, note)
    return 1 if "failed" in outcomes else 0


def _run(name: str, check: Check, here: Place) -> str:
    try:
        outcome, note = "ok", check(here)
    except AbsentError as error:
        outcome, note = "not here", str(error)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        outcome, note = "failed", str(error)
    _print(outcome, name, note)
    return outcome


def _print(outcome: str, name: str, note: str) -> None:
    # One line, also if a tool printed several.
    print(f"{outcome:<9} {name:<{_WIDTH}} {' '.join(note.split())}", flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main())

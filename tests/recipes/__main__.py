"""`make recipes`: run each recipe with the tool of this machine, and print one line for each."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.recipes.checks import CHECKS, NOT_HERE, TESTED, Check
from tests.recipes.place import AbsentError, LeakError, Place, place

_WIDTH = 24
_WRONG_KEY = "a-wrong-key-for-the-recipes"
# It goes on without a token.
_PATIENT = ("Prometheus",)


def main() -> int:
    """Return the exit code: 1 if a recipe failed. An absent tool is counted as success."""
    with tempfile.TemporaryDirectory(prefix="recipes-") as folder, place(Path(folder)) as here:
        outcomes = {name: _run(name, check, here) for name, check in CHECKS.items()}
        here.key = _WRONG_KEY
        worked = [name for name, outcome in outcomes.items() if outcome == "ok"]
        fails = [_fails(name, here) for name in worked if name not in _PATIENT]
    for outcome, notes in (("tested", TESTED), ("not here", NOT_HERE)):
        for name, note in notes.items():
            _print(outcome, name, note)
    return 1 if "failed" in [*outcomes.values(), *fails] else 0


def _run(name: str, check: Check, here: Place) -> str:
    try:
        outcome, note = "ok", check(here)
    except AbsentError as error:
        outcome, note = "not here", str(error)
    except (AssertionError, LeakError, OSError, subprocess.SubprocessError) as error:
        outcome, note = "failed", str(error)
    _print(outcome, name, note)
    return outcome


def _fails(name: str, here: Place) -> str:
    """Run a check with a wrong key: the tool has to fail, and to print no secret."""
    try:
        CHECKS[name](here)
    except AssertionError:
        outcome, note = "ok", "fails with a wrong key, and prints neither it nor a token"
    except (LeakError, OSError, subprocess.SubprocessError) as error:
        outcome, note = "failed", f"with a wrong key: {error}"
    else:
        outcome, note = "failed", "works with a wrong key"
    _print(outcome, name, note)
    return outcome


def _print(outcome: str, name: str, note: str) -> None:
    # One line, also if a tool printed several.
    print(f"{outcome:<9} {name:<{_WIDTH}} {' '.join(note.split())}", flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main())

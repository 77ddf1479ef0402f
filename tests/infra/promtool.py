"""Prometheus and its own checker, installed or as Debian packages them."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.needs import cannot_run, set_up

ROOT = Path(__file__).parents[2]
_STAMP = ".venv/prometheus/.stamp"
_UNPACKED = ROOT / ".venv/prometheus"


def promtool(*arguments: str, stdin: str = "", folder: Path = ROOT) -> str:
    """Run promtool and return its output. Raises AssertionError if it finds a fault."""
    done = subprocess.run(
        [_program("promtool"), *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def prometheus() -> str:
    """Return the path of Prometheus itself."""
    return _program("prometheus")


@cache
def _program(name: str) -> str:
    if (installed := shutil.which(name)) is not None:
        return installed
    set_up(_STAMP)
    if not (unpacked := _UNPACKED / name).exists():
        cannot_run(f"{name} is missing: install Debian's prometheus, or make {_STAMP} again")
    return str(unpacked)

"""Prometheus' own checker, installed or as Debian packages it."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.needs import cannot_run, set_up

ROOT = Path(__file__).parents[2]
_STAMP = ".venv/prometheus/.stamp"
_UNPACKED = ROOT / ".venv/prometheus/promtool"


def promtool(*arguments: str, stdin: str = "", folder: Path = ROOT) -> str:
    """Run promtool and return its output. Raises AssertionError if it finds a fault."""
    done = subprocess.run(
        [_program(), *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@cache
def _program() -> str:
    if (installed := shutil.which("promtool")) is not None:
        return installed
    set_up(_STAMP)
    if not _UNPACKED.exists():
        cannot_run(f"promtool is missing: install Debian's prometheus, or make {_STAMP}")
    return str(_UNPACKED)

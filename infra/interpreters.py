"""Other Pythons of this machine, for the platforms that require their own version."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def interpreter(minor: int) -> Path | None:
    """Find a Python 3 of this minor version, on the PATH or in pyenv. Return None without one.

    The result is the installed program, not a shim or a virtual environment's link.
    """
    name = f"python3.{minor}"
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    installed = map(str, root.glob(f"versions/3.{minor}.*/bin/{name}"))
    found = (_resolve(program, name) for program in [shutil.which(name), *installed] if program)
    return next(filter(None, found), None)


def _resolve(program: str, name: str) -> Path | None:
    """Return the program behind a shim or a virtual environment, or None."""
    code = "import sys; print(sys.base_prefix)"
    completed = subprocess.run(  # noqa: S603 - found on the PATH
        [program, "-c", code], capture_output=True, text=True, check=False
    )
    found = Path(completed.stdout.strip(), "bin", name)
    return found if completed.returncode == 0 and found.exists() else None

"""Programs that some tests need. They are installed where that is possible."""

import fcntl
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

_ROOT = Path(__file__).parents[1]


def cannot_run(reason: str) -> NoReturn:
    """Skip the test with this reason. In CI, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def set_up(target: str) -> None:
    """Make a target of the Makefile, once for all processes. It may fail without an error.

    `make test` without ARGS makes all of them at its beginning.
    """
    with Path(tempfile.gettempdir(), "oauth-callback-set-up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", target], cwd=_ROOT, capture_output=True, check=False)

"""Running another program's code in this process, under its own name and arguments."""

from __future__ import annotations

import os
import runpy
import sys

from oauth_callback.cli.exits import MISCONFIGURED, NOT_FOUND, USAGE, CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def run_module(module: str, arguments: Sequence[str], *, program: str) -> None:
    """Run a module as `python -m` does, with the program's name as its first argument."""
    sys.argv = [program, *arguments]
    runpy.run_module(module, run_name="__main__")


def run_as_python(arguments: Sequence[str]) -> None:
    """Run `SCRIPT ARGUMENTS…` or `-m MODULE ARGUMENTS…`, as Python itself does.

    Raises CommandFailed.
    """
    if not arguments or (arguments[0] == "-m" and len(arguments) == 1):
        raise CommandFailed("Name a program: SCRIPT or -m MODULE.", code=USAGE)
    if arguments[0] == "-m":
        sys.path.insert(0, os.getcwd())
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    script = existing(arguments[0])
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    sys.argv = list(arguments)
    runpy.run_path(script, run_name="__main__")


def existing(path: str) -> str:
    """Return the path of a file. Raises CommandFailed (127)."""
    if not os.path.isfile(path):
        raise CommandFailed(f"{path}: no such file.", code=NOT_FOUND)
    return path


def missing(package: str) -> CommandFailed:
    """Return the error for a package that is not installed where this runs."""
    return CommandFailed(
        f"{package} is not installed for {sys.executable}. Install oauth-callback-client next to "
        "it, and start that Python.",
        code=MISCONFIGURED,
    )

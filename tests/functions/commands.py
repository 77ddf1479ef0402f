"""Operator commands, run in this process or in one of their own."""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

from functions.admin.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def environ_in(folder: Path, name: str = "grants", **changes: str) -> dict[str, str]:
    """The variables of a deployment over a file in a folder."""
    environ = {
        "CLIENT_ID": "client",
        "CLIENT_SECRET": "not-a-real-secret",
        "API_KEY": "the-api-key-of-this-test",
        "SQLITE_PATH": str(folder / f"{name}.sqlite"),
    }
    return {**environ, **changes}


def run_admin(environ: Mapping[str, str], *arguments: str, logs: str = "") -> tuple[int, str, str]:
    """Run a command as `python -m functions.admin` does, and return its status and output."""
    out, error = StringIO(), StringIO()
    stdin = TextIOWrapper(BytesIO(logs.encode()), "utf-8")
    # Without a handler, Python writes warnings to standard error.
    handler = logging.StreamHandler(error)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        with (
            patch.dict(os.environ, environ, clear=True),
            patch.object(sys, "stdin", stdin),
            redirect_stdout(out),
            redirect_stderr(error),
        ):
            status = _status_of(arguments)
    finally:
        logging.getLogger().removeHandler(handler)
    return status, out.getvalue(), error.getvalue()


def _status_of(arguments: tuple[str, ...]) -> int:
    """Return what `sys.exit` makes of a command's result."""
    try:
        fault = main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)
    if fault is not None:
        print(fault, file=sys.stderr)  # noqa: T201 - as sys.exit does
    return 0 if fault is None else 1


def admin_process(
    environ: Mapping[str, str], *arguments: str, stdin: int | None = None
) -> subprocess.Popen[str]:
    """Begin a command in a process of its own, and read its standard error."""
    return subprocess.Popen(
        [sys.executable, "-m", "functions.admin", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        stdin=stdin,
        stderr=subprocess.PIPE,
        text=True,
    )

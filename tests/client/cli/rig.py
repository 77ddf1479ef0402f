"""Runs commands: most in this process, those that end or replace a process in one of their own."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oauth_callback.cli.main import main
from oauth_callback.testing import FakeKeeper

SOURCES = Path(__file__).parents[3] / "client/src"
COMMAND = [sys.executable, "-m", "oauth_callback.cli"]


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit code of a command, and its output."""

    code: int
    out: str
    err: str


class Cli:
    """The command line, with the settings of a fake keeper."""

    def __init__(
        self, keeper: FakeKeeper, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]
    ) -> None:
        self.keeper = keeper
        self._patch = patch
        self._capture = capture

    def __call__(self, *arguments: str, stdin: str = "", program: str = "oauth-callback") -> Ended:
        """Run a command in this process."""
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(arguments, program=program)
        out, err = self._capture.readouterr()
        return Ended(code, out, err)

    def process(
        self, *arguments: str, command: Sequence[str] = COMMAND, **options: Any
    ) -> "subprocess.Popen[str]":
        """Start a command as a process, with pipes for its output."""
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*command, *arguments], env=self.environ, text=True, **{**pipes, **options}
        )

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that finds the command's modules and the keeper."""
        return {**os.environ, **self.keeper.environ, "PYTHONPATH": str(SOURCES)}

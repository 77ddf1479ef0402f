"""The storm runs over SQLite, and prints its counts. Speed is not tested."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler to slow a disk with")
def test_storm_serves_everybody_with_one_provider_call_each() -> None:
    command = [sys.executable, "-m", "tests.bench.storm"]
    command += ["--connections", "24", "--workers", "2", "--strangers", "10"]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [" ".join(line.split()) for line in run.stdout.splitlines()]
    assert "answered 200 24" in lines
    assert "provider calls 24 for 24 refresh tokens" in lines
    assert "stalled, not sent 0 intents" in lines
    assert "answered 401 10 api-key-invalid" in lines

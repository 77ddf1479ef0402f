"""The storm runs over each kind of connection to a store, and prints its counts.

Speed is not tested.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.needs import cannot_run
from tests.system.postgres_peer import require_postgres
from tests.system.redis_peer import require_redis

REPOSITORY = Path(__file__).parents[2]


def require_compiler() -> None:
    if shutil.which("cc") is None:
        cannot_run("there is no C compiler to slow a disk with")


@pytest.mark.parametrize(
    ("store", "require", "strangers"),
    [
        pytest.param("sqlite", require_compiler, 10, id="sqlite"),
        pytest.param("redis", require_redis, 0, id="redis"),
        pytest.param("postgres", require_postgres, 0, id="postgres"),
    ],
)
def test_storm_serves_everybody_with_one_provider_call_each(
    store: str, require: Callable[[], None], strangers: int
) -> None:
    require()
    command = [sys.executable, "-m", "tests.bench.storm", "--store", store]
    command += ["--connections", "24", "--workers", "2", "--strangers", str(strangers)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [" ".join(line.split()) for line in run.stdout.splitlines()]
    assert "answered 200 24" in lines
    assert "provider calls 24 for 24 refresh tokens" in lines
    assert "stalled, not sent 0 intents" in lines
    assert ("answered 401 10 api-key-invalid" in lines) == bool(strangers)

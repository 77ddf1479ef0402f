"""Five processes of eight threads use a real keeper for ten simulated minutes.

Tokens expire after a minute. One clock moves the keeper and all sources, 5 seconds at a time. It
stands still while they work, so that "expired" has a definite answer. The provider, the HTTP
requests, the store, the processes and the threads are real.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.client.lifetimes_process import THREADS
from tests.client.real_keeper import SharedClock, real_keeper
from tests.docs.pages import ROOT
from tests.functions.token_endpoint import Answer, token_endpoint

PROCESSES = 5
LIFE = 60
STEP = 5
STEPS = 600 // STEP
# A caller that wants half a life at least has it whenever an outage of half a life begins.
MIN_TTL = LIFE // 2
OUTAGE = LIFE // 2 // STEP
# Steps at which the keeper goes away, at different ages of the token.
OUTAGES = (20, 41, 63, 86)


@contextmanager
def callers(clock: SharedClock) -> Iterator[list[subprocess.Popen[str]]]:
    """Run the processes."""
    command = [
        sys.executable,
        "-m",
        "tests.client.lifetimes_process",
        str(clock.path),
        str(MIN_TTL),
    ]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'client' / 'src'}:{ROOT}"}
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=environ,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for _ in range(PROCESSES)
        ]


def step(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let every thread of every process use a token at the same instant."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.stdout for process in processes]
    return [token for output in outputs if output for token in json.loads(output.readline())]


def test_no_expired_token_is_used_and_each_life_costs_one_provider_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SharedClock(tmp_path / "clock")
    issued: dict[str, float] = {}
    used: dict[str, int] = {}
    with token_endpoint() as endpoint:
        endpoint.plan(*(_tokens(number) for number in range(STEPS)))
        with real_keeper(clock, endpoint, monkeypatch) as server, callers(clock) as processes:
            for number in range(STEPS):
                if number in OUTAGES:
                    server.stop()
                if number - OUTAGE in OUTAGES:
                    server.start()
                tokens = step(processes)
                server.wait_for_refreshes()
                for call in range(len(issued), len(endpoint.seen)):
                    issued[f"access-{call}"] = clock.seconds
                assert len(tokens) == PROCESSES * THREADS
                for token in tokens:
                    assert clock.seconds < issued[token] + LIFE, (number, token)
                    used[token] = used.get(token, 0) + 1
                clock.move(STEP)
            for process in processes:
                process.communicate(timeout=60)
        # Every call of the provider brought a token that callers used; the last may have no time.
        calls = len(endpoint.seen)
    assert calls - 1 <= len(used) <= calls
    assert calls <= STEPS * STEP / MIN_TTL + 1
    assert calls >= STEPS * STEP / LIFE


def _tokens(number: int) -> Answer:
    members = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return Answer.json({**members, "token_type": "Bearer", "expires_in": LIFE})

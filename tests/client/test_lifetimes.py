"""Five processes of eight threads use a real keeper for ten simulated minutes.

Tokens expire after a minute. One clock moves the keeper and all sources, 5 seconds at a time. It
stands still while they work, so that "expired" has a definite answer. The provider, the HTTP
requests, the store, the processes and the threads are real.
"""

import asyncio
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import uvicorn

from functions.application import Application
from functions.asgi import ROUTES
from functions.settings.settings import Settings
from oauth_callback import Keeper
from oauth_callback import Settings as ClientSettings
from tests.client import lifetimes_process
from tests.client.lifetimes_process import THREADS
from tests.docs.pages import ROOT
from tests.functions.commands import environ_in
from tests.functions.token_endpoint import Answer, TokenEndpoint, token_endpoint
from tests.system.waiting import wait_until

PROCESSES = 5
LIFE = 60
STEP = 5
STEPS = 600 // STEP
# A caller that wants half a life at least has it whenever an outage of half a life begins.
MIN_TTL = LIFE // 2
OUTAGE = LIFE // 2 // STEP
# Steps at which the keeper goes away, at different ages of the token.
OUTAGES = (20, 41, 63, 86)
EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class SharedClock:
    """A time in a file that every process reads. It is the keeper's clock, too."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(struct.pack("d", 0.0))
        self.path = path
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)

    @property
    def seconds(self) -> float:
        """The time."""
        return lifetimes_process.read_clock(self._shared)

    def now(self) -> datetime:
        """Return the time as the keeper reads it."""
        return EPOCH + timedelta(seconds=self.seconds)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._shared[:8] = struct.pack("d", self.seconds + seconds)


class Server:
    """The keeper behind uvicorn, on a port that is closed while it is down."""

    def __init__(self, application: Application) -> None:
        self.application = application
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    def start(self) -> None:
        """Listen."""
        config = uvicorn.Config(self.application, port=self.port, log_config=None)
        self._server = server = uvicorn.Server(config)
        self._thread = Thread(target=lambda: asyncio.run(server.serve()))
        self._thread.start()
        wait_until(lambda: server.started)

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    def wait_for_refreshes(self) -> None:
        """Wait until no request or refresh is under way, so that the clock may move."""
        wait_until(lambda: not self.application._running, every=0.001)


@contextmanager
def keeper(folder: Path, endpoint: TokenEndpoint) -> Iterator[Server]:
    """Run the keeper, and adopt a login."""
    environ = environ_in(folder, **endpoint.environ)
    server = Server(Application(ROUTES, lambda: Settings.from_environ(environ)))
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}"
        client = Keeper(ClientSettings(url, environ["API_KEY"]))
        client.call("POST", "/api/adopt", body={"refresh_token": "of-another-program"})
        os.environ.update(OAUTH_CALLBACK_URL=url, OAUTH_CALLBACK_KEY=environ["API_KEY"])
        yield server
    finally:
        server.stop()


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
    monkeypatch.setattr("functions.wiring.SystemClock", lambda: clock)
    monkeypatch.setenv("OAUTH_CALLBACK_URL", "")
    monkeypatch.setenv("OAUTH_CALLBACK_KEY", "")
    issued: dict[str, float] = {}
    used: dict[str, int] = {}
    with token_endpoint() as endpoint:
        endpoint.plan(*(_tokens(number) for number in range(STEPS)))
        with keeper(tmp_path, endpoint) as server, callers(clock) as processes:
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

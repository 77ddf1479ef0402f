"""Each server of docs/servers.md stores the new tokens when it is stopped during a refresh."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from domain.grant import Authorized, Grant
from domain.tokens import Tokens
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.token_endpoint import TokenEndpoint, token_endpoint
from tests.patience import PATIENCE
from tests.records import record_of
from tests.system.loopback import free_port
from tests.system.waiting import wait_until

ROOT = Path(__file__).parents[2]
API_KEY = {"x-api-key": "not-a-real-api-key-of-anything"}
APP = "functions.asgi:app"
# A provider that is neither near nor busy.
ANSWER_AFTER = 1.0

SERVERS = {
    "uvicorn": ["uvicorn", APP, "--host", "127.0.0.1", "--port", "{port}"],
    "hypercorn": ["hypercorn", APP, "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", APP, "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"],
}


@pytest.mark.parametrize(
    ("workers", "left"),
    [
        pytest.param(1, timedelta(seconds=-1), id="waited for"),
        pytest.param(2, timedelta(minutes=4), id="behind an answer"),
    ],
)
@pytest.mark.parametrize("server", SERVERS)
def test_server_that_is_stopped_during_a_refresh_stores_what_comes_of_it(
    server: str, workers: int, left: timedelta, tmp_path: Path
) -> None:
    with token_endpoint() as provider, provider.held() as may_answer:
        environ = environ_of(tmp_path, provider)
        asyncio.run(store(environ, left))
        with running(SERVERS[server], workers, environ) as (process, port):
            caller = threading.Thread(target=ask, args=(port,))
            caller.start()
            wait_until(lambda: len(provider.seen) == 1)
            process.send_signal(signal.SIGTERM)
            threading.Timer(ANSWER_AFTER, may_answer.set).start()
            process.wait(PATIENCE.total_seconds())
            wait_until(lambda: not is_alive(process.pid))
            caller.join()
        grant = asyncio.run(load(environ))
        assert isinstance(grant, Authorized), grant
        assert grant.tokens.access_token == provider.given[0]["access_token"]
        assert len(provider.seen) == 1


def environ_of(folder: Path, provider: TokenEndpoint) -> dict[str, str]:
    return {
        "CLIENT_ID": "a-client",
        "CLIENT_SECRET": "a-client-secret-of-the-tests",
        "API_KEY": API_KEY["x-api-key"],
        "SQLITE_PATH": str(folder / "grants.sqlite"),
        **provider.environ,
    }


async def store(environ: Mapping[str, str], left: timedelta) -> None:
    """Store tokens that have so much left."""
    wiring, expires_at = Wiring(Settings.from_environ(environ)), datetime.now(UTC) + left
    tokens = Tokens(
        generation=0,
        authorized_at=expires_at - timedelta(hours=1),
        issued_at=expires_at - timedelta(hours=1),
        access_token="first",
        token_type="Bearer",
        scope=None,
        expires_at=expires_at,
        refresh_token="first",
        refresh_token_expires_at=None,
    )
    record = record_of(Authorized(tokens=tokens), "first")
    await wiring.store.swap("default", record, expected_etag=None)
    await wiring.close()


async def load(environ: Mapping[str, str]) -> Grant:
    """Return what is stored."""
    wiring = Wiring(Settings.from_environ(environ))
    try:
        return (await wiring.store.load("default")).grant
    finally:
        await wiring.close()


@contextmanager
def running(
    arguments: Sequence[str], workers: int, environ: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run a server with its workers in a process group of their own, until it answers."""
    port = free_port()
    command = [sys.executable, "-m", *(argument.format(port=port) for argument in arguments)]
    with subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        start_new_session=True,
    ) as process:
        try:
            wait_until(lambda: answers(port))
            yield process, port
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    try:
        return call(port, "/api/health") == 200
    except OSError:
        return False


def ask(port: int) -> None:
    """Ask for a token; whether there is an answer is the server's affair."""
    with suppress(OSError):
        call(port, "/api/token")


def call(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE.total_seconds())
    try:
        connection.request("GET", path, headers=API_KEY)
        return connection.getresponse().status
    finally:
        connection.close()


def is_alive(group: int) -> bool:
    """Whether there is a process of the group."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True

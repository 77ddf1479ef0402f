"""`make soak`: one server under a steady load for minutes: its responses and its costs.

One uvicorn over SQLite keeps many connections whose tokens live briefly, and whose provider, a
process of its own, takes its time. Requests come at a steady rate, also while earlier ones wait.
With --hang the provider never answers, and strangers ask for /api/health at that rate.
"""

import argparse
import asyncio
import os
import random
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from tests.bench.load import Answer, Load, NextRequest, Target, percentile, statuses
from tests.bench.soak_parts import (
    API_KEY,
    ROOT,
    environ_for,
    figures_of,
    log_in_all,
    provider_running,
)

WINDOWS = 10
# Of callers with a key, while the provider hangs: so that there are refreshes that hang.
CALLERS_WHILE_IT_HANGS = 5
_HEAD = "   second  served     503   other  waiting   p50 ms   p99 ms   tasks  memory MB  refreshes"


def main(arguments: list[str] | None = None) -> int:
    """Soak and print; return 1 where the provider does not account for a missing answer."""
    options = _options(arguments)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return asyncio.run(_soak(options))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--connections", type=int, default=2000, help="%(default)s")
    parser.add_argument("--rate", type=float, help="requests a second; 400, with --hang 200")
    parser.add_argument("--seconds", type=float, default=300, help="%(default)s")
    parser.add_argument("--life", type=int, default=60, help="of a token, in seconds; %(default)s")
    parser.add_argument("--hang", action="store_true", help="the provider never answers")
    options = parser.parse_args(arguments)
    options.rate = options.rate or (200 if options.hang else 400)
    return options


async def _soak(options: argparse.Namespace) -> int:
    provider_arguments = ["--life", str(options.life), *(["--hangs"] if options.hang else [])]
    with TemporaryDirectory() as folder, provider_running(*provider_arguments) as provider_port:
        environ = environ_for(Path(folder), provider_port)
        await log_in_all(
            environ,
            connections=options.connections,
            life=timedelta(seconds=options.life),
            # Where nobody answers, each needs a refresh.
            are_expired=options.hang,
        )
        async with _server(environ) as target:
            provider = Target(port=provider_port)
            callers = _callers(options)
            load = Load(target, _strangers if options.hang else callers, rate=options.rate)
            beside = Load(target, callers, rate=CALLERS_WHILE_IT_HANGS if options.hang else 0)
            async with beside, load:
                answers = await _watch(load, provider, options)
            answers += load.take()
            refused = (await figures_of(provider, "/stats"))["refused"]
            return _judge(answers, refused)


async def _watch(load: Load, provider: Target, options: argparse.Namespace) -> list[Answer]:
    """Print a line a window, and return what was answered."""
    began_at, every, calls = monotonic(), list[Answer](), 0
    _print(_HEAD)
    for window in range(WINDOWS):
        await asyncio.sleep(began_at + options.seconds * (window + 1) / WINDOWS - monotonic())
        answers = load.take()
        every += answers
        server = await figures_of(load.target, "/figures")
        before, calls = calls, (await figures_of(provider, "/stats"))["calls"]
        by_status = statuses(answers)
        served, away = by_status.pop(200, 0), by_status.pop(503, 0)
        _print(
            f"{monotonic() - began_at:9.0f} {served:7} {away:7} {by_status.total():7} "
            f"{load.waiting:8} {percentile(answers, 0.5) * 1000:8.1f} "
            f"{percentile(answers, 0.99) * 1000:8.1f} {server['tasks']:7} "
            f"{server['memory'] / 1e6:10.1f} {calls - before:10}"
        )
    return every


def _judge(answers: list[Answer], refused: int) -> int:
    by_status = statuses(answers)
    counts = ", ".join(f"{status or 'no answer'}: {n}" for status, n in sorted(by_status.items()))
    _print(
        f"all: {counts}; p50 {percentile(answers, 0.5) * 1000:.1f} ms, "
        f"p99 {percentile(answers, 0.99) * 1000:.1f} ms; refused by the provider: {refused}"
    )
    return int(set(by_status) != {200} or refused > 0)


def _strangers() -> tuple[str, tuple[str, ...]]:
    return "/api/health", ()


def _callers(options: argparse.Namespace) -> NextRequest:
    """Ask for the token of any connection."""
    chance = random.Random(1)  # noqa: S311 - no secret

    def ask() -> tuple[str, tuple[str, ...]]:
        connection = f"c{chance.randrange(options.connections)}"
        return f"/api/token?connection={connection}", (f"x-api-key: {API_KEY}",)

    return ask


@asynccontextmanager
async def _server(environ: Mapping[str, str]) -> AsyncIterator[Target]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as door, _uvicorn(door, environ):
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = Target(port=door.getsockname()[1])
        # It answers once it serves: the door has been open before.
        await target.get("/api/health")
        try:
            yield target
        finally:
            target.close()


@contextmanager
def _uvicorn(door: socket.socket, environ: Mapping[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "uvicorn", "tests.bench.soak_server:app"]
    command += ["--fd", str(door.fileno()), "--no-access-log", "--log-level", "warning"]
    # No connection is to end just as it is used again.
    command += ["--timeout-keep-alive", "600"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        pass_fds=[door.fileno()],
        # Its log of each refresh is not what is looked at here.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.kill()


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    sys.exit(main())

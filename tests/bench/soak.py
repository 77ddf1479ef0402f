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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from pydantic import TypeAdapter

from domain.grant import Authorized
from domain.tokens import Tokens
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.bench.load import Answer, Load, NextRequest, Target, percentile, statuses
from tests.records import record_of

ROOT = Path(__file__).parents[2]
API_KEY = "not-a-real-api-key-of-anything"
WINDOWS = 10
# Of callers with a key, while the provider hangs: so that there are refreshes that hang.
CALLERS_WHILE_IT_HANGS = 5
_HEAD = "   second  served     503   other  waiting   p50 ms   p99 ms   tasks  memory MB  refreshes"
_Figures = TypeAdapter(dict[str, int])


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
    with TemporaryDirectory() as folder, _provider(provider_arguments) as provider_port:
        environ = _environ(Path(folder), provider_port)
        await _log_in(environ, options)
        async with _server(environ) as target:
            provider = Target(port=provider_port)
            callers = _callers(options)
            load = Load(target, _strangers if options.hang else callers, rate=options.rate)
            beside = Load(target, callers, rate=CALLERS_WHILE_IT_HANGS if options.hang else 0)
            async with beside, load:
                answers = await _watch(load, provider, options)
            answers += load.take()
            refused = (await _figures(provider, "/stats"))["refused"]
            return _judge(answers, refused)


async def _watch(load: Load, provider: Target, options: argparse.Namespace) -> list[Answer]:
    """Print a line a window, and return what was answered."""
    began_at, every, calls = monotonic(), list[Answer](), 0
    _print(_HEAD)
    for window in range(WINDOWS):
        await asyncio.sleep(began_at + options.seconds * (window + 1) / WINDOWS - monotonic())
        answers = load.take()
        every += answers
        server = await _figures(load.target, "/figures")
        before, calls = calls, (await _figures(provider, "/stats"))["calls"]
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


async def _figures(target: Target, path: str) -> dict[str, int]:
    _, body = await target.get(path)
    return _Figures.validate_json(body)


def _environ(folder: Path, provider_port: int) -> dict[str, str]:
    return {
        "CLIENT_ID": "a-client",
        "CLIENT_SECRET": "a-client-secret-of-the-bench",
        "API_KEY": API_KEY,
        "PROVIDER": "custom",
        "AUTHORIZATION_ENDPOINT": f"http://127.0.0.1:{provider_port}/authorize",
        "TOKEN_ENDPOINT": f"http://127.0.0.1:{provider_port}/token",
        "ROTATION": "always",
        "SQLITE_PATH": str(folder / "grants.sqlite"),
    }


async def _log_in(environ: Mapping[str, str], options: argparse.Namespace) -> None:
    """Store a grant for each connection, through the application's own store."""
    wiring = Wiring(Settings.from_environ(environ))
    now, life = datetime.now(UTC), timedelta(seconds=options.life)
    for index in range(options.connections):
        # Spread over a token's life, as logins are; all of them expired where nobody answers.
        age = life if options.hang else life * index / options.connections
        tokens = Tokens(
            generation=0,
            authorized_at=now - age,
            issued_at=now - age,
            access_token=f"first-{index}",
            token_type="Bearer",
            scope=None,
            expires_at=now - age + life,
            refresh_token=f"seed-{index}",
            refresh_token_expires_at=None,
        )
        record = record_of(Authorized(tokens=tokens), f"first-{index}")
        await wiring.store.swap(f"c{index}", record, expected_etag=None)
    await wiring.close()


@contextmanager
def _provider(arguments: list[str]) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.bench.soak_provider", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.terminate()


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

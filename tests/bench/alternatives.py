"""Instead of the keeper, a library's own refresh: in four processes over one shared file.

Each process has threads, as a web server has. Each thread reads the token from the file, lets the
library refresh it if it has expired, and writes what the library got, as both libraries' pages
show. The keeper is measured in the same way, over HTTP. The provider ends a login whose refresh
token comes twice.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from tests.bench.load import Target
from tests.bench.soak_parts import (
    API_KEY,
    CLIENT_SECRET,
    ROOT,
    environ_for,
    figures_of,
    log_in_all,
    provider_running,
)
from tests.system.workers import doors, running

PROCESSES = 4
_LIFE = timedelta(minutes=30)
_ARGUMENTS = ("--life", str(int(_LIFE.total_seconds())))
# All callers of a process wait for this line, so that they ask at the same instant.
_GO = "go\n"

_Token: TypeAlias = dict[str, Any]
_Refresh: TypeAlias = Callable[[_Token, str, Callable[[_Token], None]], None]
"""Lets a library refresh an expired token: with the endpoint, and what stores the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The counts of a library, or of the keeper, for logins whose access token had expired."""

    name: str
    logins: int
    callers: int
    provider_calls: int
    served: int
    dead_logins: int


def measure_library(name: str, *, logins: int, callers: int) -> Outcome:
    """Let so many callers need each login's token at once."""
    served = 0
    with TemporaryDirectory() as folder, provider_running(*_ARGUMENTS) as port:
        for number in range(logins):
            file = Path(folder) / f"{number}.json"
            file.write_text(json.dumps(_expired(number)))
            served += _round(name, file, port, callers)
        stats = asyncio.run(_stats(port))
    return Outcome(
        name=name,
        logins=logins,
        callers=callers,
        provider_calls=stats["calls"],
        served=served,
        dead_logins=stats["ended"],
    )


def measure_keeper(*, logins: int, callers: int) -> Outcome:
    """Let so many callers ask the keeper for each login's token at once."""
    with (
        TemporaryDirectory() as folder,
        provider_running(*_ARGUMENTS) as port,
        doors(PROCESSES) as opened,
    ):
        environ = environ_for(Path(folder), port)
        asyncio.run(log_in_all(environ, connections=logins, life=_LIFE, are_expired=True))
        with running(opened, environ, Path(folder)) as workers:
            served = asyncio.run(_ask_all(workers.urls, logins, callers))
        stats = asyncio.run(_stats(port))
    return Outcome(
        name="oauth-callback",
        logins=logins,
        callers=callers,
        provider_calls=stats["calls"],
        served=served,
        dead_logins=stats["ended"],
    )


def _expired(number: int) -> _Token:
    return {
        "access_token": f"first-{number}",
        "refresh_token": f"seed-{number}",
        "token_type": "bearer",
        "expires_in": -60,
        "expires_at": 1,
    }


def _round(name: str, file: Path, port: int, callers: int) -> int:
    """Let the callers of one login ask, and return how many had a token."""
    with _processes(name, file, port, callers // PROCESSES) as processes:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(_GO)
            process.stdin.flush()
        return sum(int(process.communicate()[0]) for process in processes)


@contextmanager
def _processes(
    name: str, file: Path, port: int, threads: int
) -> Iterator[Sequence[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "tests.bench.alternatives", name, str(file), str(port)]
    processes = [
        subprocess.Popen(
            [*command, str(threads)],
            cwd=ROOT,
            # oauthlib refuses plain HTTP, which the provider of this bench speaks on loopback.
            env={**os.environ, "OAUTHLIB_INSECURE_TRANSPORT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


async def _ask_all(urls: Sequence[str], logins: int, callers: int) -> int:
    targets = [Target(port=urlsplit(url).port or 0) for url in urls]
    served = 0
    for number in range(logins):
        path, key = f"/api/token?connection=c{number}", (f"x-api-key: {API_KEY}",)
        some = islice(cycle(targets), callers)
        answers = await asyncio.gather(*(target.get(path, key) for target in some))
        served += sum(status == 200 for status, _ in answers)
    for target in targets:
        target.close()
    return served


async def _stats(port: int) -> Mapping[str, int]:
    provider = Target(port=port)
    stats = await figures_of(provider, "/stats")
    provider.close()
    return stats


# The rest runs in a process of its own: a program of somebody who uses the library.


def _by_authlib(token: _Token, endpoint: str, store: Callable[[_Token], None]) -> None:
    from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415 - only the one that is measured

    session = OAuth2Session(
        "a-client",
        CLIENT_SECRET,
        token=token,
        token_endpoint=endpoint,
        update_token=lambda new, **_: store(new),
    )
    session.ensure_active_token(session.token)


def _by_requests_oauthlib(token: _Token, endpoint: str, store: Callable[[_Token], None]) -> None:
    from requests_oauthlib import OAuth2Session  # noqa: PLC0415 - only the one that is measured

    session = OAuth2Session("a-client", token=token)
    store(session.refresh_token(endpoint, client_id="a-client", client_secret=CLIENT_SECRET))


LIBRARIES: Mapping[str, _Refresh] = {
    "Authlib": _by_authlib,
    "requests-oauthlib": _by_requests_oauthlib,
}


def _call(refresh: _Refresh, file: Path, endpoint: str) -> bool:
    """Do what one caller does; return whether it has a token."""
    token = json.loads(file.read_text())
    if token["expires_at"] > 1:
        return True
    try:
        refresh(token, endpoint, lambda new: _replace(file, new))
    except Exception:  # noqa: BLE001 - what a library raises for a refused refresh token
        return False
    return True


def _replace(file: Path, token: _Token) -> None:
    """Write the token in one step, so that no reader sees half of it."""
    new = file.with_suffix(f".{threading.get_ident()}")
    new.write_text(json.dumps(token))
    new.replace(file)


def main(name: str, file: str, port: str, threads: str) -> int:
    """Be one process of the users of a library."""
    refresh, endpoint = LIBRARIES[name], f"http://127.0.0.1:{port}/token"
    served: list[bool] = []
    gate = threading.Barrier(int(threads) + 1)

    def call() -> None:
        gate.wait()
        served.append(_call(refresh, Path(file), endpoint))

    callers = [threading.Thread(target=call) for _ in range(int(threads))]
    for caller in callers:
        caller.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    assert sys.stdin.readline() == _GO
    gate.wait()
    for caller in callers:
        caller.join()
    sys.stdout.write(f"{sum(served)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Event loops that end leave nothing open of the application."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from functions.application import Application
from functions.asgi import ROUTES
from functions.lifespan.per_loop import PerLoop
from functions.settings.settings import Settings
from tests.functions.hosts import AsgiTransport
from tests.functions.token_endpoint import token_endpoint

API_KEY = {"x-api-key": "not-a-real-api-key-of-anything"}
LOOPS = 5


class Part:
    """A part that records where it was closed."""

    def __init__(self) -> None:
        self.closed_in: list[asyncio.AbstractEventLoop] = []

    async def close(self) -> None:
        self.closed_in.append(asyncio.get_running_loop())


def test_loops_that_end_leave_no_descriptors_and_no_threads(tmp_path: Path) -> None:
    with token_endpoint() as provider, without_garbage_collection():
        environ = {
            "CLIENT_ID": "client",
            "CLIENT_SECRET": "a-secret-of-the-tests",
            "API_KEY": API_KEY["x-api-key"],
            "PUBLIC_URL": "https://keeper.example",
            "SQLITE_PATH": str(tmp_path / "grants.sqlite"),
            **provider.environ,
        }
        application = Application(ROUTES, partial(Settings.from_environ, environ))
        asyncio.run(log_in(application))
        before = open_descriptors(), threads()
        for _ in range(LOOPS):
            asyncio.run(log_in(application))
        assert (open_descriptors(), threads()) == before


async def log_in(application: Application) -> None:
    """Use both the store and the provider."""
    transport = AsgiTransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://in-process") as http:
        begun = await http.post("/api/login?replace=true", headers=API_KEY)
        [state] = parse_qs(urlsplit(begun.json()["authorization_url"]).query)["state"]
        answer = await http.get("/api/callback", params={"state": state, "code": "a-code"})
        assert answer.status_code == httpx.codes.OK, answer.text


def open_descriptors() -> list[str]:
    """The open files of this process, with the kind only of sockets and pipes."""
    return sorted(filter(None, map(_target, Path("/proc/self/fd").iterdir())))


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink()).partition(":")[0]
    except FileNotFoundError:
        return ""


def threads() -> int:
    """The number of threads of the store."""
    return sum(thread.name.startswith("sqlite") for thread in threading.enumerate())


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Close nothing by chance."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("closes_generators", [True, False])
def test_parts_are_closed_at_the_end_of_their_loop_or_at_the_next_one(
    *, closes_generators: bool
) -> None:
    made: list[Part] = []

    def make() -> Part:
        made.append(Part())
        return made[-1]

    per_loop = PerLoop(make)
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    for loop in (first, second, first):
        assert loop.run_until_complete(per_loop.get()) is made[loop is second]
    if closes_generators:
        first.run_until_complete(first.shutdown_asyncgens())
    first.close()
    assert made[0].closed_in == ([first] if closes_generators else [])
    with asyncio.Runner() as runner:
        runner.run(per_loop.get())
        assert made[0].closed_in == [first if closes_generators else runner.get_loop()]
    assert made[1].closed_in == []
    second.run_until_complete(per_loop.close())
    second.close()
    assert [len(part.closed_in) for part in made] == [1, 1, 1]

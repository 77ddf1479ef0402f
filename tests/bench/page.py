"""`python -m tests.bench.page` prints the processor time of the page for many connections."""

import argparse
import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from domain.ledger import MAX_REFRESHES, TOKENS, Entry, HistoryEvent
from functions.application import Application
from functions.asgi import ALL_ROUTES
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.commands import environ_in
from tests.functions.grants import fresh
from tests.records import record_of

_ROUNDS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print. The store is a SQLite file, in the same process."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.page", description=__doc__)
    parser.add_argument("--connections", type=int, default=1000, help="%(default)s")
    number: int = parser.parse_args(arguments).connections
    with TemporaryDirectory() as folder:
        for path, seconds, trips in asyncio.run(_measure(Path(folder), number)):
            print(  # noqa: T201 - a command prints
                f"GET {path:<12} {number} connections: {seconds * 1000:.0f} ms of processor time, "
                f"{trips} round trips to the store"
            )


async def _measure(folder: Path, number: int) -> list[tuple[str, float, int]]:
    environ = environ_in(folder, PUBLIC_URL="http://localhost:8000")
    await _store(environ, number)
    application = Application(ALL_ROUTES, lambda: Settings.from_environ(environ))
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as browser:
        signed_in = await browser.post("/sign-in", data={"key": environ["API_KEY"]})
        assert signed_in.status_code == httpx.codes.SEE_OTHER, signed_in.text
        paths = ("/", "/connections/c0000")
        found = [await _measure_path(browser, path) for path in paths]
    await application.close()
    return found


async def _measure_path(browser: httpx.AsyncClient, path: str) -> tuple[str, float, int]:
    """Return the least processor time of some requests: everything else adds to it."""
    found = [await _request(browser, path) for _ in range(_ROUNDS)]
    seconds, trips = min(found)
    return path, seconds, trips


async def _request(browser: httpx.AsyncClient, path: str) -> tuple[float, int]:
    begun_at = time.process_time()
    page = await browser.get(path)
    seconds = time.process_time() - begun_at
    assert page.status_code == httpx.codes.OK, page.text
    trips = re.findall(r'store;[^,]*"round trips: (\d+)"', page.headers["server-timing"])
    return seconds, int(trips[0])


async def _store(environ: dict[str, str], number: int) -> None:
    """Store connections with a full history of refreshes."""
    wiring = Wiring(Settings.from_environ(environ))
    grant = fresh()
    at = grant.tokens.issued_at.replace(microsecond=0)
    ledger = (Entry(at, HistoryEvent.REFRESH, 0, "a-key", TOKENS),) * MAX_REFRESHES
    for each in range(number):
        record = record_of(grant, f"etag-{each}", ledger)
        await wiring.store.swap(f"c{each:04}", record, expected_etag=None)
    await wiring.store.close()


if __name__ == "__main__":
    main()

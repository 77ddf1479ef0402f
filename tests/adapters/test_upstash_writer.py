"""Commands to Upstash by its own client library: that each ends, in time and in one error."""

import asyncio
from datetime import timedelta
from threading import Event

import pytest

from adapters.upstash_writer import UpstashWriter
from ports.store import StoreUnavailableError
from tests.ports.scripted_server import Connection, answer, serving

LIMIT = timedelta(seconds=20)
IMPATIENCE = timedelta(milliseconds=300)


def write(url: str, limit: timedelta = LIMIT) -> object:
    """Send one command, and let go of the connections."""

    async def work() -> object:
        writer = UpstashWriter(url, "not-a-real-token", limit=limit, connect_limit=limit)
        try:
            return await writer.execute("ZRANGEBYSCORE", "key", "-inf", 1.5, "LIMIT", 0, 10)
        finally:
            await writer.close()

    return asyncio.run(work())


def drip(connection: Connection) -> None:
    """Answer byte by byte, each long before a step's limit, until the client leaves."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
    while True:
        connection.send(b" ")
        Event().wait(0.01)


def test_the_limit_is_for_the_whole_of_a_command() -> None:
    with serving(drip) as server, pytest.raises(StoreUnavailableError, match="TimeoutError"):
        write(server.endpoint, IMPATIENCE)


def test_an_answer_that_is_nested_too_deep_means_that_the_store_is_unavailable() -> None:
    with (
        serving(answer("200 OK", b"[" * 100_000)) as server,
        pytest.raises(StoreUnavailableError, match="RecursionError"),
    ):
        write(server.endpoint)

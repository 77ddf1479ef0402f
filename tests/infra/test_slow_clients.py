"""Headers that never end keep nobody out of `make run`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn

from functions.http.messages import Receive, Scope, Send
from infra.local import slow_clients
from infra.local.listener import loopback_listener
from infra.local.slow_clients import LimitedProtocol

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
UNFINISHED = REQUEST[:-2] + b"x: "


async def slow_app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Take longer for an answer than headers may."""
    await asyncio.sleep(slow_clients.HEADERS_TIMEOUT * 2)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(
        slow_app, http=LimitedProtocol, log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    with loopback_listener(0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, which is to make no difference."""
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "HEADERS_TIMEOUT", 0.2)


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["at first", "after an answer"])
def test_connection_whose_headers_never_end_is_closed(before: bytes) -> None:
    async def run() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(before)
            if before:
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
            writer.write(UNFINISHED)
            dripping = asyncio.create_task(drip(writer))
            with suppress(ConnectionError):
                assert await reader.read() == b""
            dripping.cancel()
            writer.close()

    asyncio.run(run())


def test_one_connection_too_many_is_closed_and_the_others_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_clients, "max_connections", lambda: 1)

    async def run() -> None:
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            refused, other = await asyncio.open_connection("127.0.0.1", port)
            assert await refused.read() == b""
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 ")
            other.close()
            writer.close()

    asyncio.run(run())

"""A server that is far away: a door before it, which answers take their time to pass."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from anyio.from_thread import start_blocking_portal

_PIECE = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Door:
    """Its port, and the seconds of a round trip: none until `be_far`."""

    port: int
    distance: float
    _seconds: float = 0.0

    def be_far(self) -> None:
        """Delay answers from now on, also those of connections that are open."""
        self._seconds = self.distance

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass answers on, each so late, in their order."""
        later = asyncio.get_running_loop().call_later
        # Either end may leave without a word.
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                later(self._seconds, writer.write, piece)
        later(self._seconds, writer.close)


@contextmanager
def distant_door(port: int, *, distance: float) -> Iterator[Door]:
    """Open one on a loopback port, before what listens at `port`."""

    async def bring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def come_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(bring(reader, inner_writer), door.pass_on(inner_reader, writer))

    async def open_it() -> asyncio.Server:
        return await asyncio.start_server(come_in, "127.0.0.1", 0, backlog=512)

    with start_blocking_portal("asyncio") as portal:
        server = portal.call(open_it)
        door = Door(port=server.sockets[0].getsockname()[1], distance=distance)
        try:
            yield door
        finally:
            portal.call(server.close)

"""A TLS door before a server without TLS: it passes bytes on in both directions."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from anyio.from_thread import start_blocking_portal

_PIECE = 64 * 1024


@contextmanager
def tls_door(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Serve TLS on a loopback port, before what listens at `port`; yield the door's own port."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Either end may leave without a word.
        with suppress(ConnectionError, ssl.SSLError):
            while piece := await reader.read(_PIECE):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def come_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    async def open_the_door() -> asyncio.Server:
        return await asyncio.start_server(come_in, "127.0.0.1", 0, ssl=context)

    with start_blocking_portal("asyncio") as portal:
        server = portal.call(open_the_door)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            portal.call(server.close)

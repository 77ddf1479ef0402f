"""A deployment's functions behind one real address, for programs in other languages."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from tests.system.loopback import free_port
from tests.system.vercel_router import VercelTransport


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    portal: BlockingPortal
    transport: VercelTransport


class _Handler(BaseHTTPRequestHandler):
    def _pass_on(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        length = int(self.headers.get("content-length", "0"))
        request = httpx.Request(
            self.command,
            "http://vercel" + self.path,
            headers=list(self.headers.items()),
            content=self.rfile.read(length) or None,
        )
        answer = server.portal.call(_ask, server.transport, request)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = _pass_on  # noqa: N815 - the names of the standard library

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep pytest's output clean."""


async def _ask(transport: VercelTransport, request: httpx.Request) -> httpx.Response:
    answer = await transport.handle_async_request(request)
    await answer.aread()
    return answer


@contextmanager
def vercel_door(transport: VercelTransport, port: int | None = None) -> Iterator[str]:
    """Serve what the transport reaches; yield the address."""
    with (
        start_blocking_portal("asyncio") as portal,
        _Server(("127.0.0.1", port or free_port()), _Handler) as server,
    ):
        server.portal, server.transport = portal, transport
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            portal.call(transport.aclose)

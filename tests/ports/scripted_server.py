"""A server on the loopback interface that runs a script of the test for each connection.

It reads and records a complete request. The script sends bytes, stalls, closes early or resets.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import parse_qsl

# In seconds, longer than any step of a test.
_LIMIT = 20.0
_MANY = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One request as received."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def form(self) -> list[tuple[str, str]]:
        """The fields of the body, in the order they came."""
        text = self.body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, strict_parsing=True)

    def all(self, name: str) -> list[str]:
        """The values of every header of that name, in lower case."""
        return [value for key, value in self.headers if key == name]


class Connection:
    """The server's end of one connection."""

    def __init__(self, plain: socket.socket) -> None:
        self.socket = plain

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self.socket.sendall(data)

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_until_client_leaves(self) -> None:
        """Wait without sending."""
        while self.socket.recv(_MANY):
            pass


Script: TypeAlias = Callable[[Connection], None]


@dataclass(slots=True)
class ScriptedServer:
    """The server's address, and its requests."""

    endpoint: str
    requests: list[Arrived] = field(default_factory=list)
    connections: int = 0


def answer(
    status: str, body: bytes = b"", *headers: str, content_type: str = "application/json"
) -> Script:
    """Send a complete answer that announces the end of its connection.

    Without that, a client may send its next request on a connection that is about to close.
    """
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def raw(data: bytes) -> Script:
    """Send these bytes, and close."""

    def script(connection: Connection) -> None:
        connection.send(data)

    return script


def in_turn(scripts: Iterable[Script]) -> Script:
    """Run one script after the other, for a connection each."""
    rest = iter(scripts)

    def script(connection: Connection) -> None:
        next(rest)(connection)

    return script


def stall(connection: Connection) -> None:
    """Send nothing, for as long as the client waits."""
    connection.wait_until_client_leaves()


@contextmanager
def serving(
    script: Script, *, tls: ssl.SSLContext | None = None, reads: bool = True
) -> Iterator[ScriptedServer]:
    """Serve every connection with the script; without `reads` before any request is read."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "http" if tls is None else "https"
    server = ScriptedServer(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/token")
    workers: list[threading.Thread] = []

    def serve(plain: socket.socket) -> None:
        # Some clients leave, or refuse the certificate.
        with suppress(OSError):
            plain.settimeout(_LIMIT)
            with plain if tls is None else tls.wrap_socket(plain, server_side=True) as wrapped:
                if reads:
                    server.requests.append(_request(wrapped))
                script(Connection(wrapped))
        plain.close()

    def accept() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            server.connections += 1
            worker = threading.Thread(target=serve, args=(plain,))
            worker.start()
            workers.append(worker)

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield server
    finally:
        # Closing alone does not wake the acceptor.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(_LIMIT)
        for worker in workers:
            worker.join(_LIMIT)


def _request(connection: socket.socket) -> Arrived:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = [
        (name.strip().lower(), value.strip())
        for name, _, value in (each.partition(":") for each in fields)
    ]
    length = int(dict(headers).get("content-length", "0"))
    while len(body) < length:
        body += _some(connection)
    return Arrived(line=line, headers=headers, body=body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(_MANY)
    if not data:
        raise ConnectionError("the client left before its request was complete")
    return data

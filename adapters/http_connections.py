"""Open HTTP/1.1 connections to one server, with the standard library, for threads."""

import select
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPConnection, HTTPSConnection
from ssl import SSLContext
from typing import cast
from urllib.parse import urlsplit

# Well below the time after which servers and gateways drop a connection without a word.
_MAX_IDLE = timedelta(seconds=20)


class ConnectTimeoutError(TimeoutError):
    """The connection was not established in time. Nothing was sent."""


class ReadTimeoutError(TimeoutError):
    """The server has the request, or a part of it, and did not answer in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """A complete answer. `headers` have names in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class HttpConnections:
    """Sends requests to one server. A connection carries one request at a time."""

    def __init__(
        self,
        url: str,
        *,
        connect_limit: timedelta,
        read_limit: timedelta,
        context: Callable[[], SSLContext],
    ) -> None:
        """`read_limit` is for each wait for bytes. `context`: called for https only."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._context = context if parts.scheme == "https" else None
        self._connect_limit = connect_limit
        self._read_limit = read_limit
        self._is_closed = False
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        # An owner may drop this without `close`.
        weakref.finalize(self, _close_all, self._idle)

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Send a request and return the answer. Blocks.

        Raises ConnectTimeoutError, ReadTimeoutError, OSError, HTTPException.
        """
        connection = self._take_idle() or self._connect()
        try:
            connection.request("POST", path, body, dict(headers))
            with connection.getresponse() as response:
                content = response.read()
                is_kept = not response.will_close
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError from error
        except BaseException:
            connection.close()
            raise
        self._put_back(connection, is_kept=is_kept)
        known = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(status=response.status, headers=known, body=content)

    def close(self) -> None:
        """Close the idle connections, and each other one after its answer."""
        self._is_closed = True
        self._sweep()

    def _put_back(self, connection: HTTPConnection, *, is_kept: bool) -> None:
        if is_kept:
            self._idle.append((connection, time.monotonic()))
            # `close` has the opposite order, so that one of the two sees the other's change.
            self._sweep()
        else:
            connection.close()

    def _sweep(self) -> None:
        """Close the connections that are too old. After `close`, close all idle ones."""
        # If another thread is faster, this stops, or closes a newer connection, which is harmless.
        with suppress(IndexError):
            while self._is_closed or _is_old(self._idle[0][1]):
                self._idle.popleft()[0].close()

    def _take_idle(self) -> HTTPConnection | None:
        with suppress(IndexError):
            while True:
                connection, since = self._idle.pop()
                if not _is_old(since) and _is_silent(connection.sock):
                    return connection
                connection.close()
        return None

    def _connect(self) -> HTTPConnection:
        connection = (
            HTTPConnection(self._host, self._port)
            if self._context is None
            else HTTPSConnection(self._host, self._port, context=self._context())
        )
        try:
            connection.sock = self._new_socket(connection.port)
        except TimeoutError as error:
            raise ConnectTimeoutError from error
        return connection

    def _new_socket(self, port: int) -> socket.socket:
        """Connect as `HTTPConnection.connect` does, without its import of the IDNA codec."""
        name = self._host.encode("ascii")
        # The type stubs require text. The resolver and TLS also accept bytes.
        address = cast("tuple[str, int]", (name, port))
        sock = socket.create_connection(address, self._connect_limit.total_seconds())
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                sock = self._context().wrap_socket(sock, server_hostname=name)
            sock.settimeout(self._read_limit.total_seconds())
        except BaseException:
            sock.close()
            raise
        return sock


def _close_all(idle: deque[tuple[HTTPConnection, float]]) -> None:
    for connection, _ in idle:
        connection.close()


def _is_old(since: float) -> bool:
    return time.monotonic() - since >= _MAX_IDLE.total_seconds()


def _is_silent(sock: socket.socket) -> bool:
    """Whether a connection may be open: readable bytes mean its end, or an unrelated answer."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)

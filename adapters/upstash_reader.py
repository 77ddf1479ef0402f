"""Reads from Upstash with the standard library, for each token request.

Upstash's REST protocol is a POST of the command as a JSON array. The answer is `{"result": …}` or
`{"error": …}`. The client library, which sends the writes, would lengthen a cold start by a third
(`docs/adr/0010-cold-start.md`).
"""

import asyncio
import json
import select
import socket
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from adapters.tls import tls_context
from ports.store import StoreUnavailableError

# Concurrent reads, each with its own connection and thread. They only wait.
_MAX_CONCURRENCY = 100
# A connection that was idle for longer may be broken. httpx has the same limit.
_MAX_IDLE = timedelta(seconds=5)
_LONGEST_ANSWER = 1024 * 1024


class _Idle(NamedTuple):
    """An open connection, and the time of its last use."""

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    connection: HTTPConnection
    since: float

    @property
    def is_old(self) -> bool:
        """Whether the connection was idle too long."""
        return time.monotonic() - self.since >= _MAX_IDLE.total_seconds()

    @property
    def is_usable(self) -> bool:
        """Whether it may be open: readable bytes mean its end, or an unrelated answer."""
        poll = select.poll()
        poll.register(self.connection.sock, select.POLLIN)
        return not self.is_old and not poll.poll(0)


@dataclass(slots=True, kw_only=True, eq=False)
class _Call:
    """A command that a thread sends."""

    body: str
    # Not the HTTPConnection, which drops its socket when the server announces the end.
    sock: socket.socket | None = None
    is_given_up: bool = False

    def use_socket(self, sock: socket.socket) -> None:
        """Set the socket. Raises ConnectionAbortedError if the caller has given up."""
        self.sock = sock
        # `give_up` has the opposite order, so that one of the two sees the other's change.
        self.check_wanted()

    def check_wanted(self) -> None:
        """Raise ConnectionAbortedError if the caller has given up."""
        if self.is_given_up:
            raise ConnectionAbortedError("the caller has given up")

    def give_up(self) -> None:
        """Shut the socket down: the answer could arrive byte by byte, for ever."""
        self.is_given_up = True
        if (sock := self.sock) is not None:
            with suppress(OSError):
                # Not TLS's own shutdown: the thread would continue in plain text.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class UpstashReader:
    """Sends commands that change nothing, for any event loop.

    http.client blocks, so threads make the calls.
    """

    def __init__(self, url: str, token: str, *, limit: timedelta, connect_limit: timedelta) -> None:
        """`limit` is for a whole request and its answer, `connect_limit` for connecting."""
        self._url = urlsplit(url)
        self._token = token
        self._limit = limit
        self._connect_limit = connect_limit
        self._threads = ThreadPoolExecutor(
            max_workers=_MAX_CONCURRENCY, thread_name_prefix="upstash"
        )
        self._is_closed = False
        self._calls: set[_Call] = set()
        self._idle: deque[_Idle] = deque()
        # The last write's token: a replica without that write forwards the read.
        self.sync_token = ""

    async def execute(self, *command: str) -> object:
        """Return the result of a command that changes nothing. Raises StoreUnavailableError."""
        if self._is_closed:
            raise RuntimeError("the reader is closed")
        call = _Call(body=json.dumps(command))
        loop = asyncio.get_running_loop()
        self._calls.add(call)
        try:
            async with asyncio.timeout(self._limit.total_seconds()):
                return await loop.run_in_executor(self._threads, self._ask, call)
        except TimeoutError as error:
            raise StoreUnavailableError("Upstash does not answer") from error
        # RuntimeError: the answer is nested too deep, or a thread could not be started.
        except (OSError, HTTPException, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise StoreUnavailableError(f"Upstash: {type(error).__name__}: {error}") from error
        finally:
            self._calls.discard(call)
            call.give_up()

    def close(self) -> None:
        """Abort the reads and close all connections, without waiting."""
        self._is_closed = True
        for call in tuple(self._calls):
            call.give_up()
        self._threads.shutdown(wait=False)
        self._sweep()

    def _sweep(self) -> None:
        """Close the connections that are too old. After `close`, close all idle ones."""
        # If another thread is faster, this stops, or closes a newer connection, which is harmless.
        with suppress(IndexError):
            while self._is_closed or self._idle[0].is_old:
                self._idle.popleft().connection.close()

    def _ask(self, call: _Call) -> object:
        # The call may have waited for a thread, and `close` ends the waiting calls one by one.
        if self._is_closed:
            raise ConnectionAbortedError("the reader is closed")
        call.check_wanted()
        if (connection := self._take_idle()) is not None:
            try:
                return self._send_over(connection, call)
            except OSError as error:
                # The server has closed the connection meanwhile. A retry is safe.
                if call.is_given_up or isinstance(error, TimeoutError):
                    raise
        return self._send_over(self._new_connection(), call)

    def _take_idle(self) -> HTTPConnection | None:
        with suppress(IndexError):
            while True:
                idle = self._idle.pop()
                if idle.is_usable:
                    return idle.connection
                idle.connection.close()
        return None

    def _new_connection(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        connection = (
            HTTPSConnection(host, port, context=tls_context())
            if self._url.scheme == "https"
            else HTTPConnection(host, port)
        )
        connection.sock = self._new_socket(host, connection.port)
        return connection

    def _new_socket(self, host: str, port: int) -> socket.socket:
        """Connect as `HTTPConnection.connect` does, without its import of the IDNA codec.

        The import would cost a cold start 2 ms.
        """
        name = host.encode("ascii")
        # The type stubs require text. The resolver and TLS also accept bytes.
        address = cast("tuple[str, int]", (name, port))
        sock = socket.create_connection(address, self._connect_limit.total_seconds())
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._url.scheme == "https":
            sock = tls_context().wrap_socket(sock, server_hostname=name)
        sock.settimeout(self._limit.total_seconds())
        return sock

    def _send_over(self, connection: HTTPConnection, call: _Call) -> object:
        try:
            call.use_socket(connection.sock)
            answer, is_kept = self._exchange(connection, call.body)
            # After an invalid answer, another one may follow, which the next read would take.
            members = json.loads(answer)
        except BaseException:
            connection.close()
            raise
        # From here on the call does not own the connection.
        call.sock = None
        if is_kept:
            self._idle.append(_Idle(connection, since=time.monotonic()))
            # `close` has the opposite order, as `give_up` has.
            self._sweep()
        else:
            connection.close()
        return _result(members)

    def _exchange(self, connection: HTTPConnection, body: str) -> tuple[bytes, bool]:
        """Return an answer, and whether the server keeps the connection."""
        headers = {
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "upstash-sync-token": self.sync_token,
        }
        connection.request("POST", self._url.path or "/", body, headers)
        with connection.getresponse() as response:
            answer = response.read(_LONGEST_ANSWER)
            if not response.isclosed():
                raise HTTPException("the answer is cut off or too long")
            return answer, not response.will_close


def _result(members: dict[str, object]) -> object:
    if "error" in members:
        raise StoreUnavailableError(f"Upstash: {members['error']}")
    return members["result"]

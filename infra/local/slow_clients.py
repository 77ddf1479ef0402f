"""uvicorn's HTTP/1.1 without a proxy in front: limits for slow headers and for connections.

uvicorn waits for headers without a limit. Idle connections up to the process's limit would block
all other clients, and log each failure to accept.
"""

import asyncio
import resource
import sys
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_TIMEOUT = 10.0
"""Seconds for a request's headers, from the connection's start or its last response."""
BACKLOG = 64
"""Connections that wait to be accepted (uvicorn's backlog)."""
# Descriptors reserved for the backlog, for files, and for connections to the provider.
_RESERVED = 2 * BACKLOG


class LimitedProtocol(H11Protocol):
    """Closes connections with slow headers, and connections beyond the limit."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn has a narrower type
        """Start to wait for headers, or close a connection beyond the limit."""
        super().connection_made(transport)
        if len(self.connections) > max_connections():
            self.transport.close()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Continue to wait for headers, or stop."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_TIMEOUT, self.transport.close)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def max_connections() -> int:
    """Return the number of connections that leaves the reserved descriptors free."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        sys.maxsize if allowed == resource.RLIM_INFINITY else max(allowed - _RESERVED, allowed // 2)
    )


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors from the shell's default to the system's maximum."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS allows less than it reports.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

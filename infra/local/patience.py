"""uvicorn's HTTP/1.1 where no proxy stands in front: no patience with headers that never end.

uvicorn waits for headers for ever. As many connections as a process may have open keep everybody
else out, and each failure to accept one more is logged.
"""

import asyncio
import resource
import sys
from contextlib import suppress
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_WITHIN = 10.0
"""Seconds, from a connection's beginning or its last answer, until a request's headers are here."""
AT_ONCE = 64
"""Connections to accept before the first of them is looked at (uvicorn's backlog)."""
# Left for those, for files, and for connections to the provider.
_OTHERS = 2 * AT_ONCE


class ImpatientProtocol(H11Protocol):
    """Close a connection whose headers do not end, and those that are too many."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn says more
        """Wait for headers, if there is a place."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self.transport.close()
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Wait on for headers, or no longer."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADERS_WITHIN, self.transport.close)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def most_connections() -> int:
    """Return how many connections leave enough descriptors for all else."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        sys.maxsize if allowed == resource.RLIM_INFINITY else max(allowed - _OTHERS, allowed // 2)
    )


def raise_descriptor_limit() -> None:
    """Take as many descriptors as the system gives, of which a shell asks for few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS gives less than it says.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

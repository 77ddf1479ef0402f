"""Parts of one event loop: made at their first use, and closed with the loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """Something with open connections, files or threads."""

    async def close(self) -> None:
        """Close it."""
        ...


_Parts = TypeVar("_Parts", bound=Closable)


class PerLoop(Generic[_Parts]):
    """The parts of each event loop."""

    def __init__(self, make: Callable[[], _Parts]) -> None:
        self._make = make
        self._open: dict[asyncio.AbstractEventLoop, tuple[_Parts, AsyncGenerator[None]]] = {}

    async def get(self) -> _Parts:
        """Return the parts of the running loop. Raises the exceptions of `make`."""
        if (parts := self.peek()) is not None:
            return parts
        loop, parts = asyncio.get_running_loop(), self._make()
        closing = self._close_with_loop(loop, parts)
        self._open[loop] = parts, closing
        # Loops close their asynchronous generators before they end.
        await anext(closing)
        await self._close_ended_loops()
        return parts

    def peek(self) -> _Parts | None:
        """Return the parts of the running loop, None before the first use."""
        parts, _ = self._open.get(asyncio.get_running_loop(), (None, None))
        return parts

    async def close(self) -> None:
        """Close the parts of the running loop; the next `get` makes new ones."""
        _, closing = self._open.get(asyncio.get_running_loop(), (None, None))
        if closing is not None:
            await closing.aclose()

    async def _close_with_loop(
        self, loop: asyncio.AbstractEventLoop, parts: _Parts
    ) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._open.pop(loop, None)
            await parts.close()

    async def _close_ended_loops(self) -> None:
        """Close the parts of loops that ended without closing their generators."""
        for loop in [loop for loop in self._open if loop.is_closed()]:
            parts, _ = self._open.pop(loop)
            with suppress(Exception):
                # Without its loop, a part may fail to close.
                await parts.close()

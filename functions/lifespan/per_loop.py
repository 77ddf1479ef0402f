"""Parts that belong to one event loop: made at their first use there, and let go of with it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What holds something open: connections, files, threads."""

    async def close(self) -> None:
        """Let go of it."""
        ...


_Parts = TypeVar("_Parts", bound=Closable)


class PerLoop(Generic[_Parts]):
    """The parts of each event loop that uses them."""

    def __init__(self, make: Callable[[], _Parts]) -> None:
        self._make = make
        self._open: dict[asyncio.AbstractEventLoop, tuple[_Parts, AsyncGenerator[None]]] = {}

    async def get(self) -> _Parts:
        """Return the parts of the running loop. Raises what making them raises."""
        if (parts := self.peek()) is not None:
            return parts
        loop, parts = asyncio.get_running_loop(), self._make()
        closing = self._closing(loop, parts)
        self._open[loop] = parts, closing
        # Before they end, loops close the generators that were begun on them.
        await anext(closing)
        await self._let_go_of_ended_loops()
        return parts

    def peek(self) -> _Parts | None:
        """Return the parts of the running loop, if there are any."""
        parts, _ = self._open.get(asyncio.get_running_loop(), (None, None))
        return parts

    async def close(self) -> None:
        """Let go of the parts of the running loop; the next `get` makes others."""
        _, closing = self._open.get(asyncio.get_running_loop(), (None, None))
        if closing is not None:
            await closing.aclose()

    async def _closing(
        self, loop: asyncio.AbstractEventLoop, parts: _Parts
    ) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._open.pop(loop, None)
            await parts.close()

    async def _let_go_of_ended_loops(self) -> None:
        """Close what is left of loops whose generators nobody closed."""
        for loop in [loop for loop in self._open if loop.is_closed()]:
            parts, _ = self._open.pop(loop)
            with suppress(Exception):
                # What was bound to the loop cannot be closed in order any more.
                await parts.close()

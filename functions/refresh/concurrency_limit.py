"""An adaptive limit of concurrency."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


class ConcurrencyLimit:
    """Allows `most` turns at once; one fewer after a slow turn, one more after a quick one.

    A throttled store would otherwise get more work than it can do in time.
    """

    def __init__(self, most: int, *, slow: timedelta) -> None:
        """A turn is slow if it takes longer than `slow`."""
        self._most = most
        self._slow = slow.total_seconds()
        self._free = asyncio.Semaphore(most)
        self.limit = most
        """The current limit."""

    def is_reached(self) -> bool:
        """Whether another turn would have to wait."""
        return self._free.locked()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and take it."""
        await self._free.acquire()
        began_at = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._give_back(took=asyncio.get_running_loop().time() - began_at)

    def _give_back(self, *, took: float) -> None:
        if took > self._slow and self.limit > 1:
            self.limit -= 1
            return
        self._free.release()
        if took <= self._slow and self.limit < self._most:
            self.limit += 1
            self._free.release()

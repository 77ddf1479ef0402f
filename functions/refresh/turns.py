"""Turns at something slow: as many at one time as it carries out in good time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta


class Turns:
    """At first `most` turns at one time; one fewer after each slow one, one more after a quick one.

    A store that is throttled would else take on more than it can do, all of it too late.
    """

    def __init__(self, most: int, *, slow: timedelta) -> None:
        """A turn is `slow` that takes longer than this."""
        self._most = most
        self._slow = slow.total_seconds()
        self._free = asyncio.Semaphore(most)
        self.at_once = most
        """How many there may be at one time, from now on."""

    def are_taken(self) -> bool:
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
        if took > self._slow and self.at_once > 1:
            self.at_once -= 1
            return
        self._free.release()
        if took <= self._slow and self.at_once < self._most:
            self.at_once += 1
            self._free.release()

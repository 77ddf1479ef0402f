"""Threads for a channel whose library blocks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

# As many as the channel has sends at a time.
_MOST = 4

_Result = TypeVar("_Result")


class AlertThreads:
    """The threads of one channel.

    A server that hangs keeps them. The event loop's own threads look up names for token requests.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_MOST, thread_name_prefix="alerts")

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run `work` in a thread. Raises what it raises."""
        loop, context = asyncio.get_running_loop(), copy_context()
        return await loop.run_in_executor(self._threads, lambda: context.run(work))

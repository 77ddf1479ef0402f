"""One task for all callers on this instance that want the same thing at the same time.

A task that must end, like an attempt whose answer is to be stored, is waited for behind the answer:
by the request that has begun it, and by no other.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Generic, TypeVar

# Longer than an attempt takes, and then the two minutes in which a store that is away is asked on;
# shorter than functions may run (300 s). What takes longer goes on where the instance does.
LONGEST_END = timedelta(minutes=3)

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class Begun:
    """What one request has set in motion, and what that has, as long as it runs."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, task: asyncio.Task[Any]) -> None:
        """Note a task until it is over."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait until nothing runs, whatever comes of it, but not for ever."""
        if self._tasks:
            await in_time(self._finish())

    async def _finish(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))


_begun: ContextVar[Begun | None] = ContextVar("begun", default=None)


@contextmanager
def beginning() -> Iterator[Begun]:
    """Collect what must end of what is begun within, and within the tasks that are begun there."""
    begun = Begun()
    token = _begun.set(begun)
    try:
        yield begun
    finally:
        _begun.reset(token)


async def in_time(finishing: Coroutine[None, None, None]) -> None:
    """Wait for the end of what was begun; where it takes too long, log so and let it run."""
    try:
        async with asyncio.timeout(LONGEST_END.total_seconds()):
            await finishing
    except TimeoutError:
        _log.warning(
            "work of a request still runs after %d s; no longer waiting for it",
            LONGEST_END.total_seconds(),
        )


class Shared(Generic[_Result]):
    """Running tasks by key. A task outlives the callers that wait for it."""

    def __init__(self, *, must_end: bool = False) -> None:
        """What `must_end` belongs to the request that starts it."""
        self._must_end = must_end
        self._tasks: dict[str, asyncio.Task[_Result]] = {}

    def get(self, key: str) -> asyncio.Task[_Result] | None:
        """Return the task that runs for this key, if one does; never one that is over.

        To wait for a task that is over does not yield, and who looped on it would never let it go.
        """
        task = self._tasks.get(key)
        return None if task is None or task.done() else task

    def start(
        self, key: str, work: Callable[[], Coroutine[None, None, _Result]]
    ) -> asyncio.Task[_Result]:
        """Return the task that runs for this key, or start one."""
        task = self.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._end(key, done))
            if self._must_end and (begun := _begun.get()) is not None:
                begun.add(task)
        return task

    async def finish(self) -> None:
        """Wait until nothing runs, whoever has begun it and whatever comes of it."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _end(self, key: str, task: asyncio.Task[_Result]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        # Where every caller has gone, nobody else would look at the exception.
        if not task.cancelled():
            task.exception()

"""One task for all callers on this instance that want the same thing at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Shared(Generic[_Result]):
    """Running tasks by key. A task outlives the callers that wait for it."""

    def __init__(self) -> None:
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
        return task

    async def finish(self) -> None:
        """Wait until nothing runs, whatever comes of it."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _end(self, key: str, task: asyncio.Task[_Result]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        # Where every caller has gone, nobody else would look at the exception.
        if not task.cancelled():
            task.exception()

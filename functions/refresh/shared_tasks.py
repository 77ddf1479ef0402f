"""One task for all concurrent callers of this instance that need the same result.

The request that starts a task which must end, such as a refresh, waits for it after its response.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Generic, TypeVar

# More than a refresh and the two minutes of late writes; less than a function may run (300 s).
FINISH_LIMIT = timedelta(minutes=3)

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)


class RequestTasks:
    """The running tasks that one request started, directly or not."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def add(self, task: asyncio.Task[Any]) -> None:
        """Add a task until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait until no task runs, within a limit."""
        if self._tasks:
            await wait_within_limit(self._finish())

    async def _finish(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))


_tasks_of_request: ContextVar[RequestTasks | None] = ContextVar("tasks_of_request", default=None)


@contextmanager
def collect_tasks() -> Iterator[RequestTasks]:
    """Collect the tasks that must end and that start within the block, or within its tasks."""
    tasks = RequestTasks()
    token = _tasks_of_request.set(tasks)
    try:
        yield tasks
    finally:
        _tasks_of_request.reset(token)


async def wait_within_limit(finishing: Coroutine[None, None, None]) -> None:
    """Wait within the limit; after it, log a warning and let the work run."""
    try:
        async with asyncio.timeout(FINISH_LIMIT.total_seconds()):
            await finishing
    except TimeoutError:
        _log.warning(
            "work of a request still runs after %d s; no longer waiting for it",
            FINISH_LIMIT.total_seconds(),
        )


class SharedTasks(Generic[_Result]):
    """Running tasks by key, which outlive their callers."""

    def __init__(self, *, must_end: bool = False) -> None:
        """A task that `must_end` belongs to the request that starts it."""
        self._must_end = must_end
        self._tasks: dict[str, asyncio.Task[_Result]] = {}

    def __len__(self) -> int:
        """Return how many tasks run."""
        return len(self._tasks)

    def get(self, key: str) -> asyncio.Task[_Result] | None:
        """Return the running task of this key, never a done one.

        Awaiting a done task does not yield, so that a loop over it would never end.
        """
        task = self._tasks.get(key)
        return None if task is None or task.done() else task

    def start(
        self, key: str, work: Callable[[], Coroutine[None, None, _Result]]
    ) -> asyncio.Task[_Result]:
        """Return the running task of this key, or start one."""
        task = self.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._end(key, done))
            if self._must_end and (tasks := _tasks_of_request.get()) is not None:
                tasks.add(task)
        return task

    async def finish(self) -> None:
        """Wait until no task runs."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def _end(self, key: str, task: asyncio.Task[_Result]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
        # Retrieve the exception, because every caller may be gone.
        if not task.cancelled():
            task.exception()

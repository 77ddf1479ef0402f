"""A deterministic event loop: virtual time, several processes, and a seeded scheduler.

Each process has a queue of its own, and runs it in order, as asyncio promises. A lot decides after
every callback which process is next, so that they interleave at every await. A process can stall
(its queue and its timers wait) or crash (nothing of it runs again, not even a `finally`). The world
has the rest: network, store and provider, where requests of before a crash still arrive.
"""

import asyncio
from asyncio import AbstractEventLoop, Future, Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar, TypeVarTuple

# Some hundred times what the longest run takes.
MOST_STEPS = 300_000

_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class DeadlockError(Exception):
    """Somebody waits, and nothing that would help will ever happen."""


@dataclass(eq=False, kw_only=True)
class Process:
    """The unit that runs, stalls and crashes as one."""

    name: str
    is_alive: bool = True
    stalled_until: float = -1
    queue: deque[Handle] = field(default_factory=deque)

    def run(self, work: Callable[..., _Result], *args: Any) -> _Result:
        """Call `work` as this process: its tasks and timers belong to it."""
        return self.context().run(work, *args)

    def context(self) -> Context:
        """Return a context in which everything that is begun belongs to this process."""
        context = copy_context()
        context.run(_process.set, self)
        return context


_process: ContextVar[Process] = ContextVar("_process")


def current_process() -> Process:
    """Return the process that is running."""
    return _process.get()


class SimulationLoop(AbstractEventLoop):
    """An event loop on which nothing happens but what its seed decides."""

    def __init__(self, random: Random) -> None:
        self.world = Process(name="world")
        self.world_context = self.world.context()
        self.steps = 0
        self.before_step: Callable[[Process], None] = lambda _process: None
        self.failure: BaseException | None = None
        self._random = random
        self._now = 0.0
        self._serial = 0
        self._timers: list[tuple[float, int, TimerHandle]] = []
        self._processes = [self.world]
        self._tasks: list[Task[Any]] = []

    def add(self, process: Process) -> None:
        """Let a process take part."""
        self._processes.append(process)

    def kill(self, process: Process) -> None:
        """End a process between two of its steps; what it has begun is not undone."""
        process.is_alive = False
        process.queue.clear()
        self._processes.remove(process)

    def fail(self, failure: BaseException) -> None:
        """Stop after this step; the first failure counts."""
        self.failure = self.failure or failure

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run `main` as the world until it is done. Raises the error of `fail`, DeadlockError."""
        asyncio._set_running_loop(self)
        try:
            done = self.world.run(self.create_task, main)
            while self.failure is None and not done.done():
                self._step()
                if self.steps > MOST_STEPS:
                    raise DeadlockError("everybody is busy, and nothing comes of it")
            if self.failure is not None:
                raise self.failure
            done.result()
        finally:
            self._bury()
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        now = self._now
        timers = self._timers
        while timers and timers[0][0] <= now:
            timer = heappop(timers)[2]
            if not timer.cancelled():
                self._enqueue(timer)
        ready = [
            process for process in self._processes if process.queue and process.stalled_until <= now
        ]
        if not ready:
            self._pass_time()
            return
        process = ready[0] if len(ready) == 1 else ready[int(self._random.random() * len(ready))]
        if process is not self.world:
            self.before_step(process)
            if not process.is_alive or process.stalled_until > now:
                return
        self.steps += 1
        handle = process.queue.popleft()
        if not handle.cancelled():
            handle._run()

    def _pass_time(self) -> None:
        """Jump to when something happens next."""
        instants = [
            process.stalled_until
            for process in self._processes
            if process.queue and process.stalled_until > self._now
        ]
        if self._timers:
            instants.append(self._timers[0][0])
        if not instants:
            raise DeadlockError("somebody waits, and nothing will ever happen again")
        self._now = max(self._now, min(instants))

    def _enqueue(self, handle: Handle) -> None:
        process = handle._context.get(_process, self.world)  # type: ignore[attr-defined]
        if process.is_alive:
            process.queue.append(handle)

    def _bury(self) -> None:
        """Close what is left, so that neither asyncio nor the interpreter complains of it."""
        self._timers.clear()
        for process in self._processes:
            process.queue.clear()
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                assert isinstance(coroutine, Coroutine)
                # It may be inside of an async generator, which cannot be closed from outside.
                with suppress(RuntimeError):
                    coroutine.close()
        self._tasks.clear()
        for process in self._processes:
            process.queue.clear()

    # The interface of an event loop.

    def time(self) -> float:
        """Return the simulated seconds since the start."""
        return self._now

    def call_soon(
        self,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> Handle:
        """Queue a callback behind the others of its process."""
        context = copy_context() if context is None else context
        handle = Handle(callback, args, self, context)
        process = context.get(_process, self.world)
        if process.is_alive:
            process.queue.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> TimerHandle:
        """Queue a callback after `delay` seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> TimerHandle:
        """Queue a callback at an instant."""
        handle = TimerHandle(when, callback, args, self, context or copy_context())
        self._serial += 1
        heappush(self._timers, (when, self._serial, handle))
        return handle

    def create_future(self) -> Future[Any]:
        """Return a future of this loop."""
        return Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, _Result] | Coroutine[Any, Any, _Result],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> Task[_Result]:
        """Return a task of this loop."""
        task = Task(coro, loop=self, name=name or "task", context=context)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        """Return that asyncio's debug mode is off."""
        return False

    def is_running(self) -> bool:
        """Return that the loop runs."""
        return True

    def is_closed(self) -> bool:
        """Return that the loop is open."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Fail on an exception of a callback; others belong to tasks of crashed processes."""
        if "handle" in context:
            self.fail(context["exception"])

    def _timer_handle_cancelled(self, handle: TimerHandle) -> None:
        """Leave it in the heap: it is skipped when it is due."""

"""Lambda's instances: each makes its handler once, and gives it one event at a time.

They are threads of this process. As on Lambda an event goes to an idle instance, or to a new one;
where there may be no more, it waits for one.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import httpx

from tests.system.lambda_events import MakeEvent, response_of

Handler: TypeAlias = Callable[[object, object], object]

# More than any test makes requests at once.
_ANY_NUMBER = 1000


class Instance:
    """One execution environment."""

    def __init__(self, make: Callable[[], Handler]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lambda")
        self._handler = self._thread.submit(make)

    def invoke(self, event: object) -> "Future[Any]":
        """Hand over an event, and have what the handler answers or raises, through JSON."""
        return self._thread.submit(self._invoke, json.dumps(event))

    def stop(self, close: Callable[[Handler], None]) -> None:
        """Stop it, and close what the handler holds."""
        self._thread.submit(lambda: close(self._handler.result())).result()
        self._thread.shutdown()

    def _invoke(self, event: str) -> Any:
        answer = self._handler.result()(json.loads(event), None)
        return json.loads(json.dumps(answer, allow_nan=False))


class LambdaTransport(httpx.AsyncBaseTransport):
    """Answer requests by instances, of which there are as many as there are requests at once."""

    def __init__(
        self,
        make: Callable[[], Handler],
        *,
        event_of: MakeEvent,
        close: Callable[[Handler], None],
        at_most: int = _ANY_NUMBER,
    ) -> None:
        self._make = make
        self._event_of = event_of
        self._close = close
        self._free = asyncio.Semaphore(at_most)
        self._idle: list[Instance] = []
        self._all: list[Instance] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer when the handler has returned; a caller may go earlier, and the handler not."""
        await request.aread()
        event = self._event_of(request)
        await self._free.acquire()
        instance = self._idle.pop() if self._idle else self._start()
        loop, invoked = asyncio.get_running_loop(), instance.invoke(event)
        invoked.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give_back, instance))
        return response_of(await asyncio.wrap_future(invoked))

    def stop(self) -> None:
        """Stop all instances."""
        while self._all:
            self._all.pop().stop(self._close)
        self._idle.clear()

    def _give_back(self, instance: Instance) -> None:
        self._idle.append(instance)
        self._free.release()

    def _start(self) -> Instance:
        self._all.append(Instance(self._make))
        return self._all[-1]

"""A blocking call for coroutines: in a thread, once for all that ask the same on one loop."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

    from oauth_callback.tokens import Token


class InThread:
    """Runs calls by key. A cancelled coroutine leaves the call to the others.

    The threads are daemons, and not those of the loop's executor: that one also resolves names, and
    `asyncio.run` waits for it at the end.
    """

    def __init__(self) -> None:
        self._pending: dict[tuple[AbstractEventLoop, str | None], Future[Token]] = {}

    def is_pending(self, key: str | None) -> bool:
        """Whether this loop waits for a call with the key."""
        import asyncio

        return (asyncio.get_running_loop(), key) in self._pending

    async def run(self, key: str | None, call: Callable[[], Token]) -> Token:
        """Return the result of the call. Raises its exceptions."""
        import asyncio

        loop = asyncio.get_running_loop()
        future = self._pending.get((loop, key))
        if future is None:
            future = self._pending[loop, key] = loop.create_future()
            # If all callers are cancelled, nobody reads the exception.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            Thread(target=self._call, args=(loop, key, call), daemon=True).start()
        return await asyncio.shield(future)

    def _call(self, loop: AbstractEventLoop, key: str | None, call: Callable[[], Token]) -> None:
        outcome: Token | BaseException
        try:
            outcome = call()
        except BaseException as error:  # noqa: BLE001 - it is raised on the loop
            outcome = error
        future = self._pending.pop((loop, key))
        # The loop may be closed by now.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, future, outcome)


def _settle(future: Future[Token], outcome: Token | BaseException) -> None:
    if future.done():
        return
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)

"""SIGTERM where the server leaves it to the system, which ends a process in the middle of its work.

Hypercorn's workers do, and it sends SIGTERM to those that are at work as soon as another one has
ended. A refresh that is cut off may have spent the refresh token.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress


def finish_before_sigterm(finish: Callable[[], Coroutine[None, None, None]]) -> None:
    """Let SIGTERM end this process after `finish` only; leave it to a server that handles it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    loop = asyncio.get_running_loop()
    finishing: list[asyncio.Task[None]] = []

    async def end() -> None:
        await finish()
        loop.remove_signal_handler(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)

    def handle() -> None:
        if not finishing:
            finishing.append(loop.create_task(end()))

    # Not on Windows, where nothing sends it.
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, handle)

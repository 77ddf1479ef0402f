"""SIGTERM for servers that do not handle it, such as Hypercorn's workers.

Hypercorn sends SIGTERM to working workers once another one has ended. An interrupted refresh may
lose the refresh token.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress


def finish_before_sigterm(finish: Callable[[], Coroutine[None, None, None]]) -> None:
    """Let SIGTERM end this process after `finish`, unless the server handles it."""
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

    # Windows has no SIGTERM.
    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, handle)

"""The sweep's turns for alerts, apart from its refreshes: neither delays the other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from ports.clock import Clock
from ports.store import StoreUnavailableError, UnreadableRecordError

MAX_CONCURRENCY = 8
# Turns are faster than refreshes, except where a channel is away. Then time runs out before that.
MAX_WAITING = 1000

_log = logging.getLogger(__name__)


class AlertTurns:
    """Settles the alerts of connections, some at a time, until time is up.

    A connection that gets no turn stays due for the next sweep.
    """

    def __init__(
        self, settle: Callable[[str], Awaitable[None]], clock: Clock, *, end: datetime
    ) -> None:
        """`settle` raises what `Keeper.settle_alerts` raises, SettingsError, UnknownClientError."""
        self._settle = settle
        self._clock = clock
        self._end = end
        self._turns = asyncio.Semaphore(MAX_CONCURRENCY)
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, connection: str) -> None:
        """Give a connection a turn, unless too many wait for one."""
        if len(self._tasks) < MAX_WAITING:
            task = asyncio.create_task(self._take(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def finish(self) -> None:
        """Wait for all turns."""
        await asyncio.gather(*self._tasks)

    async def _take(self, connection: str) -> None:
        async with self._turns:
            if self._clock.now() >= self._end:
                return
            try:
                await self._settle(connection)
            except (
                SettingsError,
                StoreUnavailableError,
                UnknownClientError,
                UnreadableRecordError,
            ) as error:
                _log.warning("connection %s: its alerts are not checked: %s", connection, error)
            except Exception:  # noqa: BLE001 - the other connections must go on
                _log.exception("connection %s: its alerts are not checked", connection)

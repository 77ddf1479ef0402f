"""Waits for the replicas of a server, so that only those that are behind are reported so."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from ports.facts import ReplicaFacts, UnreadFact

# A replica that lacks after this time what had been written before is behind.
_CATCH_UP = timedelta(seconds=3)
_LOOK_EVERY = timedelta(milliseconds=200)


async def once_caught_up(
    read: Callable[[], Awaitable[tuple[ReplicaFacts, ...] | UnreadFact]],
) -> tuple[ReplicaFacts, ...] | UnreadFact:
    """Return what `read` finds once each replica has applied all changes, or after three seconds.

    Raises the exceptions of `read`.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + _CATCH_UP.total_seconds()
    while True:
        replicas = await read()
        if isinstance(replicas, UnreadFact) or loop.time() >= ends:
            return replicas
        if not any(each.unapplied for each in replicas):
            return replicas
        await asyncio.sleep(_LOOK_EVERY.total_seconds())

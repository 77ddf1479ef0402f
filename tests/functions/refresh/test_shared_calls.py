"""Concurrent callers share one call, and its end, also if the caller that makes it is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from functions.refresh.shared_tasks import SharedCalls

CALLERS = 3
# Seconds, for a test that fails.
LIMIT = 10


class Work:
    """Counts its calls, each of which ends when it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.is_second = asyncio.Event()
        self.may_end = asyncio.Event()

    async def call(self) -> int:
        """Return the number of this call."""
        self.calls += 1
        number = self.calls
        if number > 1:
            self.is_second.set()
        await self.may_end.wait()
        return number


async def begin(
    one: SharedCalls[int], call: Callable[[], Coroutine[None, None, int]]
) -> list[asyncio.Task[int]]:
    """Let each caller ask for a call."""
    tasks = [asyncio.create_task(one.get("key", call)) for _ in range(CALLERS)]
    # Each one begins in the first turn of the loop.
    await asyncio.sleep(0)
    return tasks


def test_callers_at_once_share_a_call_and_later_ones_make_another() -> None:
    async def story() -> None:
        calls, work = SharedCalls[int](), Work()
        tasks = await begin(calls, work.call)
        work.may_end.set()
        assert await asyncio.gather(*tasks) == [1, 1, 1]
        assert await calls.get("key", work.call) == 2

    asyncio.run(story())


def test_callers_at_once_share_the_error_of_a_call() -> None:
    async def story() -> None:
        calls, work = SharedCalls[int](), Work()

        async def fail() -> int:
            return await work.call() // 0

        tasks = await begin(calls, fail)
        work.may_end.set()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in errors] == [ZeroDivisionError] * CALLERS
        assert work.calls == 1
        with pytest.raises(ZeroDivisionError):
            await calls.get("key", fail)

    asyncio.run(story())


def test_if_the_caller_that_makes_a_call_is_cancelled_the_next_one_makes_it() -> None:
    async def story() -> None:
        calls, work = SharedCalls[int](), Work()
        first, *others = await begin(calls, work.call)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        # Both wake, and one of them begins.
        async with asyncio.timeout(LIMIT):
            await work.is_second.wait()
        await asyncio.sleep(0)
        work.may_end.set()
        assert await asyncio.gather(*others) == [2, 2]

    asyncio.run(story())


def test_a_caller_that_is_cancelled_while_it_waits_ends_alone() -> None:
    async def story() -> None:
        calls, work = SharedCalls[int](), Work()
        first, second, third = await begin(calls, work.call)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        work.may_end.set()
        assert [await first, await third] == [1, 1]

    asyncio.run(story())

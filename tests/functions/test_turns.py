"""Turns at something slow: fewer at one time as it slows down, and more as it recovers."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from functions.refresh.turns import Turns

SLOW = timedelta(seconds=1)
MOST = 3

Take = Callable[[float], Awaitable[None]]


def with_turns(story: Callable[[Turns, Take], Awaitable[None]]) -> None:
    """Tell a story of turns that take as many seconds as it says, on a clock that it moves on."""

    async def run() -> None:
        loop, turns, ahead = asyncio.get_running_loop(), Turns(MOST, slow=SLOW), 0.0
        monotonic = loop.time
        setattr(loop, "time", lambda: monotonic() + ahead)  # noqa: B010 - for the type checker

        async def take(seconds: float) -> None:
            nonlocal ahead
            async with turns.turn():
                ahead += seconds

        await story(turns, take)

    asyncio.run(run())


def test_each_slow_turn_leaves_one_fewer_and_the_last_one_stays() -> None:
    async def story(turns: Turns, take: Take) -> None:
        for expected in (2, 1, 1, 1):
            await take(60)
            assert turns.limit == expected
        async with turns.turn():
            assert turns.are_taken()
        assert not turns.are_taken()

    with_turns(story)


def test_each_quick_turn_brings_one_back_up_to_as_many_as_there_were() -> None:
    async def story(turns: Turns, take: Take) -> None:
        await take(60)
        await take(60)
        for expected in (2, 3, 3):
            await take(0)
            assert turns.limit == expected
        async with turns.turn(), turns.turn():
            assert not turns.are_taken()
            async with turns.turn():
                assert turns.are_taken()

    with_turns(story)


def test_who_waits_is_next_though_what_went_before_failed() -> None:
    async def story(turns: Turns, _take: Take) -> None:
        order = list[int]()

        async def fail(number: int) -> None:
            async with turns.turn():
                order.append(number)
                await asyncio.sleep(0)
                raise OSError

        ended = await asyncio.gather(*map(fail, range(7)), return_exceptions=True)
        assert order == list(range(7))
        assert all(isinstance(error, OSError) for error in ended)
        assert turns.limit == MOST

    with_turns(story)

"""ConcurrencyLimit at something slow: fewer at a time as it slows down, more as it recovers."""

import asyncio
from datetime import timedelta

import pytest

from functions.refresh.concurrency_limit import ConcurrencyLimit

pytestmark = pytest.mark.anyio

MOST = 3
QUICK, SLOW = 0, 3600


class TimedLimit(ConcurrencyLimit):
    """ConcurrencyLimit on a clock that moves on only with them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(MOST, slow=timedelta(minutes=10))
        self.ahead = 0
        loop = asyncio.get_running_loop()
        monotonic = loop.time
        monkeypatch.setattr(loop, "time", lambda: monotonic() + self.ahead)

    async def take(self, seconds: int) -> int:
        """Take a turn, and return how many may be taken at once after it."""
        async with self.turn():
            self.ahead += seconds
        return self.limit


@pytest.fixture
async def limit(monkeypatch: pytest.MonkeyPatch) -> TimedLimit:
    return TimedLimit(monkeypatch)


async def test_each_slow_turn_leaves_one_fewer_and_the_last_one_stays(limit: TimedLimit) -> None:
    assert [await limit.take(SLOW) for _ in range(4)] == [2, 1, 1, 1]
    async with limit.turn():
        assert limit.is_reached()
    assert not limit.is_reached()


async def test_each_quick_turn_brings_one_back_up_to_the_first_number(limit: TimedLimit) -> None:
    assert [await limit.take(seconds) for seconds in (SLOW, SLOW, QUICK, QUICK, QUICK)] == [
        2,
        1,
        2,
        3,
        3,
    ]
    async with limit.turn(), limit.turn():
        assert not limit.is_reached()
        async with limit.turn():
            assert limit.is_reached()


async def test_next_in_line_has_its_turn_though_the_one_before_failed(limit: TimedLimit) -> None:
    order = list[int]()

    async def fail(number: int) -> None:
        async with limit.turn():
            order.append(number)
            await asyncio.sleep(0)
            raise OSError

    ended = await asyncio.gather(*map(fail, range(7)), return_exceptions=True)
    assert order == list(range(7))
    assert all(isinstance(error, OSError) for error in ended)
    assert limit.limit == MOST

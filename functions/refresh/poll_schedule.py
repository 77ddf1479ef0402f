"""When to look at the store for the end of another instance's attempt.

Instants are seconds from the first sight of the attempt. Looks are dense where the last refreshes
say that it ends, and thin elsewhere. Without last refreshes, each pause is a part of the wait.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from domain.ledger import RefreshTimes

# Of one instance, in any second.
MAX_LOOKS = 12
# A caller that waits learns of the end within this.
LONGEST_PAUSE = 1.0
# Less than a store takes to answer.
_SHORTEST_PAUSE = 0.01
# Without last refreshes. A faster provider is rare, and twelve looks reach across a second.
_FIRST_LOOK = 0.08
_GROWTH = 1.3
# A look half-way to the expected end, in case the attempt is faster or began earlier than it seems.
_EARLY_PAUSE = 0.1
# The expected end lasts from a little before the fast refreshes to a little after the slow ones.
_BEFORE, _AFTER = 0.95, 1.15
# How many pauses it has, unless they are longer than a quarter of the wait.
_DENSE_PAUSES = 6
_WIDEST = 4
_COARSE_PAUSE = 0.08
# After it. The pauses of a refresh that is a little late are a little longer.
_SLOWING = 1.7
# Of sums of floats.
_ROUNDING = 1e-9


def looks(times: RefreshTimes, *, age: timedelta) -> Iterator[float]:
    """Yield the instants of looks, without end: at most `MAX_LOOKS` in any second.

    `times`: how long the last refreshes took. `age`: of the attempt at first sight. Two clocks
    measure it. So it counts only while an attempt of that age should still run.
    """
    wanted = _expected(*_expected_end(times, age)) if times else _unexpected()
    recent: list[float] = []
    for at in wanted:
        allowed = max(at, earliest_look(recent))
        recent = [*recent[1 - MAX_LOOKS :], allowed]
        yield allowed


def earliest_look(recent: Sequence[float], *, is_shared: bool = False) -> float:
    """Return when the next look is allowed, after the `recent` ones, oldest first.

    `is_shared`: several connections are waited for. Their looks are evenly apart: in a burst for
    one of them, the others would wait for the rest of the second.
    """
    allowed = recent[-MAX_LOOKS] + 1 if len(recent) >= MAX_LOOKS else 0.0
    return max(allowed, recent[-1] + 1 / MAX_LOOKS) if is_shared and recent else allowed


def _expected_end(times: RefreshTimes, age: timedelta) -> tuple[float, float]:
    """Return from when to when the attempt should end."""
    seconds = sorted(each.total_seconds() for each in times)
    # Without the fastest and the slowest: one of them may be an exception.
    middle = seconds[1:-1] or seconds
    first, last = middle[0] * _BEFORE, middle[-1] * _AFTER + _SHORTEST_PAUSE
    passed = age.total_seconds()
    if 0 <= passed <= last:
        first, last = first - passed, last - passed
    # Otherwise the clocks differ, or this attempt is slower than the last ones.
    return max(first, _SHORTEST_PAUSE), max(last, _SHORTEST_PAUSE)


def _unexpected() -> Iterator[float]:
    at = _FIRST_LOOK
    while True:
        yield at
        at += min(at * (_GROWTH - 1), LONGEST_PAUSE)


def _expected(first: float, last: float) -> Iterator[float]:
    yield from _before(first)
    pause = min(max((last - first) / _DENSE_PAUSES, _SHORTEST_PAUSE), LONGEST_PAUSE)
    at = first
    while at < last - _ROUNDING:
        yield at
        at += min(pause, max(at / _WIDEST, _COARSE_PAUSE))
    yield last
    yield from _after(last, min(pause, _COARSE_PAUSE))


def _before(first: float) -> Iterator[float]:
    pause = min(max(first / 2, _EARLY_PAUSE), LONGEST_PAUSE)
    at = pause
    while at < first - _ROUNDING:
        yield at
        at += pause


def _after(last: float, pause: float) -> Iterator[float]:
    at = last
    while True:
        pause = min(_SLOWING * pause, LONGEST_PAUSE)
        at += pause
        yield at

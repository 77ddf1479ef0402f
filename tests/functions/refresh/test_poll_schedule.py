"""When the store is looked at: often enough, not too often, and most where the answer is due."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import MAX_REFRESH_TIMES, RefreshTimes
from functions.refresh.poll_schedule import LONGEST_PAUSE, MAX_LOOKS, earliest_look, looks

# As long as a provider may take.
SLOWEST = 30.0
# Two clocks that differ by two minutes, and an attempt of half a minute.
AGES = st.floats(-150, 150)
NEW = timedelta(0)
# Sums of floats.
ROUNDING = 1e-6

durations = st.floats(0, SLOWEST) | st.sampled_from([0.0, 0.05, 0.1, 0.3, 1.0, SLOWEST])
all_times = st.lists(durations, max_size=MAX_REFRESH_TIMES)
known_times = st.lists(durations, min_size=1, max_size=MAX_REFRESH_TIMES)


def times_of(seconds: Sequence[float]) -> RefreshTimes:
    return tuple(timedelta(seconds=each) for each in seconds)


def first_look_at_or_after(end: float, seconds: Sequence[float], age: float = 0) -> float:
    return next(at for at in looks(times_of(seconds), age=timedelta(seconds=age)) if at >= end)


@given(seconds=all_times, age=AGES)
def test_no_second_has_more_looks_than_allowed_and_none_is_without(
    seconds: list[float], age: float
) -> None:
    instants = list(islice(looks(times_of(seconds), age=timedelta(seconds=age)), 100))
    assert all(
        later - earlier >= 1 - ROUNDING
        for earlier, later in zip(instants, instants[MAX_LOOKS:], strict=False)
    )
    pauses = [later - earlier for earlier, later in pairwise([0.0, *instants])]
    assert min(pauses) > 0
    assert max(pauses) <= LONGEST_PAUSE + ROUNDING


@given(seconds=known_times, data=st.data())
def test_refresh_as_long_as_the_last_ones_is_seen_soon_after_its_end(
    seconds: list[float], data: st.DataObject
) -> None:
    usual = sorted(seconds)[1:-1] or sorted(seconds)
    end = data.draw(st.floats(usual[0], usual[-1]))
    age = data.draw(st.floats(0, end))
    late = first_look_at_or_after(end - age, seconds, age) - (end - age)
    # Six pauses in the time that the end is expected in, or a quarter of the wait if that is less.
    expected_end = 1.15 * usual[-1] - 0.95 * usual[0]
    assert late <= max(0.02, min(expected_end / 6, max(0.08, (end - age) / 4))) + ROUNDING


@given(end=st.floats(0.08, SLOWEST))
def test_without_last_refreshes_nobody_waits_a_third_longer_than_needed(end: float) -> None:
    late = first_look_at_or_after(end, []) - end
    assert late <= min(0.3 * end, LONGEST_PAUSE) + ROUNDING


@given(usual=st.floats(0.05, 5), end=st.floats(0.05, SLOWEST), age=AGES)
def test_refresh_unlike_the_last_ones_is_seen_though_the_clocks_differ(
    usual: float, end: float, age: float
) -> None:
    late = first_look_at_or_after(end, [usual] * MAX_REFRESH_TIMES, age) - end
    assert late <= LONGEST_PAUSE + ROUNDING


@pytest.mark.parametrize(
    ("seconds", "age", "expected"),
    [
        pytest.param([], 0, [0.08, 0.104, 0.135, 0.176, 0.228, 0.297], id="nothing-known"),
        pytest.param([0.3] * 5, 0, [0.142, 0.285, 0.297, 0.308, 0.32], id="from-the-start"),
        pytest.param([0.3] * 5, 0.2, [0.085, 0.097, 0.108, 0.12], id="began-earlier"),
        pytest.param([0.3] * 5, -120, [0.142, 0.285, 0.297, 0.308, 0.32], id="clock-behind"),
        pytest.param([0.3] * 5, 120, [0.142, 0.285, 0.297, 0.308, 0.32], id="clock-ahead"),
        pytest.param([0.3, 0.3, 9, 0.3, 0], 0, [0.142, 0.285, 0.297, 0.308], id="two-exceptions"),
        pytest.param([0.3, 9, 0.3], 0, [0.142, 0.285, 0.297, 0.308, 0.32], id="one-of-three"),
        pytest.param([3.0], 0, [1, 2, 2.85, 2.952, 3.053, 3.155], id="slow"),
        pytest.param([0.0], 0, [0.01, 0.027, 0.056], id="at-once"),
    ],
)
def test_looks_are_dense_where_the_answer_is_due(
    seconds: list[float], age: float, expected: list[float]
) -> None:
    found = islice(looks(times_of(seconds), age=timedelta(seconds=age)), len(expected))
    assert list(found) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    ("recent", "is_shared", "expected"),
    [
        pytest.param([], True, 0, id="first"),
        pytest.param([5.0] * 11, False, 0, id="eleven"),
        pytest.param([5.0] * 12, False, 6, id="twelve"),
        pytest.param([4.0, *[5.0] * 12], False, 6, id="an-older-one"),
        pytest.param([5.0], True, 5 + 1 / 12, id="several-connections"),
        pytest.param([5.0] * 12, True, 6, id="several-connections-after-twelve"),
    ],
)
def test_next_look_is_allowed(recent: list[float], *, is_shared: bool, expected: float) -> None:
    assert earliest_look(recent, is_shared=is_shared) == pytest.approx(expected)

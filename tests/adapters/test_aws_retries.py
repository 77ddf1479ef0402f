"""The rate limit of calls to AWS, compared with botocore's own."""

from typing import Any
from unittest.mock import patch

from botocore.retries.adaptive import ClientRateLimiter, RateClocker
from botocore.retries.bucket import TokenBucket
from botocore.retries.throttling import CubicCalculator
from hypothesis import given
from hypothesis import strategies as st

from adapters.aws_retries import _RateLimit

# Seconds since the last answer, and whether this one is a throttle.
ANSWERS = st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.3, 0.5, 5.0]), st.booleans()))


class SetClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.25

    def current_time(self) -> float:
        return self.now


class Told:
    """Takes an answer for a throttle if the test says so."""

    @staticmethod
    def is_throttling_error(*, is_throttled: bool) -> bool:
        return is_throttled


@given(ANSWERS)
def test_the_rate_is_the_one_of_botocore(answers: list[tuple[float, bool]]) -> None:
    clock = SetClock()
    with (
        patch("adapters.aws_retries.time.time", clock.current_time),
        patch("botocore.retries.bucket.Clock", lambda: clock),
    ):
        ours, theirs = _RateLimit(), botocores(clock)
        for seconds, is_throttled in answers:
            clock.now += seconds
            ours.record(is_throttled=is_throttled)
            theirs.on_receiving_response(is_throttled=is_throttled)
            assert ours.has_begun == theirs._enabled
            if ours.has_begun:
                assert ours._bucket.max_rate == theirs._token_bucket.max_rate


def botocores(clock: Any) -> Any:
    return ClientRateLimiter(
        rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=clock.now),
        rate_clocker=RateClocker(clock),
        token_bucket=TokenBucket(max_rate=1, clock=clock),
        throttling_detector=Told(),
        clock=clock,
    )

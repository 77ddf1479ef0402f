"""Which failed calls to AWS are repeated, and when: the rules of botocore, whose codes these are.

After a throttle, calls wait for their turn at a rate that the answers adjust. botocore calls this
mode `adaptive`, and its own parts do that.
"""

import math
import random
import time
from datetime import timedelta
from http import HTTPStatus
from threading import Lock
from typing import Any

_THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_TIMEOUTS = frozenset({"RequestTimeout", "RequestTimeoutException"})
_FAULTS = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
# Random, so that callers that failed together do not return together.
_LONGEST_PAUSE = timedelta(seconds=1)
# A hundred repetitions, and one more for each five answers: an outage is not made worse.
_QUOTA = 500
_COST = 5
# A call that timed out has kept a thread for long.
_TIMEOUT_COST = 10
_MOST_OF_MEASURED = 2.0


def is_throttle(code: str | None) -> bool:
    """Whether an error code is about the rate of calls."""
    return code in _THROTTLES


def is_temporary(code: str | None, status: int) -> bool:
    """Whether the same call may succeed at once."""
    return code in _THROTTLES or code in _TIMEOUTS or status in _FAULTS


class Retries:
    """The quota of repetitions, and the rate limit, of one client. Threads can share it."""

    def __init__(self, *, is_adaptive: bool) -> None:
        self._quota = _QUOTA
        self._lock = Lock()
        self._rate_limit = _RateLimit() if is_adaptive else None

    @property
    def has_rate_limit(self) -> bool:
        """Whether calls wait for their turn: after a throttle."""
        return self._rate_limit is not None and self._rate_limit.has_begun

    def wait_for_turn(self) -> None:
        """Wait until the rate limit allows a request. Blocks."""
        if self._rate_limit is not None:
            self._rate_limit.wait()

    def record(self, code: str | None) -> None:
        """Adjust the rate limit to an answer, or to the lack of one."""
        if self._rate_limit is not None:
            self._rate_limit.record(is_throttled=is_throttle(code))

    def claim(self, *, timed_out: bool) -> int:
        """Return what a repetition takes of the quota, or 0 if there is too little left."""
        cost = _TIMEOUT_COST if timed_out else _COST
        with self._lock:
            if cost > self._quota:
                return 0
            self._quota -= cost
        return cost

    def give_back(self, cost: int) -> None:
        """Return what a successful call had claimed, or a little if it was not repeated."""
        if self._quota < _QUOTA:
            with self._lock:
                self._quota = min(_QUOTA, self._quota + (cost or 1))


def pause() -> None:
    """Wait before a repetition. Blocks."""
    time.sleep(random.random() * _LONGEST_PAUSE.total_seconds())  # noqa: S311 - no secret


class _RateLimit:
    """A limit of requests per second, which begins with the first throttle."""

    def __init__(self) -> None:
        self._clock = _RateClock()
        self._lock = Lock()
        self._curve: Any = None
        self._bucket: Any = None

    @property
    def has_begun(self) -> bool:
        return self._bucket is not None

    def wait(self) -> None:
        if self.has_begun:
            self._bucket.acquire()

    def record(self, *, is_throttled: bool) -> None:
        with self._lock:
            measured, now = self._clock.record(), time.time()
            if not is_throttled and not self.has_begun:
                return
            if is_throttled:
                rate = self._slower(measured, now)
            else:
                rate = self._curve.success_received(now)
            self._bucket.max_rate = min(rate, _MOST_OF_MEASURED * measured)

    def _slower(self, measured: float, now: float) -> float:
        if not self.has_begun:
            self._begin(now)
        else:
            measured = min(measured, self._bucket.max_rate)
        slower: float = self._curve.error_received(measured, now)
        return slower

    def _begin(self, now: float) -> None:
        # Imported only after a throttle.
        from botocore.retries.bucket import Clock, TokenBucket
        from botocore.retries.throttling import CubicCalculator

        self._curve = CubicCalculator(starting_max_rate=0, start_time=now)
        self._bucket = TokenBucket(max_rate=1, clock=Clock())


class _RateClock:
    """Measures the answers per second, in steps of half a second, smoothed as botocore does."""

    _STEP = 0.5
    _SMOOTHING = 0.8

    def __init__(self) -> None:
        self._rate = 0.0
        self._step_began = float(math.floor(time.time()))
        self._count = 0

    def record(self) -> float:
        """Count an answer and return the rate."""
        self._count += 1
        began = math.floor(time.time() / self._STEP) * self._STEP
        if began > self._step_began:
            latest = self._count / (began - self._step_began)
            self._rate = latest * self._SMOOTHING + self._rate * (1 - self._SMOOTHING)
            self._count, self._step_began = 0, began
        return self._rate

"""Whether the time that a refusal takes tells how near a key came: it must not.

Keys that differ from a right one in their first byte, in their last, and in their length are
refused in random order, each a new one. Of two kinds it is counted in how many pairs of times one
is the longer (Mann and Whitney), which a few slow ones do not spoil; block by block, as other load
comes in bursts. That this would see a difference is shown by a comparison that ends at the first
byte that differs. What a key's length adds to the time is known to who sent it.
"""

import gc
import random
import secrets
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from statistics import NormalDist, mean, median, stdev
from typing import TypeAlias

from functions.access.gate import key_of_request
from functions.http.messages import Request
from functions.settings.api_keys import ApiKey, digest_of
from tests.bench.figures import Row

_KEYS = 10
# Times of a kind that met about the same load.
_BLOCK = 100
_FIRST = "first byte wrong"
_LAST = "last byte wrong"

MakeKey: TypeAlias = Callable[[], bytes]


def key_timing_rows(*, comparisons: int) -> list[Row]:
    """Measure so many refusals of each kind."""
    keys = [secrets.token_hex(24).encode() for _ in range(_KEYS)]
    kept = [ApiKey(name=str(place), digest=digest_of(key)) for place, key in enumerate(keys)]
    right = keys[_KEYS // 2]
    kinds = _near(right)

    def real(request: Request) -> bool:
        return key_of_request(request, kept) is None

    def naive(request: Request) -> bool:
        return any(a != b for a, b in zip(request.headers[0][1], right, strict=False))

    times = _measure(real, kinds, comparisons)
    near = {kind: kinds[kind] for kind in (_FIRST, _LAST)}
    control = _measure(naive, near, comparisons)
    return [
        *(_row(f"key, {kind}", times[kind], times[_FIRST]) for kind in kinds if kind != _FIRST),
        _row("control that ends early", control[_LAST], control[_FIRST]),
    ]


def compared(times: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """Return how probably one of the times is longer than one of the others, and the p-value.

    One half is no difference; the p-value is how probably chance alone would make as much of one.
    """
    places = range(0, min(len(times), len(others)), _BLOCK)
    shares = [_longer(times[at : at + _BLOCK], others[at : at + _BLOCK]) for at in places]
    error = stdev(shares) / sqrt(len(shares)) if len(shares) > 1 else 0.0
    z = (mean(shares) - 0.5) / error if error else 0.0
    return mean(shares), 2 * NormalDist().cdf(-abs(z))


def _longer(times: Sequence[float], others: Sequence[float]) -> float:
    """Return in how many of all pairs the first is longer; of equal ones, half of them."""
    ordered = sorted(others)
    below = sum(bisect_left(ordered, value) + bisect_right(ordered, value) for value in times)
    return below / (2 * len(times) * len(others))


def _near(right: bytes) -> Mapping[str, MakeKey]:
    """Make keys that are no key, new ones each time: none has a place in memory of its own."""

    def other(byte: int) -> bytes:
        return bytes([secrets.choice([code for code in b"0123456789abcdef" if code != byte])])

    return {
        _FIRST: lambda: other(right[0]) + right[1:],
        _LAST: lambda: right[:-1] + other(right[-1]),
        "two bytes too long": lambda: right + secrets.token_hex(1).encode(),
        "nothing right": lambda: secrets.token_hex(24).encode(),
    }


def _measure(
    refuse: Callable[[Request], bool], kinds: Mapping[str, MakeKey], comparisons: int
) -> Mapping[str, list[float]]:
    # Made beforehand: what makes a key of one kind leaves other things in the caches than what
    # makes another, and that shows. So does where it puts the key: all are copied alike.
    order = random.sample([*kinds] * comparisons, len(kinds) * comparisons)
    keys = [(kind, bytearray(kinds[kind]())) for kind in order]
    requests = [(kind, _request(bytes(key))) for kind, key in keys]
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    gc.disable()
    try:
        for kind, request in requests:
            begun = time.perf_counter_ns()
            is_refused = refuse(request)
            times[kind].append(time.perf_counter_ns() - begun)
            assert is_refused
    finally:
        gc.enable()
    return times


def _request(key: bytes) -> Request:
    headers = ((b"host", b"keeper.test"), (b"x-api-key", key))[::-1]
    return Request(method="GET", path="/api/token", parameters={}, headers=headers)


def _row(what: str, times: Sequence[float], base: Sequence[float]) -> Row:
    probability, p = compared(times, base)
    return Row(
        cells=(
            what,
            f"{median(times) / 1000:.3f} us",
            f"{_FIRST}: {median(base) / 1000:.3f} us",
            f"longer in {probability:.1%}, p {p:.2g}",
        )
    )

"""The clock that measures how old a token is."""

from __future__ import annotations

import sys
import time


def _clock_id() -> int | None:
    """Return a clock that also counts while the machine is suspended."""
    if sys.platform == "darwin":
        return time.CLOCK_MONOTONIC
    return getattr(time, "CLOCK_BOOTTIME", None)


_CLOCK = _clock_id()


def elapsed() -> float:
    """Return seconds since an unspecified time, which never jump.

    `time.monotonic` stands still on Linux and macOS while a laptop sleeps. A token that expired
    meanwhile would look valid.
    """
    try:
        return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
    except OSError:
        return time.monotonic()

"""How tests wait for other processes and threads."""

import time
from collections.abc import Callable

from tests.patience import PATIENCE


def wait_until(holds: Callable[[], bool], *, every: float = 0.02) -> None:
    """Poll every so many seconds until it holds. Raises AssertionError after the patience."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while not holds():
        assert time.monotonic() < deadline, "the condition did not hold in time"
        time.sleep(every)

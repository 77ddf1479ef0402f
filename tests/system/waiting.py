"""How tests wait for what other processes do."""

import time
from collections.abc import Callable

_LIMIT = 30.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll; that something does not come true within half a minute is a failure."""
    deadline = time.monotonic() + _LIMIT
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)

"""How tests wait for what other processes and threads do."""

import time
from collections.abc import Callable

_LIMIT = 180.0


def wait_until(holds: Callable[[], bool]) -> None:
    """Poll; that something does not come true within three minutes is a failure."""
    deadline = time.monotonic() + _LIMIT
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

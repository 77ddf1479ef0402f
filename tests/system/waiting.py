"""How tests wait for what other processes and threads do."""

import time
from collections.abc import Callable

_LIMIT = 60.0


def wait_until(holds: Callable[[], bool], *, within: float = _LIMIT) -> None:
    """Poll; that something does not come true within so many seconds is a failure."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)

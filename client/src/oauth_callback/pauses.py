"""How long the keeper is left alone after failures."""

from __future__ import annotations

import os

from oauth_callback.errors import KeeperError, TryLater, again

LONGEST_PAUSE = 300.0
"""Seconds. A maintenance page may ask for a day, and the keeper be back in a minute."""
_LONGEST_BACKOFF = 60.0
_LONGEST_WITHOUT_TOKEN = 8.0


class Pause:
    """Failures in a row. Until `until`, by the source's clock, the keeper wants no request."""

    def __init__(self) -> None:
        self.until = float("-inf")
        self._failures = 0
        self._error: KeeperError | None = None

    def failed(self, error: KeeperError, *, now: float, has_token: bool) -> float:
        """Count a failure, and return the time of the next try.

        `has_token` is whether callers have a token meanwhile, so that there is no hurry.
        """
        longest = _LONGEST_BACKOFF if has_token else _LONGEST_WITHOUT_TOKEN
        backoff = min(longest, 2.0 ** min(self._failures, 10)) * _jitter()
        self._failures += 1
        self._error = error
        asked = error.retry_after if isinstance(error, TryLater) else 0.0
        self.until = now + min(LONGEST_PAUSE, asked)
        return max(self.until, now + backoff)

    def error(self, now: float) -> KeeperError | None:
        """Return the error that still holds, or None if the keeper may be asked."""
        if self._error is None or now >= self.until:
            return None
        error = again(self._error)
        if isinstance(error, TryLater):
            error.retry_after = self.until - now
        return error


def _jitter() -> float:
    """Return a factor from 0.5 to 1, so that processes that failed together do not ask together."""
    return 0.5 + os.urandom(1)[0] / 510

"""Digi-Key's quotas for product information: 120 requests a minute, and 1,000 a day.

As on developer.digikey.com, "Shared Concepts": each response reports what is left, and a 429 has
Retry-After.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(slots=True, kw_only=True)
class Quota:
    """A number of requests in any window of some seconds."""

    prefix: str
    limit: int
    seconds: float
    _taken: deque[float] = field(default_factory=deque)

    def wait(self, now: float) -> float:
        """Return the seconds until the next request is allowed; 0 if it is now."""
        while self._taken and not now - self.seconds < self._taken[0] <= now:
            self._taken.popleft()
        return 0.0 if len(self._taken) < self.limit else self._taken[0] + self.seconds - now

    def take(self, now: float) -> None:
        """Count a request."""
        self._taken.append(now)

    def headers(self, now: float) -> tuple[tuple[str, str], ...]:
        """Return what is left, and when the oldest request no longer counts."""
        reset = self._taken[0] + self.seconds if self._taken else now
        return (
            (f"x-{self.prefix}-limit", str(self.limit)),
            (f"x-{self.prefix}-remaining", str(self.limit - len(self._taken))),
            (f"x-{self.prefix}-reset", str(math.ceil(reset - now))),
            (f"x-{self.prefix}-resettime", datetime.fromtimestamp(reset, UTC).isoformat()),
        )


class Quotas:
    """Both quotas of the one client. A refused request counts against neither."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._quotas = (
            Quota(prefix="burstlimit", limit=120, seconds=60.0),
            Quota(prefix="ratelimit", limit=1000, seconds=24 * 3600.0),
        )

    def take(self) -> int | None:
        """Count a request. Return whole seconds to wait instead if a quota is used up."""
        now = self._now()
        wait = max(quota.wait(now) for quota in self._quotas)
        if wait > 0:
            return math.ceil(wait)
        for quota in self._quotas:
            quota.take(now)
        return None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of both."""
        now = self._now()
        return tuple(header for quota in self._quotas for header in quota.headers(now))

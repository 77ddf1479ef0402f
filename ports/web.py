"""One HTTP request to whoever serves an address, as a stranger makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """What was answered, and when: `sent_at` and `came_at` by this machine's clock.

    The names of the headers are in lower case. `body` is empty where it is too long.
    `certificate_ends` is None where there was no TLS, or where it does not show.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: datetime
    came_at: datetime
    took: timedelta
    certificate_ends: datetime | None = None


class NoWebAnswerError(Exception):
    """There was no whole answer in time; the text says why, and repeats nothing that was sent."""


class Web(Protocol):
    """What asks; certificates are checked, and redirects not followed."""

    async def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> WebAnswer:
        """Send a request without a body. Raises NoWebAnswerError."""
        ...

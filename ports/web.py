"""The port for single HTTP requests without credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAnswer:
    """A response and its times, by this machine's clock.

    `headers`: by lower-case name.
    `body`: empty if it was too long.
    `certificate_expires_at`: None without TLS, or if the certificate is not available.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    sent_at: datetime
    received_at: datetime
    took: timedelta
    certificate_expires_at: datetime | None = None


class NoWebAnswerError(Exception):
    """No complete response arrived in time. The message quotes nothing of the request."""


class Web(Protocol):
    """An HTTP client that checks certificates and follows no redirects."""

    async def ask(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> WebAnswer:
        """Send a request without a body and return the response. Raises NoWebAnswerError."""
        ...

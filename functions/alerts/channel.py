"""A channel: one place that alerts are sent to."""

from datetime import timedelta
from typing import Protocol

from domain.alerts import AlertKind
from functions.alerts.message import AlertMessage


class ChannelError(Exception):
    """The channel did not take the alert. The message has the reason, and no secret.

    `retry_after`: how long the channel asks to wait, if it says so.
    """

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class ChannelGoneError(ChannelError):
    """The channel wants no more alerts, for good (HTTP 410)."""


class ChannelTimeoutError(ChannelError):
    """The channel did not answer in time."""


class Channel(Protocol):
    """One entry of ALERTS."""

    @property
    def name(self) -> str:
        """Its name, unique in the deployment, for logs, histories and pages."""
        ...

    def takes(self, kind: AlertKind, connection: str | None) -> bool:
        """Whether alerts of this kind and connection are sent here."""
        ...

    async def send(self, message: AlertMessage) -> None:
        """Send an alert. Raises ChannelError, ChannelGoneError."""
        ...

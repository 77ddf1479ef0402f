"""The operating system's clock."""

from datetime import UTC, datetime


class SystemClock:
    """The operating system's time."""

    def now(self) -> datetime:
        """Return the current time, as aware UTC."""
        return datetime.now(UTC)

"""The operating system's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Tell the time as the operating system does."""

    def now(self) -> datetime:
        """Return the instant as aware UTC."""
        return datetime.now(UTC)

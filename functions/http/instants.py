"""Instants in responses (RFC 3339)."""

from datetime import UTC, datetime


def rfc3339(instant: datetime | None) -> str | None:
    """Write an instant in UTC, to the second."""
    if instant is None:
        return None
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"

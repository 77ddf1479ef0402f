"""Instants must have a time zone, so that any two can be compared."""

from datetime import datetime


def require_aware(*instants: datetime) -> None:
    """Raise ValueError if an instant has no time zone."""
    if any(instant.utcoffset() is None for instant in instants):
        raise ValueError("an instant needs a time zone")

"""The header Retry-After of a response."""

from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

_LONGEST_WAIT = timedelta(days=3650)


def read_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read Retry-After, in seconds or as a date (RFC 9110 §10.2.3).

    A date is compared with the response's own Date, so this machine's clock does not matter.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = min(float(text), _LONGEST_WAIT.total_seconds())
        return timedelta(seconds=seconds) or None
    try:
        until = parsedate_to_datetime(text)
        return max(until - parsedate_to_datetime(headers.get("date", "")), timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return None

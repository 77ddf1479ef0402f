"""Compares this machine's clock with a server's, by the `Date` of its response."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from functions.admin.doctor.findings import Finding, fault, ok, unknown, warning
from ports.web import WebAnswer

# RFC 9110 §6.6.1: `Date` has whole seconds.
_RESOLUTION = timedelta(seconds=1)
# Clocks that are set by a network differ by far less.
_NOTICEABLE = timedelta(seconds=2)
# For this long, callers would get expired tokens, or lose valid ones.
_TOO_FAR = timedelta(seconds=60)


def compare_clocks(label: str, answer: WebAnswer) -> Finding:
    """Report how far the clocks are apart."""
    date = _date(answer)
    if date is None:
        return unknown("clock", f"{label} is unknown: its response has no Date")
    apart = distance(answer, date)
    seconds = apart / timedelta(seconds=1)
    if apart <= _NOTICEABLE:
        return ok("clock", f"{label} and this one agree within 2 s")
    text = f"{label} and this one differ by at least {seconds:.0f} s: synchronize this one (NTP)"
    return fault("clock", text) if apart > _TOO_FAR else warning("clock", text)


def distance(answer: WebAnswer, date: datetime) -> timedelta:
    """Return how far apart the clocks are at least, for any delay of the response."""
    behind = date - answer.received_at
    ahead = answer.sent_at - (date + _RESOLUTION)
    return max(behind, ahead, timedelta(0))


def _date(answer: WebAnswer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    # "-0000" gives a time without a zone, and is UTC all the same (RFC 5322 §3.3).
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)

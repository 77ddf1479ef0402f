"""Compares this machine's clock with a server's, by the `Date` of its response."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from functions.admin.doctor.findings import Finding, fault, ok, unknown, warning
from ports.web import WebAnswer

# RFC 9110 §6.6.1: `Date` has whole seconds.
_RESOLUTION = timedelta(seconds=1)
# Clocks that are set by a network differ by far less.
_NOTICEABLE = timedelta(seconds=2)
# Callers would get expired tokens, or lose valid ones, for so long.
_TOO_FAR = timedelta(seconds=60)


def compare_clocks(whose: str, answer: WebAnswer) -> Finding:
    """Report how far the clocks are apart."""
    served_at = _date(answer)
    if served_at is None:
        return unknown("clock", f"{whose} is unknown: its response has no Date")
    apart = distance(answer, served_at)
    seconds = apart / timedelta(seconds=1)
    if apart <= _NOTICEABLE:
        return ok("clock", f"{whose} and this one agree within 2 s")
    text = f"{whose} and this one differ by at least {seconds:.0f} s: synchronize this one (NTP)"
    return fault("clock", text) if apart > _TOO_FAR else warning("clock", text)


def distance(answer: WebAnswer, served_at: datetime) -> timedelta:
    """Return how far apart the clocks are at least, for any delay of the response."""
    behind = served_at - answer.came_at
    ahead = answer.sent_at - (served_at + _RESOLUTION)
    return max(behind, ahead, timedelta(0))


def _date(answer: WebAnswer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    # "-0000" gives a time without a zone, and is UTC all the same (RFC 5322 §3.3).
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)

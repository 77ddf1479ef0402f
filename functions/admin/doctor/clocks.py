"""How far this machine's clock is from another's, by the `Date` of an answer."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from functions.admin.doctor.findings import Finding, fault, ok, unknown, warning
from ports.web import WebAnswer

# RFC 9110 §6.6.1: in whole seconds, so that the instant lies within the one that begins then.
_RESOLUTION = timedelta(seconds=1)
# What clocks that are set by a network differ by is far less.
_NOTICEABLE = timedelta(seconds=2)
# Tokens are taken for alive, or for dead, for so long that callers see it.
_TOO_FAR = timedelta(seconds=60)


def compare_clocks(whose: str, answer: WebAnswer) -> Finding:
    """Judge how far the clocks are apart."""
    told = _date(answer)
    if told is None:
        return unknown("clock", f"{whose} cannot be read: its answer has no Date")
    apart = distance(answer, told)
    seconds = apart / timedelta(seconds=1)
    if apart <= _NOTICEABLE:
        return ok("clock", f"{whose} and this one agree, to two seconds")
    text = f"{whose} and this one are {seconds:.0f} s apart at least: set this one by the network"
    return fault("clock", text) if apart > _TOO_FAR else warning("clock", text)


def distance(answer: WebAnswer, told: datetime) -> timedelta:
    """Say how far apart the clocks are at least, however long the answer was on its way."""
    behind = told - answer.came_at
    ahead = answer.sent_at - (told + _RESOLUTION)
    return max(behind, ahead, timedelta(0))


def _date(answer: WebAnswer) -> datetime | None:
    try:
        date = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return None
    # "-0000" gives a time without a zone, and is UTC all the same (RFC 5322 §3.3).
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)

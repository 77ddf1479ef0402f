"""The drawing of a connection's past: an SVG of its history, made without a script.

Time runs from left to right. Each kind of event has a row and a shape of its own. Lines show now
and the expiries; one far ahead is at the right edge, with an arrow.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import NamedTuple

from domain.ledger import Entry, HistoryEvent, Ledger
from domain.tokens import Tokens
from functions.endpoints.page.words import event_word
from functions.http.look import Tone

WIDTH, HEIGHT = 480, 146
_LEFT, _RIGHT, _TOP, _STEP, _BOTTOM = 14, 466, 18, 28, 122
# A history of seconds would have no scale.
_SHORTEST = timedelta(hours=1)
# With less than this, days would not distinguish the two ends.
_SHORTEST_OF_DAYS = timedelta(days=2)
# The part of the width that is left for what is to come.
_AHEAD = 0.2


class _Lane(NamedTuple):
    """One row: its name, its colour, and its shape around the origin."""

    name: str
    singular: str
    tone: Tone
    shape: str


LANES = (
    _Lane("logins", "login", Tone.BUSY, '<path class="mark" d="M0-7 7 0 0 7-7 0Z"/>'),
    _Lane("refreshes", "refresh", Tone.GOOD, '<circle class="mark" r="5"/>'),
    _Lane("failures", "failure", Tone.BAD, '<path d="M-5-5 5 5M5-5-5 5" class="stroke"/>'),
    _Lane(
        "other events",
        "other event",
        Tone.OVER,
        '<rect class="mark" x="-5" y="-5" width="10" height="10"/>',
    ),
)
_LANE_OF: Mapping[HistoryEvent, int] = {
    HistoryEvent.LOGIN: 0,
    HistoryEvent.REFRESH: 1,
    HistoryEvent.REFRESH_FAILED: 2,
    HistoryEvent.REFRESH_REFUSED: 2,
    HistoryEvent.ADOPTION_REFUSED: 2,
}
_OTHERS = 3


class _Scale(NamedTuple):
    """The first and the last instant of the drawing."""

    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        """Return the place of an instant; one outside is at the edge."""
        part = (at - self.start) / (self.end - self.start)
        return round(_LEFT + min(1.0, max(0.0, part)) * (_RIGHT - _LEFT), 1)


def chart(ledger: Ledger, tokens: Tokens | None, now: datetime) -> str:
    """Return a figure of the history with its text; nothing without a history."""
    if not ledger:
        return ""
    start = min(_first(ledger), now - _SHORTEST)
    scale = _Scale(start=start, end=now + (now - start) * _AHEAD / (1 - _AHEAD))
    text = _summary(ledger)
    drawing = "".join(
        (
            *(_axis(number) for number in range(len(LANES))),
            *(_mark(entry, scale) for entry in ledger),
            _line(scale.x(now), "now", dashed=False),
            *_expiries(tokens, scale),
            *_dates(scale, now),
        )
    )
    legend = "".join(f"<li>{sign} {escape(name)}</li>" for sign, name in _legend())
    return (
        f'<figure><svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(text)}">{drawing}</svg>'
        f'<ul class="legend">{legend}</ul><figcaption class="quiet">{escape(text)} The drawing '
        f"ends at {scale.end:%Y-%m-%d %H:%M} UTC.</figcaption></figure>"
    )


def _first(ledger: Ledger) -> datetime:
    return min(entry.at for entry in ledger)


def _axis(number: int) -> str:
    y = _TOP + number * _STEP
    return f'<path class="axis" d="M{_LEFT} {y}H{_RIGHT}"/>'


def _mark(entry: Entry, scale: _Scale) -> str:
    number = _LANE_OF.get(entry.event, _OTHERS)
    lane, y = LANES[number], _TOP + number * _STEP
    when = f"{event_word(entry.event)}, {entry.at:%Y-%m-%d %H:%M} UTC"
    return (
        f'<g class="{lane.tone.value}" transform="translate({scale.x(entry.at)} {y})">'
        f"<title>{escape(when)}</title>{lane.shape}</g>"
    )


def _expiries(tokens: Tokens | None, scale: _Scale) -> list[str]:
    if tokens is None:
        return []
    ends = (
        ("access token expires", tokens.expires_at),
        ("refresh token expires", tokens.refresh_token_expires_at),
    )
    return [
        _line(scale.x(at), f"{name}, {at:%Y-%m-%d %H:%M} UTC", dashed=True, is_later=at > scale.end)
        for name, at in ends
        if at is not None and at >= scale.start
    ]


def _line(x: float, title: str, *, dashed: bool, is_later: bool = False) -> str:
    kind = "expiry" if dashed else "now"
    arrow = f'<path class="later" d="M{x + 3} 4l9 6-9 6Z"/>' if is_later else ""
    line = f'<path class="{kind}" d="M{x} 4V{_BOTTOM}"/>'
    return f"<g><title>{escape(title)}</title>{line}{arrow}</g>"


def _dates(scale: _Scale, now: datetime) -> Iterator[str]:
    """Yield the first and the last day, or their times if they are close, and the present."""
    is_short = scale.end - scale.start < _SHORTEST_OF_DAYS
    first, last = (
        f"{at:%H:%M}" if is_short else f"{at.day} {at:%b}" for at in (scale.start, scale.end)
    )
    for x, anchor, text in (
        (_LEFT, "start", first),
        (scale.x(now), "middle", "now"),
        (_RIGHT, "end", last),
    ):
        yield f'<text x="{x}" y="{HEIGHT - 5}" text-anchor="{anchor}">{text}</text>'


def _summary(ledger: Ledger) -> str:
    counts = Counter(_LANE_OF.get(entry.event, _OTHERS) for entry in ledger)
    found = [_counted(count, LANES[number]) for number, count in sorted(counts.items())]
    last = max(ledger, key=lambda entry: entry.at)
    return (
        f"Since {_first(ledger):%Y-%m-%d %H:%M} UTC: {', '.join(found)}. "
        f"The last event: {event_word(last.event).lower()}, {last.at:%Y-%m-%d %H:%M} UTC."
    )


def _counted(number: int, lane: _Lane) -> str:
    return f"{number} {lane.singular if number == 1 else lane.name}"


def _legend() -> Iterator[tuple[str, str]]:
    """Yield each sign of the drawing, and its meaning."""
    for lane in LANES:
        yield _sign(lane.shape, lane.tone.value), lane.name
    yield _sign('<path class="now" d="M0-8V8"/>'), "now"
    yield _sign('<path class="expiry" d="M0-8V8"/>'), "a token expires"


def _sign(shape: str, tone: str = "") -> str:
    return f'<svg viewBox="-8 -8 16 16" aria-hidden="true" class="chart {tone}">{shape}</svg>'

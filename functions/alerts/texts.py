"""An alert as texts for a person: what happened, where, what to do, and by when.

The texts are plain. Each format escapes them: names, labels and quotes may come from outside.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from domain.alerts import Alert, AlertKind
from functions.alerts.message import AlertMessage
from functions.alerts.words import action_of, event_of, readable, seconds_left, title_of

LINK_TEXT = "Log in"
_LONGEST_VALUE = 300
# Controls, formats such as a change of direction, and separators.
_HIDDEN = "CZ"
# A login that ends within this is urgent.
_SHORT = timedelta(days=2)


class Urgency(Enum):
    """How soon a person has to act."""

    NEVER = 1
    SOON = 2
    NOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The texts of an alert, without markup. `facts`: labels and values."""

    title: str
    event: str
    action: str
    facts: tuple[tuple[str, str], ...]
    urgency: Urgency
    link: str | None = field(repr=False)

    def lines(self) -> Iterator[str]:
        """Yield the lines of a plain text below the title."""
        yield self.event
        yield self.action
        if self.link is not None:
            yield self.link
        yield ""
        yield from (f"{label}: {value}" for label, value in self.facts)


def notice_of(message: AlertMessage) -> Notice:
    """Return the texts of an alert."""
    where = message.connection or message.source or "this deployment"
    return Notice(
        title=one_line(f"{title_of(message.alert)}: {where}"),
        event=event_of(message.alert),
        action=action_of(message),
        facts=tuple(_facts(message)),
        urgency=_urgency(message.alert),
        link=message.link,
    )


def one_line(text: str, most: int = _LONGEST_VALUE) -> str:
    """Return a text on one line, cut, without invisible characters."""
    plain = "".join(" " if unicodedata.category(each)[0] in _HIDDEN else each for each in text)
    return cut(" ".join(plain.split()), most)


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _facts(message: AlertMessage) -> Iterator[tuple[str, str]]:
    found = {
        "Connection": message.connection,
        "Provider": message.provider,
        "Account": message.alert.account,
        "The provider's answer": message.alert.quote,
        "Deployment": message.source,
        "Time": readable(message.alert.at),
    }
    return ((label, one_line(value)) for label, value in found.items() if value)


_URGENCIES: Mapping[AlertKind, Urgency] = {
    AlertKind.LOGIN_NEEDED: Urgency.NOW,
    AlertKind.CLIENT_REFUSED: Urgency.NOW,
    AlertKind.RECOVERED: Urgency.NEVER,
    AlertKind.TEST: Urgency.NEVER,
}


def _urgency(alert: Alert) -> Urgency:
    seconds = seconds_left(alert)
    if alert.kind is AlertKind.EXPIRES_SOON and seconds is not None:
        return Urgency.NOW if seconds <= _SHORT.total_seconds() else Urgency.SOON
    return _URGENCIES.get(alert.kind, Urgency.SOON)

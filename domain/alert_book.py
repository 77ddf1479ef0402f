"""The alerts of one record: which conditions are open, and what is owed to which channel.

The book is stored with the grant, in the same write. The rules are in the header of `alerts.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.alerts import Alert, AlertKind
from domain.grant import Grant, due_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A state that people heard of, or are about to.

    `since`: when it was found, by the clock that found it. `issued_at`: of the tokens that it
    concerns; None without tokens. For the sweep: when the last one ended.
    """

    kind: AlertKind
    since: datetime
    issued_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingLogin:
    """A login that expires soon, as people heard, or are about to.

    `since`: as in `Condition`. `authorized_at`: of the login. `threshold`: the shortest one that it
    has reached.
    """

    since: datetime
    authorized_at: datetime
    expires_at: datetime
    threshold: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """An alert to deliver. `done` has the channels that took it, or for which it was given up.

    `since`: when it was owed. It decides when the alert is given up.
    """

    alert: Alert
    since: datetime
    done: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelWait:
    """A channel that failed `tries` times in a row. It is not tried before `next_try_at`."""

    channel: str
    tries: int
    next_try_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to deliver, until its lease ends. Each has its own `id`."""

    id: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertBook:
    """The alerts of a record. An empty book is not stored.

    - `open`: the conditions that hold; `ending`: a login that expires soon.
    - `owed`: the oldest alert first.
    - `check_at`: when time alone may change a condition, or a refresh is wanted, unless the grant
      is due before that.
    - `failing_since`: since when refreshes fail, as far as the book saw it.
    - `unprolonged`: an expiry of the refresh token that a refresh has left as it was. `prolonged`:
      one that the last refresh has moved, if somebody would ask otherwise.
    - `waits`: of channels that failed. `claim`: of the instance that delivers.
    """

    open: tuple[Condition, ...] = ()
    ending: EndingLogin | None = None
    owed: tuple[Owed, ...] = ()
    check_at: datetime | None = None
    failing_since: datetime | None = None
    unprolonged: datetime | None = None
    prolonged: datetime | None = None
    waits: tuple[ChannelWait, ...] = ()
    claim: Claim | None = None

    @property
    def next_try_at(self) -> datetime | None:
        """When the sweep should deliver; None if nothing is owed."""
        if not self.owed:
            return None
        if self.claim is not None:
            return self.claim.until
        return min((wait.next_try_at for wait in self.waits), default=self.owed[0].since)

    def condition(self, *kinds: AlertKind) -> Condition | None:
        """Return the open condition of one of these kinds; None if there is none."""
        return next((each for each in self.open if each.kind in kinds), None)


EMPTY = AlertBook()


def record_due_at(grant: Grant, book: AlertBook | None) -> datetime | None:
    """Return when the sweep should process a record; None for never.

    That is when its grant is due, a condition may change by time, or an alert is to be delivered.
    """
    ours = () if book is None else (book.check_at, book.next_try_at)
    return min((at for at in (due_at(grant), *ours) if at is not None), default=None)

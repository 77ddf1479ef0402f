"""A connection whose changes are stored with their alerts, as the recorder does it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.alert_book import EMPTY, AlertBook
from domain.alert_changes import News, book_after
from domain.alert_conditions import Watch
from domain.alerts import Alert, AlertKind, AlertThresholds
from domain.grant import Grant, Unauthorized
from domain.policy import Policy
from domain.token_endpoint import Outcome
from tests.domain.examples import POLICY, begin, end

THRESHOLDS = AlertThresholds()


def watch(now: datetime, by: Policy = POLICY, thresholds: AlertThresholds = THRESHOLDS) -> Watch:
    return Watch(policy=by, thresholds=thresholds, now=now)


@dataclass(slots=True)
class Connection:
    """A record. `owed` has the alerts of all changes, although nobody delivers them."""

    grant: Grant = field(default_factory=Unauthorized)
    by: Policy = POLICY
    thresholds: AlertThresholds = THRESHOLDS
    book: AlertBook | None = None
    writes: int = 0

    def store(self, grant: Grant, now: datetime, news: Sequence[News] = ()) -> list[Alert]:
        """Store a change; return what it owes."""
        before = {owed.alert.id for owed in (self.book or EMPTY).owed}
        self.writes += 1
        self.book = book_after(
            self.book,
            self.grant,
            grant,
            watch(now, self.by, self.thresholds),
            new_id=f"write-{self.writes}",
            news=news,
        )
        self.grant = grant
        return [owed.alert for owed in (self.book or EMPTY).owed if owed.alert.id not in before]

    def change(self, grant: Grant, now: datetime) -> list[AlertKind]:
        """Store a change; return the kinds of alerts that it owes."""
        return [alert.kind for alert in self.store(grant, now)]

    def settle(self, now: datetime) -> list[AlertKind]:
        """Look again, as the sweep does."""
        return self.change(self.grant, now)

    def refresh(self, outcome: Outcome, now: datetime) -> list[AlertKind]:
        """Refresh with this outcome: two changes, the first of which owes nothing."""
        refreshing, command = begin(self.grant, now, self.by, id_=f"attempt-{self.writes}")
        assert self.change(refreshing, now) == []
        return self.change(end(refreshing, command, outcome, now, self.by), now)

    def deliver_all(self) -> None:
        """Empty the outbox."""
        assert self.book is not None
        self.book = replace(self.book, owed=(), waits=(), claim=None)

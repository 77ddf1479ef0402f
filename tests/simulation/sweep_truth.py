"""When the sweep is overdue, by the record of the deployment that the store has had.

Nothing here is taken from the rules that decide it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.alerts import Alert, AlertKind
from domain.ledger import HistoryEvent
from ports.store import Record
from tests.simulation.alert_truth import MARGIN, THRESHOLDS

# An instance looks that often, while it refreshes.
LOOKS_EVERY = timedelta(minutes=30)


@dataclass(kw_only=True)
class SweepTruth:
    """The ends of sweeps. `first_at`: when somebody looked first, before there was a sweep."""

    ended_at: datetime | None = None
    first_at: datetime | None = None
    _heard: set[datetime | None] = field(default_factory=set)

    def stored(self, after: Record, at: datetime) -> None:
        """Take in a record of the deployment."""
        self.first_at = self.first_at or at
        # Of two at once, the last one to be stored may have the clock that is behind.
        ends = [entry.at for entry in after.ledger if entry.event is HistoryEvent.SWEPT]
        self.ended_at = ends[-1] if ends else None

    def explains(self, alert: Alert, at: datetime) -> bool:
        """Whether an alert is owed now. It is then owed no more, until the next sweep."""
        since = self.overdue_at
        is_true = alert.kind is AlertKind.SWEEP_OVERDUE and alert.since == self.ended_at
        if not is_true or since is None or at < since - MARGIN or self.ended_at in self._heard:
            return False
        self._heard.add(self.ended_at)
        return True

    @property
    def overdue_at(self) -> datetime | None:
        """When the sweep is, or will be overdue; None before anybody has looked."""
        began = self.ended_at or self.first_at
        return None if began is None else began + THRESHOLDS.sweep_overdue

    def unheard(self, at: datetime) -> str | None:
        """Return what each instance that refreshes must have found out by now."""
        since = self.overdue_at
        is_known = since is None or at < since + LOOKS_EVERY + MARGIN
        return None if is_known or self.ended_at in self._heard else f"no sweep since {since}"

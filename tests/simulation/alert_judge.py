"""Judges the outbox: what the store has of alerts, and what the channels get of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.alert_book import Owed
from domain.alerts import Alert
from domain.ledger import HistoryEvent
from functions.alerts.deployment import DEPLOYMENT
from ports.store import Record
from tests.simulation.alert_channels import SimulatedChannel, Try
from tests.simulation.alert_truth import MARGIN, Truth
from tests.simulation.loop import Process
from tests.simulation.promises import SKEW, BrokenRuleError, Rule
from tests.simulation.sweep_truth import SweepTruth

# The waits after so many failures of a channel in a row; the last one stays.
WAITS = tuple(timedelta(seconds=each) for each in (5, 60, 300, 1800, 7200, 21_600))
GIVE_UP_AFTER = timedelta(days=3)
MOST_TRIES = len(WAITS) + GIVE_UP_AFTER // WAITS[-1] + 2
# It is given up at the first failure after that: the sweep comes once a day.
INSISTS_FOR = GIVE_UP_AFTER + timedelta(days=1) + WAITS[-1]
# An instance may be sending for so long.
LEASE = timedelta(minutes=1) - 4 * SKEW
# A channel that is there gets an alert in this time, although others hang.
PROMPT = timedelta(seconds=30)


@dataclass(eq=False, kw_only=True)
class Stored:
    """An alert that a record has, or had; `order` is its place among those of its connection."""

    alert: Alert
    connection: str
    order: int
    at: datetime
    # By the channel's name.
    tries: dict[str, list[Try]] = field(default_factory=dict)
    taken: dict[str, list[Try]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)

    def is_over(self, channel: SimulatedChannel) -> bool:
        """Whether a channel has it, or it was given up for it."""
        return channel.name in self.taken or channel.name in self.given_up


@dataclass(kw_only=True)
class AlertJudge:
    """Knows every alert of a run. `is_prompt`: only channels fail in it."""

    truths: dict[str, Truth]
    is_prompt: bool = False
    channels: list[SimulatedChannel] = field(default_factory=list)
    stored: dict[str, Stored] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    sweep_truth: SweepTruth = field(default_factory=SweepTruth)
    # The connections whose records the store has lost.
    lost: set[str] = field(default_factory=set)
    # When the store last failed an instance that wrote, or it stalled.
    troubled_at: dict[Process, datetime] = field(default_factory=dict)

    # The store.

    def written(
        self, connection: str, before: Record, after: Record, at: datetime, *, is_rescue: bool
    ) -> None:
        """Judge a record that the store has from now on. Raises BrokenRuleError."""
        truth = self.truths[connection]
        if after.grant != before.grant:
            truth.stored(after.grant, at, is_rescue=is_rescue)
        else:
            truth.look(at, is_sure=True)
        if connection in self.lost:
            self.lost.remove(connection)
            truth.restored(at)
        for owed in owed_alerts(after):
            self._owed(truth, connection, owed.alert, at)
        self._judge_given_up(before, after, at)
        for change in truth.missing():
            raise BrokenRuleError(Rule.ALERT_MISSING, f"{connection}: {change}")

    def written_deployment(self, before: Record, after: Record, at: datetime) -> None:
        """Judge the deployment's own record. Raises BrokenRuleError."""
        self.sweep_truth.stored(after, at)
        for owed in owed_alerts(after):
            if not self._is_known(DEPLOYMENT, owed.alert):
                if not self.sweep_truth.explains(owed.alert, at):
                    raise BrokenRuleError(Rule.ALERT_FALSE, f"{owed.alert} at {at}")
                self._keep(DEPLOYMENT, owed.alert, at)
        self._judge_given_up(before, after, at)

    def looked(self, at: datetime) -> None:
        """Judge what a refresh at an instant had to find out. Raises BrokenRuleError."""
        if (missed := self.sweep_truth.unheard(at)) is not None:
            raise BrokenRuleError(Rule.ALERT_MISSING, f"{missed}, refreshed at {at}")

    def _owed(self, truth: Truth, connection: str, alert: Alert, at: datetime) -> None:
        """Match an alert that a record has with the change that owes it."""
        if self._is_known(connection, alert):
            return
        change = truth.explain(alert.kind, at)
        if change is None:
            raise BrokenRuleError(Rule.ALERT_FALSE, f"{connection}: {alert}")
        if change.causes and alert.cause not in change.causes:
            raise BrokenRuleError(Rule.ALERT_FALSE, f"{connection}: {alert}, not {change}")
        if self.is_prompt and abs(alert.at - at) > MARGIN:
            raise BrokenRuleError(Rule.ALERT_FALSE, f"{connection}: {alert} at {at}")
        change.alert_id, change.is_heard = alert.id, True
        self._keep(connection, alert, at)

    def _is_known(self, connection: str, alert: Alert) -> bool:
        """Whether a record had this alert before. Raises BrokenRuleError if it was another one."""
        known = self.stored.get(alert.id)
        if known is None:
            return False
        if known.alert != alert or known.connection != connection:
            raise BrokenRuleError(Rule.ALERT_CHANGED, f"{alert} was {known.alert}")
        return True

    def _keep(self, connection: str, alert: Alert, at: datetime) -> None:
        self.counts[alert.kind.value] += 1
        self.stored[alert.id] = Stored(
            alert=alert, connection=connection, order=len(self.stored), at=at
        )

    def _judge_given_up(self, before: Record, after: Record, at: datetime) -> None:
        """Judge what a channel no longer gets, although it did not take it."""
        new = [entry for entry in after.ledger if entry not in before.ledger]
        noted = [entry for entry in new if entry.event is HistoryEvent.ALERT_GIVEN_UP]
        left = {owed.alert.id: owed.done for owed in owed_alerts(after)}
        for owed in owed_alerts(before):
            stored = self.stored[owed.alert.id]
            for channel in self.channels:
                is_over = stored.is_over(channel) or not takes(channel, stored)
                if not is_over and channel.name in left.get(owed.alert.id, {channel.name}):
                    self._given_up(channel, stored, at, is_noted=bool(noted))

    def _given_up(
        self, channel: SimulatedChannel, stored: Stored, at: datetime, *, is_noted: bool
    ) -> None:
        is_time = at >= stored.at + GIVE_UP_AFTER - MARGIN
        if not is_noted or not (is_time or channel.is_gone):
            raise BrokenRuleError(Rule.ALERT_GIVEN_UP, f"{channel.name}: {stored.alert} at {at}")
        stored.given_up.add(channel.name)
        self.counts["given up"] += 1

    # The channels.

    def tried(self, channel: SimulatedChannel, sent: Try) -> None:
        """Judge an alert that is on its way to a channel. Raises BrokenRuleError."""
        alert = sent.message.alert
        stored = self.stored.get(alert.id)
        if stored is None or stored.connection != sent.message.connection:
            raise BrokenRuleError(Rule.ALERT_UNSTORED, f"{channel.name}: {alert}")
        if stored.alert != alert:
            raise BrokenRuleError(Rule.ALERT_CHANGED, f"{alert} was {stored.alert}")
        if not takes(channel, stored):
            raise BrokenRuleError(Rule.ALERT_FALSE, f"{channel.name} does not take {alert}")
        if any(earlier.is_gone and earlier.sender is sent.sender for earlier in channel.tries):
            raise BrokenRuleError(Rule.ALERT_GONE, f"{channel.name} by {sent.sender.name}")
        self._judge_order(channel, stored)
        self._judge_repeat(channel, stored, sent)
        self._judge_pace(channel, stored, sent)
        stored.tries.setdefault(channel.name, []).append(sent)

    def _judge_order(self, channel: SimulatedChannel, stored: Stored) -> None:
        for other in self._of(stored.connection, channel):
            if other.order < stored.order and not other.is_over(channel):
                raise BrokenRuleError(
                    Rule.ALERT_ORDER, f"{channel.name}: {stored.alert} before {other.alert}"
                )

    def _of(self, connection: str, channel: SimulatedChannel) -> list[Stored]:
        return [
            stored
            for stored in self.stored.values()
            if stored.connection == connection and takes(channel, stored)
        ]

    def _judge_repeat(self, channel: SimulatedChannel, stored: Stored, sent: Try) -> None:
        """Nobody repeats a known delivery, or one that an instance without trouble is making."""
        for earlier in stored.tries.get(channel.name, ()):
            is_in_flight = not earlier.is_over and sent.at < earlier.at + LEASE
            if (earlier.is_heard or is_in_flight) and self._is_well(earlier):
                raise BrokenRuleError(
                    Rule.ALERT_REPEATED,
                    f"{channel.name}: {stored.alert.id} by {sent.sender.name},"
                    f" sent at {earlier.at} by {earlier.sender.name}",
                )

    def _is_well(self, earlier: Try) -> bool:
        """Whether the sender of an earlier try could store what came of it."""
        troubled_at = self.troubled_at.get(earlier.sender)
        return earlier.sender.is_alive and (troubled_at is None or troubled_at < earlier.at)

    def _judge_pace(self, channel: SimulatedChannel, stored: Stored, sent: Try) -> None:
        """Judge how often and how soon; crashes and a store that fails forget some failures."""
        tries = stored.tries.get(channel.name, [])
        insists_for = INSISTS_FOR if self.is_prompt else 2 * INSISTS_FOR
        # Only refreshes and sweeps look at the deployment's own alerts.
        is_own = stored.connection == DEPLOYMENT
        if sent.at > stored.at + insists_for + MARGIN and not is_own:
            raise BrokenRuleError(Rule.ALERT_INSISTED, f"{channel.name}: {stored.alert}")
        if len(tries) >= MOST_TRIES * (1 if self.is_prompt else 3):
            raise BrokenRuleError(Rule.ALERT_HURRIED, f"{channel.name}: {stored.alert}")
        if tries and self.is_prompt:
            wait, least = sent.at - tries[-1].at, WAITS[min(len(tries), len(WAITS)) - 1]
            if wait < least - 2 * SKEW:
                raise BrokenRuleError(Rule.ALERT_HURRIED, f"{stored.alert.id}, {wait}")

    def taken(self, channel: SimulatedChannel, sent: Try) -> None:
        """Note that a channel has an alert, and judge when. Raises BrokenRuleError."""
        stored = self.stored[sent.message.alert.id]
        taken = stored.taken.setdefault(channel.name, [])
        self.counts["duplicates" if taken else "delivered"] += 1
        taken.append(sent)
        is_first_channel_try = channel.back_at < 0 and not channel.rate
        is_late = sent.at > stored.at + PROMPT
        if self.is_prompt and is_first_channel_try and is_late:
            raise BrokenRuleError(
                Rule.ALERT_LATE, f"{channel.name}: {stored.alert} after {sent.at - stored.at}"
            )

    # The end.

    def swept(self, began_at: datetime, now: datetime) -> None:
        """Judge what a sweep that nothing disturbed must have noticed. Raises BrokenRuleError."""
        for connection, truth in self.truths.items():
            truth.swept(began_at, now)
            for change in truth.missing():
                raise BrokenRuleError(Rule.ALERT_MISSING, f"{connection}: {change}, after a sweep")

    def settled(self, records: dict[str, Record]) -> None:
        """Judge the end, when every channel was there for long enough. Raises BrokenRuleError."""
        for stored in self.stored.values():
            for channel in self.channels:
                if takes(channel, stored) and not stored.is_over(channel):
                    raise BrokenRuleError(Rule.ALERT_LOST, f"{channel.name}: {stored.alert}")
        for connection, record in records.items():
            for owed in owed_alerts(record):
                raise BrokenRuleError(Rule.ALERT_KEPT, f"{connection}: {owed.alert}")


def takes(channel: SimulatedChannel, stored: Stored) -> bool:
    """Whether a channel is configured for an alert."""
    return channel.takes(stored.alert.kind, stored.connection)


def owed_alerts(record: Record) -> Sequence[Owed]:
    """Return the alerts that a record has to deliver."""
    return () if record.alerts is None else record.alerts.owed

"""Adds alerts to each write of a record, in a deployment with channels."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from domain.alert_book import EMPTY
from domain.alert_changes import News, book_after
from domain.alert_conditions import Watch
from domain.alert_delivery import dropped, given_up_note
from domain.alert_expiries import refresh_wanted_at
from domain.alerts import AlertThresholds
from domain.grant import Grant, tokens_of
from domain.ledger import append_history
from domain.policy import Policy
from ports.store import Record

if TYPE_CHECKING:
    from functions.refresh.recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDuty:
    """When alerts are owed, and how they are delivered.

    `deliver` gets a record that has a claim of this instance, and the recorder that writes it.
    `watch_sweep` is called after a refresh, and raises nothing.
    """

    thresholds: AlertThresholds
    deliver: "Callable[[str, Record, Recorder], Coroutine[None, None, None]]"
    watch_sweep: Callable[[], Coroutine[None, None, None]] | None = None

    def after(
        self,
        record: Record,
        before: Grant,
        policy: Policy,
        *,
        now: datetime,
        new_id: str,
        news: Sequence[News] = (),
    ) -> Record:
        """Return the record with the alerts that a change from `before` owes."""
        watch = Watch(policy=policy, thresholds=self.thresholds, now=now)
        alerts = book_after(record.alerts, before, record.grant, watch, new_id=new_id, news=news)
        ledger = record.ledger
        for each in dropped(record.alerts, alerts):
            note = given_up_note(each, record.grant)
            ledger = append_history(ledger, note, now=now, key_name=None)
        return replace(record, alerts=alerts, ledger=ledger)

    def issue_to_refresh(self, record: Record, policy: Policy, *, now: datetime) -> datetime | None:
        """Return the issue of tokens that are to be refreshed now; None if no alert needs it."""
        watch = Watch(policy=policy, thresholds=self.thresholds, now=now)
        at = refresh_wanted_at(record.alerts or EMPTY, record.grant, watch)
        tokens = tokens_of(record.grant)
        return None if at is None or now < at or tokens is None else tokens.issued_at

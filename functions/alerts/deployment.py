"""The deployment's own record: its last sweeps, and the last delivery of each channel.

It is a record of the store under a name that no connection can have. It holds nothing that cannot
be found out again, so an unreadable one is replaced.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from domain.grant import Unauthorized
from domain.ledger import LONGEST_HISTORY_QUOTE, Entry, HistoryEvent, Ledger, Note
from ports.entropy import Entropy
from ports.store import ConflictError, Record, Store, UnreadableRecordError

DEPLOYMENT = "~deployment"
"""The record's name. `domain.connection.is_connection` refuses it."""
# A week of daily sweeps.
MAX_SWEEPS = 7
MAX_GIVEN_UP = 4
# A channel that was renamed stays until newer ones need its place.
MAX_CHANNELS = 50
# A conflict needs another sweep's end in the same milliseconds.
_MAX_TRIES = 5
# Of an event, or of a channel's deliveries, so many entries are kept.
_LIMITS = {HistoryEvent.SWEPT: MAX_SWEEPS, HistoryEvent.ALERT_GIVEN_UP: MAX_GIVEN_UP}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDelivery:
    """A channel's last delivery: `domain.ledger.DONE` or `FAILED`."""

    at: datetime
    outcome: str


LastDeliveries: TypeAlias = Mapping[str, LastDelivery]
"""The last delivery by the channel's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """The content of the record. None and empty if nothing is known.

    `sweep_outcome` is `DONE`, `FAILED` if a connection failed, or `INCOMPLETE` if some were left,
    of `domain.ledger`. `alerts_owed` counts alerts of the deployment itself.
    """

    sweep_ended_at: datetime | None = None
    sweep_outcome: str | None = None
    channels: LastDeliveries = field(default_factory=dict)
    alerts_owed: int = 0


async def load_status(store: Store) -> DeploymentStatus:
    """Return the content of the record. Raises StoreUnavailableError."""
    return status_of(await load_deployment(store))


async def load_deployment(store: Store) -> Record:
    """Return the record; an empty one in place of an unreadable one.

    Raises StoreUnavailableError.
    """
    try:
        return await store.load(DEPLOYMENT)
    except UnreadableRecordError as error:
        return _empty(error)


async def swap_deployment(
    store: Store, entropy: Entropy, record: Record, *, over: Record
) -> Record:
    """Replace the record with the next version, and return it.

    Raises ConflictError, StoreUnavailableError.
    """
    written = replace(record, etag=entropy.token())
    try:
        await store.swap(DEPLOYMENT, written, expected_etag=over.etag)
    except UnreadableRecordError as error:
        raise ConflictError(_empty(error)) from error
    return written


async def record_sweep(
    store: Store,
    entropy: Entropy,
    *,
    ended_at: datetime,
    outcome: str,
    deliveries: LastDeliveries,
    has_channels: bool = True,
) -> None:
    """Store the end of a sweep, and what is newer of the channels' deliveries.

    Without channels, forget what was owed. Raises StoreUnavailableError.
    """
    swept = Entry(_whole(ended_at), HistoryEvent.SWEPT, None, None, outcome)

    def end(record: Record) -> Record:
        entries = (*_newer_than(record.ledger, deliveries), swept)
        after = replace(record, ledger=ledger_with(record.ledger, *entries))
        return after if has_channels else _without_alerts(after)

    await _change(store, entropy, end)


async def record_deliveries(store: Store, entropy: Entropy, deliveries: LastDeliveries) -> None:
    """Store what is newer of the channels' deliveries. Raises StoreUnavailableError."""

    def add(record: Record) -> Record:
        newer = _newer_than(record.ledger, deliveries)
        return replace(record, ledger=ledger_with(record.ledger, *newer))

    await _change(store, entropy, add)


async def _change(store: Store, entropy: Entropy, change: Callable[[Record], Record]) -> None:
    record = await load_deployment(store)
    for _ in range(_MAX_TRIES):
        after = change(record)
        if after == record:
            return
        try:
            await swap_deployment(store, entropy, after, over=record)
        except ConflictError as conflict:
            record = conflict.current
        else:
            return


def _without_alerts(record: Record) -> Record:
    """Forget what was owed, and that the connections were checked: channels may come back."""
    checked = HistoryEvent.ALERTS_CHECKED
    ledger = tuple(entry for entry in record.ledger if entry.event is not checked)
    return replace(record, ledger=ledger, alerts=None)


def ledger_with(ledger: Ledger, *new: Entry) -> Ledger:
    """Add the newest entries, and remove the oldest ones of their kind."""
    room = Counter[tuple[HistoryEvent, str | None]]()
    kept: list[Entry] = []
    for entry in reversed((*ledger, *new)):
        is_delivery = entry.event is HistoryEvent.DELIVERED
        kind = (entry.event, entry.key_name if is_delivery else None)
        room[kind] += 1
        if room[kind] <= _LIMITS.get(entry.event, 1):
            kept.append(entry)
    return _without_old_channels(kept[::-1])


def note_entry(note: Note, at: datetime) -> Entry:
    """Return the entry of a note, such as the one on an alert that was given up."""
    quote = note.quote and note.quote[:LONGEST_HISTORY_QUOTE]
    return Entry(_whole(at), note.event, note.generation, None, note.outcome, quote)


def status_of(record: Record) -> DeploymentStatus:
    """Return the content of the record."""
    ends = (entry for entry in reversed(record.ledger) if entry.event is HistoryEvent.SWEPT)
    last = next(ends, None)
    return DeploymentStatus(
        sweep_ended_at=last and last.at,
        sweep_outcome=last and last.outcome,
        channels=_deliveries_in(record.ledger),
        alerts_owed=0 if record.alerts is None else len(record.alerts.owed),
    )


def _empty(error: UnreadableRecordError) -> Record:
    return Record(grant=Unauthorized(), etag=error.etag, ledger=())


def _deliveries_in(ledger: Ledger) -> LastDeliveries:
    return {
        entry.key_name: LastDelivery(at=entry.at, outcome=entry.outcome)
        for entry in ledger
        if entry.event is HistoryEvent.DELIVERED and entry.key_name is not None
    }


def _newer_than(ledger: Ledger, deliveries: LastDeliveries) -> Iterator[Entry]:
    """Yield the deliveries that are newer than those in the ledger, the newest last."""
    known = _deliveries_in(ledger)
    for name, last in sorted(deliveries.items(), key=lambda item: item[1].at):
        if name not in known or known[name].at <= last.at:
            yield Entry(_whole(last.at), HistoryEvent.DELIVERED, None, name, last.outcome)


def _without_old_channels(entries: Sequence[Entry]) -> Ledger:
    delivered = [entry for entry in entries if entry.event is HistoryEvent.DELIVERED]
    gone = set(delivered[:-MAX_CHANNELS])
    return tuple(entry for entry in entries if entry not in gone)


def _whole(instant: datetime) -> datetime:
    """Return the instant as a ledger keeps it, in whole seconds."""
    return instant.replace(microsecond=0)

"""The deployment's own record: its last sweeps, and the last delivery of each channel.

It is a record of the store under a name that no connection can have. It holds nothing that cannot
be found out again, so an unreadable one is replaced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from domain.grant import Unauthorized
from domain.ledger import Entry, HistoryEvent, Ledger
from ports.entropy import Entropy
from ports.store import ConflictError, Record, Store, UnreadableRecordError

DEPLOYMENT = "~deployment"
"""The record's name. `domain.connection.is_connection` refuses it."""
# A week of daily sweeps.
MAX_SWEEPS = 7
# A channel that was renamed stays until newer ones need its place.
MAX_CHANNELS = 50
# A conflict needs another sweep's end in the same milliseconds.
_MAX_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDelivery:
    """A channel's last delivery: `domain.ledger.DONE` or `FAILED`."""

    at: datetime
    outcome: str


LastDeliveries: TypeAlias = Mapping[str, LastDelivery]
"""The last delivery by the channel's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """What the record says. None and empty if nothing is known.

    `sweep_outcome` is `DONE`, `FAILED` if a connection failed, or `INCOMPLETE` if time ran out, of
    `domain.ledger`.
    """

    sweep_ended_at: datetime | None = None
    sweep_outcome: str | None = None
    channels: LastDeliveries = field(default_factory=dict)


async def load_status(store: Store) -> DeploymentStatus:
    """Return what the record says. Raises StoreUnavailableError."""
    return status_of((await load_deployment(store)).ledger)


async def load_deployment(store: Store) -> Record:
    """Return the record; an empty one in place of an unreadable one.

    Raises StoreUnavailableError.
    """
    try:
        return await store.load(DEPLOYMENT)
    except UnreadableRecordError as error:
        return _empty(error)


async def record_sweep(
    store: Store,
    entropy: Entropy,
    *,
    ended_at: datetime,
    outcome: str,
    deliveries: LastDeliveries,
) -> None:
    """Store the end of a sweep, and what is newer of the channels' deliveries.

    Raises StoreUnavailableError.
    """
    swept = Entry(ended_at.replace(microsecond=0), HistoryEvent.SWEPT, None, None, outcome)
    record = await load_deployment(store)
    for _ in range(_MAX_TRIES):
        after = replace(
            record, etag=entropy.token(), ledger=_ledger_after(record.ledger, swept, deliveries)
        )
        try:
            await store.swap(DEPLOYMENT, after, expected_etag=record.etag)
        except ConflictError as conflict:
            record = conflict.current
        except UnreadableRecordError as error:
            record = _empty(error)
        else:
            return


def status_of(ledger: Ledger) -> DeploymentStatus:
    """Return what the record's ledger says."""
    last = next((each for each in reversed(ledger) if each.event is HistoryEvent.SWEPT), None)
    return DeploymentStatus(
        sweep_ended_at=last and last.at,
        sweep_outcome=last and last.outcome,
        channels=_deliveries_in(ledger),
    )


def _empty(error: UnreadableRecordError) -> Record:
    return Record(grant=Unauthorized(), etag=error.etag, ledger=())


def _deliveries_in(ledger: Ledger) -> LastDeliveries:
    return {
        entry.key_name: LastDelivery(at=entry.at, outcome=entry.outcome)
        for entry in ledger
        if entry.event is HistoryEvent.DELIVERED and entry.key_name is not None
    }


def _ledger_after(ledger: Ledger, swept: Entry, deliveries: LastDeliveries) -> Ledger:
    """Return the ledger: the oldest deliveries and sweeps go, all else stays."""
    sweeps = [entry for entry in ledger if entry.event is HistoryEvent.SWEPT]
    others = (
        entry for entry in ledger if entry.event not in {HistoryEvent.SWEPT, HistoryEvent.DELIVERED}
    )
    delivered = _entries_of(_newest(_deliveries_in(ledger), deliveries))
    return (*others, *delivered, *sweeps[1 - MAX_SWEEPS :], swept)


def _newest(known: LastDeliveries, new: LastDeliveries) -> LastDeliveries:
    newer = {
        name: delivery
        for name, delivery in new.items()
        if name not in known or known[name].at <= delivery.at
    }
    return {**known, **newer}


def _entries_of(deliveries: LastDeliveries) -> Iterator[Entry]:
    by_time = sorted(deliveries.items(), key=lambda item: item[1].at)
    for name, last in by_time[-MAX_CHANNELS:]:
        at = last.at.replace(microsecond=0)
        yield Entry(at, HistoryEvent.DELIVERED, None, name, last.outcome)

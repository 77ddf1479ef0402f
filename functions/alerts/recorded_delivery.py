"""Delivers alerts, and stores when each channel took its last one, as the page shows it."""

from contextlib import suppress
from datetime import datetime, timedelta

from functions.alerts.delivery import BookWriter, Delivery
from functions.alerts.deployment import record_deliveries
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import Record, Store, StoreUnavailableError

# A sweep may deliver to hundreds of connections, and its end stores the last deliveries, too.
INTERVAL = timedelta(minutes=1)


class RecordedDelivery:
    """The delivery of this instance, with its record in the store."""

    def __init__(self, delivery: Delivery, *, store: Store, clock: Clock, entropy: Entropy) -> None:
        self._delivery = delivery
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._recorded_at: datetime | None = None

    async def deliver(self, connection: str, record: Record, writer: BookWriter) -> None:
        """Deliver what a record owes, as `Delivery.deliver`. Raises nothing."""
        await self._delivery.deliver(connection, record, writer)
        now, last = self._clock.now(), self._recorded_at
        if last is not None and last <= now < last + INTERVAL:
            return
        self._recorded_at = now
        with suppress(StoreUnavailableError):
            await record_deliveries(self._store, self._entropy, self._delivery.last_deliveries())

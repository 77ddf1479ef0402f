"""The walk through all connections after alerts were switched on, or their thresholds changed.

A record that was written before has no book, or one of other thresholds or rules, and may never be
written again. So the sweep looks at each once. The progress is in the deployment's own record.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple

from domain.alerts import AlertThresholds
from domain.ledger import DONE, INCOMPLETE, Entry, HistoryEvent, Ledger
from functions.alerts.deployment import ledger_with, load_deployment, swap_deployment
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import ConflictError, Store

_DIGEST_LENGTH = 16
# Counts the changes of the conditions themselves: records of before need another walk.
_RULES = 2


class Progress(NamedTuple):
    """How far a walk is: all names up to `after`, or all if `is_done`."""

    after: str | None
    is_done: bool


_START = Progress(None, is_done=False)


class FirstWalk:
    """Walks through the connections of a store, once for each kind of thresholds."""

    def __init__(
        self, *, store: Store, clock: Clock, entropy: Entropy, thresholds: AlertThresholds
    ) -> None:
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._kind = _fingerprint(thresholds)

    async def pages(self) -> AsyncGenerator[Sequence[str], None]:
        """Yield the connections that are left, in pages; nothing once all were walked through.

        A page counts as done when the next one is requested. Raises StoreUnavailableError.
        """
        progress = self._progress((await load_deployment(self._store)).ledger)
        while not progress.is_done:
            page = await self._store.list_records(progress.after)
            if page.records:
                yield [name for name, _ in page.records]
            progress = Progress(page.next, is_done=page.next is None)
            await self._store_progress(progress)

    def _progress(self, ledger: Ledger) -> Progress:
        for entry in reversed(ledger):
            if entry.event is HistoryEvent.ALERTS_CHECKED and entry.key_name == self._kind:
                return Progress(entry.quote, is_done=entry.outcome == DONE)
        return _START

    async def _store_progress(self, progress: Progress) -> None:
        at = self._clock.now().replace(microsecond=0)
        outcome = DONE if progress.is_done else INCOMPLETE
        entry = Entry(
            at, HistoryEvent.ALERTS_CHECKED, None, self._kind, outcome, quote=progress.after
        )
        record = await load_deployment(self._store)
        while True:
            after = replace(record, ledger=ledger_with(record.ledger, entry))
            try:
                await swap_deployment(self._store, self._entropy, after, over=record)
            except ConflictError as conflict:
                record = conflict.current
            else:
                return


def _fingerprint(thresholds: AlertThresholds) -> str:
    """Return a text that differs for other conditions of connections, and other rules."""
    conditions = (_RULES, tuple(thresholds.expires_soon), thresholds.refresh_failing)
    return sha256(f"{conditions}".encode()).hexdigest()[:_DIGEST_LENGTH]

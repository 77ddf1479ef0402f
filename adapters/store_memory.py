"""The store in this process's memory: for tests, and as the shortest form of the protocol."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from adapters.listing import names_after
from domain.authorization import PendingLogin
from domain.connection import is_connection
from domain.grant import Unauthorized
from ports.store import LARGEST_PAGE, LONGEST_WINDOW, ConflictError, Due, Record, RecordPage


class MemoryStore:
    """Stores records in dictionaries. No operation awaits, so each is atomic."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._logins: dict[str, PendingLogin] = {}
        self._takers: dict[str, str] = {}
        self._counts: Counter[tuple[str, datetime]] = Counter()

    async def load(self, connection: str) -> Record:
        """Return the latest record."""
        return self._current(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag. Raises ConflictError."""
        current = self._current(connection)
        if current.etag == record.etag:
            return
        if current.etag != expected_etag:
            raise ConflictError(current)
        self._records[connection] = record

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections after `after` that are due until `before`."""
        dated = ((record.due_at, name) for name, record in self._records.items())
        found = (
            Due(at.timestamp(), name)
            for at, name in dated
            if at is not None and (before is None or at <= before)
        )
        return sorted(due for due in found if after is None or due > after)[:limit]

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the records of some connections."""
        found = [name for name in connections if name in self._records and is_connection(name)]
        return RecordPage(records=tuple((name, self._records[name]) for name in found), next=None)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records in name order."""
        first, end = names_after(after, prefix)
        names = sorted(name for name in self._records if first <= name < end)
        fitting = [name for name in names if is_connection(name)]
        shown = fitting[:limit]
        return RecordPage(
            records=tuple((name, self._records[name]) for name in shown),
            next=shown[-1] if len(fitting) > limit else None,
        )

    async def complete_listing(self) -> None:
        """Do nothing: the records are the listing."""

    async def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record."""
        for name in list(self._records):
            yield name

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Store a pending login."""
        self._logins[key] = pending

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker only."""
        pending = self._logins.get(key)
        if pending is None or not pending.is_valid(now):
            return None
        return pending if self._takers.setdefault(key, taker) == taker else None

    async def forget_expired(self, now: datetime) -> None:
        """Remove expired logins and counts."""
        self._logins = {key: each for key, each in self._logins.items() if each.expires_at > now}
        for key, window_ends in list(self._counts):
            if window_ends <= now - LONGEST_WINDOW:
                del self._counts[key, window_ends]

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to a count and return the new count."""
        self._counts[key, window_ends] += 1
        return self._counts[key, window_ends]

    async def close(self) -> None:
        """Do nothing: no resource is open."""

    def _current(self, connection: str) -> Record:
        return self._records.get(connection, Record(grant=Unauthorized(), etag=None, ledger=()))

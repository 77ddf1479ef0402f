"""The port to the store: one grant per connection, the pending logins, and counts."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from domain.ledger import Ledger, RefreshCounts, RefreshTimes

if TYPE_CHECKING:
    # Type-only imports: a fresh token needs no login and one state. Most records have no alerts.
    from domain.alert_book import AlertBook
    from domain.authorization import PendingLogin
    from domain.grant import Grant

LONGEST_WINDOW = timedelta(hours=24)
"""The upper limit of a count's window. Counts are kept for about as long."""
LARGEST_PAGE = 100
"""The most records that one call of `Store.list_records` or `Store.load_records` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A grant as the store holds it.

    `etag`: None if the grant was never stored.
    `ledger`: the grant's history.
    `alerts`: what people should hear of it; None if there is nothing, and without channels.
    `refreshes`: how many refreshes ended, since an earlier version last wrote the record.
    `refresh_times`: how long the last ones took.
    `is_sealed_by_older_key`: whether an older key of the ring encrypted the stored text.
    """

    grant: "Grant"
    etag: str | None
    ledger: Ledger
    alerts: "AlertBook | None" = None
    refreshes: RefreshCounts = field(default_factory=dict, hash=False)
    refresh_times: RefreshTimes = ()
    is_sealed_by_older_key: bool = field(default=False, compare=False)

    @property
    def due_at(self) -> datetime | None:
        """When the sweep should process the record; None for never."""
        if self.alerts is None:
            from domain.grant import due_at  # noqa: PLC0415 - a fresh token is not due

            return due_at(self.grant)
        from domain.alert_book import record_due_at  # noqa: PLC0415 - most records have no alerts

        return record_due_at(self.grant, self.alerts)


class ConflictError(Exception):
    """Another writer was first. `current` is the stored record."""

    def __init__(self, current: Record) -> None:
        super().__init__("the record has changed")
        self.current = current


class StoreUnavailableError(Exception):
    """The store did not answer. It may have written."""


class StoreDamagedError(StoreUnavailableError):
    """The store answers, but some or all of its data cannot be read."""


NO_ETAG = "unreadable"
"""Replaces an etag that is missing or not text."""


class UnreadableRecordError(Exception):
    """The record was encrypted with another key, damaged, moved, or written by a later version.

    The record is left unchanged.
    `etag`: the etag to expect when a new login replaces the record.
    `is_damaged`: whether no key and no version of this software can decrypt it.
    """

    def __init__(self, reason: str, *, etag: str, is_damaged: bool = False) -> None:
        super().__init__(reason)
        self.etag = etag
        self.is_damaged = is_damaged


class Due(NamedTuple):
    """A connection and when it is due, in seconds since the epoch; ordered by both."""

    at: float
    connection: str


class RecordPage(NamedTuple):
    """Records by connection, in the order of the names; an error for one that cannot be read.

    `next`: the `after` of the next page. None: this is the last page.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    records: tuple[tuple[str, Record | UnreadableRecordError], ...]
    next: str | None


class Store(Protocol):
    """One record per connection, written by compare-and-swap only."""

    async def load(self, connection: str) -> Record:
        """Return the latest record. Without one, return `Unauthorized` with no etag.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        ...

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag, in one atomic round trip.

        The caller gives each change a new etag. A swap that finds its own etag succeeds: it is a
        retry after a lost answer.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        ...

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections that come after `after` and are due until `before`.

        They are ordered by date (`Record.due_at`), then by name, as code points. `after`: the last
        one of the page before, or any other; None for the first page. `before`: None for no limit.
        `limit`: the most that are returned. Fewer are returned only if there are no more.

        A record whose date changes during a walk may be missing or appear twice. A page is one
        round trip, except on DynamoDB, where the first page of a walk is a query of each part of
        the index. A change of the last second may be missing there.

        Raises StoreUnavailableError.
        """
        ...

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the latest records of up to `LARGEST_PAGE` connections, given in name order.

        Connections without a record are left out, and names that no connection can have. `next`:
        the last of the names that were read, if the records of the others did not fit. It is one
        round trip, except on DynamoDB with more than 16 MB.

        Raises StoreUnavailableError.
        """
        ...

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records whose connections begin with `prefix`, in name order.

        `after`: the `next` of the page before, or any name; None for the first page.
        `limit`: 1 to `LARGEST_PAGE` records. A page can have fewer, even none, and a `next`.

        Names are compared as ASCII. Names that no connection can have are left out. A page is one
        round trip, except on DynamoDB, where the first page of a walk is two. A change of the last
        second may be missing, and so may a connection that an earlier version created, until
        `complete_listing` ends.

        Raises StoreUnavailableError.
        """
        ...

    async def complete_listing(self) -> None:
        """Enter the records that an earlier version wrote into the indexes of this one, once.

        Can be interrupted and repeated. The sweep calls it.

        Raises StoreUnavailableError.
        """
        ...

    def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record, once, in any order.

        A connection that is created during the call may be missing. For operators only: the call
        reads the whole store.

        Raises StoreUnavailableError.
        """
        ...

    async def put_login(self, key: str, pending: "PendingLogin") -> None:
        """Store a pending login until it expires.

        Raises StoreUnavailableError.
        """
        ...

    async def forget_expired(self, now: datetime) -> None:
        """Remove expired logins and counts, if the store does not do so itself.

        Also remove those dated far in the future, by a clock that was ahead.

        Raises StoreUnavailableError.
        """
        ...

    async def take_login(self, key: str, *, taker: str, now: datetime) -> "PendingLogin | None":
        """Return a login to its first taker only, or None. An expired login is None.

        The same taker can repeat the call after a lost answer.

        Raises StoreUnavailableError.
        """
        ...

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to the count of this key and window, atomically, and return the new count.

        Each window of a key has its own count, which is removed some time after the window ends.
        A retry after a lost answer may count twice.

        Raises StoreUnavailableError.
        """
        ...

    async def close(self) -> None:
        """Close all connections and files. Call it before the event loop ends."""
        ...

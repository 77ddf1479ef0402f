"""What is kept: one grant a connection, the logins that have begun, and counts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from domain.grant import Grant
from domain.ledger import Ledger

if TYPE_CHECKING:
    # Who is given a fresh token does not wait for what logins are made of.
    from domain.authorization import PendingLogin

LONGEST_WINDOW = timedelta(hours=24)
"""What is counted is counted in windows that are no longer, and kept for about as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A grant as the store holds it; `etag` is None for one that was never stored.

    `ledger` tells how it has come to that. `is_sealed_by_older_key` says how it is stored, and
    nothing of what.
    """

    grant: Grant
    etag: str | None
    ledger: Ledger
    is_sealed_by_older_key: bool = field(default=False, compare=False)


class ConflictError(Exception):
    """Somebody else wrote first; `current` is what is there now."""

    def __init__(self, current: Record) -> None:
        super().__init__("the record has changed")
        self.current = current


class StoreUnavailableError(Exception):
    """The store did not answer; whether it wrote is not known."""


class StoreDamagedError(StoreUnavailableError):
    """The store is there, and what it holds cannot be read, at least not all of it."""


NO_ETAG = "unreadable"
"""Stands for the etag of a record that has none, or one that is no text."""


class UnreadableRecordError(Exception):
    """The record was sealed with another key, damaged, moved, or written by a later version.

    It stays as it is; `etag` is what it can be replaced by, should its owner log in anew. It
    `is_damaged` where no key and no version of this software can ever open it.
    """

    def __init__(self, reason: str, *, etag: str, is_damaged: bool = False) -> None:
        super().__init__(reason)
        self.etag = etag
        self.is_damaged = is_damaged


class Store(Protocol):
    """One record a connection, changed by nothing but compare-and-swap."""

    async def load(self, connection: str) -> Record:
        """Return the latest record; `Unauthorized` without an etag where there is none.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        ...

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Put a record in the place of the one with the expected etag, in one atomic round trip.

        The new one's etag is the caller's choice and new for each change: a swap that finds it in
        place is its own retry after a lost answer, and has succeeded.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        ...

    async def due(self, before: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due (`domain.grant.due_at`), longest overdue first.

        Raises StoreUnavailableError.
        """
        ...

    async def due_later(self, after: datetime, *, limit: int) -> list[str]:
        """Name the connections that are due later than that, the next ones first.

        Raises StoreUnavailableError.
        """
        ...

    def connections(self) -> AsyncIterator[str]:
        """Name each connection that has a record, in any order and once, while others write.

        One that comes into being meanwhile may be missing. For operators: it reads the whole store.

        Raises StoreUnavailableError.
        """
        ...

    async def put_login(self, key: str, pending: "PendingLogin") -> None:
        """Keep a login that has begun until it expires.

        Raises StoreUnavailableError.
        """
        ...

    async def forget_expired(self, now: datetime) -> None:
        """Remove the logins and counts that are over, where the store does not by itself.

        Also those that a clock which was far ahead has written.

        Raises StoreUnavailableError.
        """
        ...

    async def take_login(self, key: str, *, taker: str, now: datetime) -> "PendingLogin | None":
        """Return a login to the first taker, and to nobody else; None once it has expired.

        The same taker may ask again, after an answer that was lost.

        Raises StoreUnavailableError.
        """
        ...

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Count one more in the window that ends then, and return how many there are by now.

        In one atomic round trip. Each window of a key is counted by itself, and is forgotten some
        time after its end. Where an answer was lost, one may be counted twice.

        Raises StoreUnavailableError.
        """
        ...

    async def close(self) -> None:
        """Let go of what is held open, at the end of the event loop that it was used on."""
        ...

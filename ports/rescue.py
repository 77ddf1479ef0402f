"""The last resort for tokens that the store would not take."""

from dataclasses import dataclass
from typing import Protocol

from ports.store import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescued:
    """A record that was to be stored, in the place of the one with `expected_etag`."""

    connection: str
    expected_etag: str | None
    record: Record


@dataclass(frozen=True, slots=True)
class Unread:
    """What begins as a record and cannot be read; `why` repeats nothing of it."""

    why: str


class Rescue(Protocol):
    """Put records somewhere that is not the store, for an operator to bring back."""

    def emit(self, rescued: Rescued) -> None:
        """Write one line of text with the record in it, sealed. Raises nothing."""
        ...

    def read(self, line: str) -> list[Rescued | Unread]:
        """Find the records that a line of text holds: none as a rule, and several in some logs."""
        ...

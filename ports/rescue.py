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


class Rescue(Protocol):
    """Put records somewhere that is not the store, for an operator to bring back."""

    def emit(self, rescued: Rescued) -> None:
        """Write one line of text with the record in it, sealed. Raises nothing."""
        ...

    def read(self, line: str) -> Rescued | None:
        """Find the record that a line of text holds; None where it holds none.

        Raises UnreadableRecordError.
        """
        ...

"""The port that saves records outside the store when the store refuses them."""

from dataclasses import dataclass
from typing import Protocol

from ports.store import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class RescuedRecord:
    """A record that could not be stored. It replaces the one with `expected_etag`."""

    connection: str
    expected_etag: str | None
    record: Record


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A rescue line that cannot be read. `why` quotes nothing of it."""

    why: str


class Rescue(Protocol):
    """A place outside the store, from which an operator restores records."""

    def emit(self, rescued: RescuedRecord) -> None:
        """Write one line of text that holds the encrypted record. Raises nothing."""
        ...

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        """Return the records in a line of text. Most lines hold none; some logs join several."""
        ...

"""The port for exported grants: lines of text that only the receiver's key ring decrypts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.grant import Moved
from domain.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedGrant:
    """A grant that moves to another deployment, and its ledger."""

    moved: Moved
    ledger: Ledger


class UnreadableExportError(Exception):
    """The lines are not a complete export for this deployment. The message says what to do."""


class Export(Protocol):
    """A writer and reader of exported grants."""

    def write(self, grants: Mapping[str, ExportedGrant]) -> list[str]:
        """Encrypt the grants of these connections. The last line authenticates all others."""
        ...

    def read(self, lines: Iterable[str]) -> dict[str, ExportedGrant]:
        """Return the grants by connection, in the order of the lines.

        Raises UnreadableExportError if a line is missing, changed, or cannot be decrypted.
        """
        ...

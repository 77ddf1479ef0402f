"""Grants on their way to another deployment, as lines of text that only its key ring opens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from domain.grant import Moved
from domain.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver:
    """A grant that was handed over, and its ledger."""

    moved: Moved
    ledger: Ledger


class UnreadableExportError(Exception):
    """The lines are no whole export for this deployment; the text says why, and what to do."""


class Export(Protocol):
    """Write grants as lines, and read them again where they are to be used."""

    def write(self, grants: Mapping[str, HandedOver]) -> list[str]:
        """Seal the grants, by the connections that they are of; the last line tells of them all."""
        ...

    def read(self, lines: Iterable[str]) -> dict[str, HandedOver]:
        """Return the grants by their connections, in the order of the lines.

        Raises UnreadableExportError where a line is missing, changed, or cannot be opened.
        """
        ...

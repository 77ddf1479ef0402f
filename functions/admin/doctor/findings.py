"""A finding: one line with its level, its subject and what to do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from functions.admin.command import printable

# A deployment may have thousands.
_MAX_NAMES = 5
# A quotation of a server may be of any length.
_LONGEST_TEXT = 600


class Level(Enum):
    """The level of a finding; only a fault fails the command."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line, without secrets."""

    level: Level
    about: str
    text: str

    def of_client(self, name: str | None) -> "Finding":
        """Return the finding about a client of CLIENTS; None for the unnamed one."""
        return self if name is None else replace(self, about=f"{name}: {self.about}")

    def __str__(self) -> str:
        """Write one printable line."""
        line = printable(self.text)
        shown = line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
        return f"{self.level.value:<7}  {self.about}: {shown}"


def ok(about: str, text: str) -> Finding:
    """Make a finding of something that is right."""
    return Finding(level=Level.OK, about=about, text=text)


def unknown(about: str, text: str) -> Finding:
    """Make a finding of something that could not be checked, and why."""
    return Finding(level=Level.UNKNOWN, about=about, text=text)


def warning(about: str, text: str) -> Finding:
    """Make a finding of something that is weak, or will fail soon."""
    return Finding(level=Level.WARNING, about=about, text=text)


def fault(about: str, text: str) -> Finding:
    """Make a finding of something that does not work."""
    return Finding(level=Level.FAULT, about=about, text=text)


def summary(findings: Iterable[Finding], *, strict: bool) -> str | None:
    """Count the findings; None if the command succeeds.

    If it is `strict`, an unknown fails the command as well.
    """
    counts = Counter(finding.level for finding in findings)
    text = f"Faults: {counts[Level.FAULT]}; warnings: {counts[Level.WARNING]}"
    if strict and counts[Level.UNKNOWN]:
        return f"{text}; unknown: {counts[Level.UNKNOWN]}."
    return f"{text}." if counts[Level.FAULT] else None


def count_and_names(names: Iterable[str], count: int) -> str:
    """Return the count and the first names."""
    some = ", ".join(islice(names, _MAX_NAMES))
    return f"{count} ({some})" if count <= _MAX_NAMES else f"{count} ({some}, …)"

"""What the doctor finds: a line that says how bad it is, what it is about, and what to do."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from functions.admin.command import printable

# Enough to find the others by; somebody may have thousands.
_NAMED_AT_MOST = 5
# What a stranger's server has said may be of any length.
_LONGEST_TEXT = 600


class Level(Enum):
    """How bad it is; only faults make the command fail."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line; the text has no secret in it, and can be shown to anybody."""

    level: Level
    about: str
    text: str

    def __str__(self) -> str:
        """Write it in one line, whatever the text has been made of."""
        line = printable(self.text)
        shown = line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
        return f"{self.level.value:<7}  {self.about}: {shown}"


def ok(about: str, text: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(level=Level.OK, about=about, text=text)


def unknown(about: str, text: str) -> Finding:
    """Say that something could not be looked at, and why."""
    return Finding(level=Level.UNKNOWN, about=about, text=text)


def warning(about: str, text: str) -> Finding:
    """Say what works and is weak, or will not work for long."""
    return Finding(level=Level.WARNING, about=about, text=text)


def fault(about: str, text: str) -> Finding:
    """Say what does not work."""
    return Finding(level=Level.FAULT, about=about, text=text)


def summary(findings: Iterable[Finding], *, strict: bool) -> str | None:
    """Count what is wrong; None where nothing makes the command fail.

    Where it is `strict`, what could not be looked at makes it fail as well.
    """
    counts = Counter(finding.level for finding in findings)
    text = f"Faults: {counts[Level.FAULT]}; warnings: {counts[Level.WARNING]}"
    if strict and counts[Level.UNKNOWN]:
        return f"{text}; not looked at: {counts[Level.UNKNOWN]}."
    return f"{text}." if counts[Level.FAULT] else None


def listed(names: Iterable[str], count: int) -> str:
    """Name some of so many, and say how many there are."""
    some = ", ".join(islice(names, _NAMED_AT_MOST))
    return f"{count} ({some})" if count <= _NAMED_AT_MOST else f"{count} ({some}, …)"

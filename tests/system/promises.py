"""The promises of `docs/guarantees.md`, to which real processes are held too."""

from functools import cache
from pathlib import Path

from tests.simulation.faults import Fault, Point
from tests.simulation.guarantees import HEADINGS, ROWS, live_on

_PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"
_KEPT = "kept"

REUSE_REVOKES = "reuse-revokes"
"""The kind of provider that oidc-provider is, in the words of `tests.simulation.provider`."""
GRACE_REPEATS = "grace-repeats"
"""The kind that django-oauth-toolkit is with a grace period."""


def may_cost_a_login(kind: str, fault: Fault, point: Point | None = None) -> bool:
    """Whether the page has anything but *kept* for this fault, at this point of an attempt."""
    [name] = [
        row.name
        for row in ROWS
        if (row.fault, row.point) == (fault, point) and row.story is live_on
    ]
    return _cells()[name, HEADINGS[kind]] != _KEPT


@cache
def _cells() -> dict[tuple[str, str], str]:
    """Read the page's first table: by the names of its rows and columns."""
    text = _PAGE.read_text()
    head, _rule, *body = text[text.index("| fault |") :].partition("\n\n")[0].splitlines()
    rows = [_split(line) for line in (head, *body)]
    return {
        (name, heading): value
        for name, *values in rows[1:]
        for heading, value in zip(rows[0][1:], values, strict=True)
    }


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("| ").split(" | ")]

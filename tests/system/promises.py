"""The promises of `docs/guarantees.md`, to which real processes are held too."""

from pathlib import Path

from tests.simulation.faults import Fault, Point
from tests.simulation.guarantees import KEPT, ROWS, live_on, read_cells

_PAGE = Path(__file__).parents[2] / "docs" / "guarantees.md"

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
    return read_cells(_PAGE.read_text())[name, kind] != KEPT

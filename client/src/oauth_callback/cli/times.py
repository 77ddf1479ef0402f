"""Instants as other programs write them."""

from __future__ import annotations

import time


def rfc3339(epoch_seconds: float | None) -> str | None:
    """Return an instant in UTC, in whole seconds, not later than the true one."""
    if epoch_seconds is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(epoch_seconds)))

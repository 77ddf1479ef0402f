"""How often tests repeat themselves. `make test THOROUGH=1` repeats them most often."""

import os

IS_THOROUGH = bool(os.environ.get("THOROUGH"))


def times(most: int, *, usually: int | None = None) -> int:
    """Return `most` in a thorough run, else `usually`, which is two fifths of it by default."""
    if IS_THOROUGH:
        return most
    return -(-most * 2 // 5) if usually is None else usually

"""How often tests repeat themselves: `make test THOROUGH=1` has them do so most often."""

import os

_IS_THOROUGH = bool(os.environ.get("THOROUGH"))


def times(most: int) -> int:
    """Return `most` in a thorough run; two fifths of it, rounded up, in any other."""
    return most if _IS_THOROUGH else -(-most * 2 // 5)

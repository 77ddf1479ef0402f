"""The part of a store's names that one page of its listing covers."""

from typing import NamedTuple

# Names are ASCII (`domain.connection`), in which no letter is greater.
_AFTER_ALL = "\x7f"
# The next longer name in any order of bytes.
_SUCCESSOR = "\0"


class NameRange(NamedTuple):
    """Names from `first`, inclusive, to `end`, exclusive."""

    first: str
    end: str


def names_after(after: str | None, prefix: str) -> NameRange:
    """Return the range of the names that begin with `prefix` and come after a name."""
    end = prefix + _AFTER_ALL
    first = prefix if after is None else max(prefix, after + _SUCCESSOR)
    return NameRange(min(first, end), end)

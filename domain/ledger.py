"""What has become of a connection lately: a short list, without secrets, that its record keeps."""

from datetime import datetime
from enum import Enum
from typing import NamedTuple, TypeAlias

# Half a day of half-hourly refreshes. They crowd out each other only: however busy a connection is,
# who logged in to it and what was done to it is still told.
MOST_REFRESHES = 24
MOST_OTHERS = 8
MOST_ENTRIES = MOST_REFRESHES + MOST_OTHERS
# Enough to know an error by, and little enough to be kept with each entry.
LONGEST_SAID = 120


class Happening(Enum):
    """What an entry tells of."""

    LOGIN = "login"
    REFRESH = "refresh"
    REFRESH_FAILED = "refresh-failed"
    # The provider has refused the refresh token: a person has to log in.
    VERDICT = "verdict"
    RESCUED = "rescued"
    MOVED = "moved"
    TAKEN_BACK = "taken-back"
    IMPORTED = "imported"
    REVOKED = "revoked"
    # That its tokens are to end.
    PROVIDER_TOLD = "provider-told"


_REFRESHES = frozenset({Happening.REFRESH, Happening.REFRESH_FAILED})


class Entry(NamedTuple):
    """One thing that happened; `at` is whole seconds, `generation` that of the tokens it is about.

    `key_name` is the API key on whose request it happened; None where there was none, as with the
    sweep, a callback or an operator, and where it is not known. `outcome` is a word of ours, and
    `said` quotes the provider where it refused or did not answer.

    A tuple, as all of them are read with each token: a dataclass takes four times as long to make.
    """

    at: datetime
    happening: Happening
    generation: int | None
    key_name: str | None
    outcome: str
    said: str | None = None


Ledger: TypeAlias = tuple[Entry, ...]
"""The last entries, oldest first."""


def with_entry(ledger: Ledger, entry: Entry) -> Ledger:
    """Add the newest entry; where there is no room left, the oldest of its kind goes."""
    return _shortened((*ledger, entry))


def merged(there: Ledger, arrived: Ledger) -> Ledger:
    """Make one ledger of two; what both of them tell is told once.

    Each of them is in the order in which it was written, and stays so, whatever a clock has said;
    between the two, the times tell what comes first.
    """
    new = [entry for entry in arrived if entry not in there]
    old, both = list(there), list[Entry]()
    while old and new:
        both.append((new if new[0].at < old[0].at else old).pop(0))
    return _shortened((*both, *old, *new))


def _shortened(entries: Ledger) -> Ledger:
    kept: list[Entry] = []
    room = {True: MOST_REFRESHES, False: MOST_OTHERS}
    for entry in reversed(entries):
        is_refresh = entry.happening in _REFRESHES
        if room[is_refresh] > 0:
            room[is_refresh] -= 1
            kept.append(entry)
    return tuple(reversed(kept))

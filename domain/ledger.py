"""What has become of a connection lately: a short list, without secrets, that its record keeps.

An entry goes with a change that is stored anyway, and what changes nothing leaves none. The rule
that makes the change returns the note on it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple, TypeAlias

from domain.grant import Cause, Failure

# Half a day of half-hourly refreshes. They crowd out each other only: however busy a connection is,
# who logged in to it and what was done to it is still told.
MAX_REFRESHES = 24
MAX_OTHERS = 8
MAX_ENTRIES = MAX_REFRESHES + MAX_OTHERS
# Enough to know an error by, and little enough to be kept with each entry.
LONGEST_HISTORY_QUOTE = 120


class HistoryEvent(Enum):
    """What an entry tells of."""

    LOGIN = "login"
    REFRESH = "refresh"
    REFRESH_FAILED = "refresh-failed"
    # The provider has refused the refresh token: a person has to log in.
    REFRESH_REFUSED = "verdict"
    RESCUED = "rescued"
    MOVED = "moved"
    TAKEN_BACK = "taken-back"
    IMPORTED = "imported"
    REVOKED = "revoked"
    # That its tokens are to end.
    REVOCATION_ENDED = "provider-told"


_REFRESHES = frozenset({HistoryEvent.REFRESH, HistoryEvent.REFRESH_FAILED})

TOKENS = "tokens"
TOKENS_OF_ANOTHER_ACCOUNT = "tokens-of-another-account"
DONE = "done"
NOT_SUPPORTED = "not-supported"
OUTCOMES = (
    TOKENS,
    TOKENS_OF_ANOTHER_ACCOUNT,
    DONE,
    NOT_SUPPORTED,
    Cause.REFRESH_TOKEN_REJECTED.value,
    Cause.REFRESH_ANSWER_LOST.value,
    *(failure.value for failure in Failure),
)
"""All that an entry's outcome can be."""


class Entry(NamedTuple):
    """One thing that happened; `at` is whole seconds, `generation` that of the tokens it is about.

    `key_name` is the API key on whose request it happened; None where there was none, as with the
    sweep, a callback or an operator, and where it is not known. `outcome` is a word of ours, and
    `quote` quotes the provider where it refused or did not answer.

    A tuple, as all of them are read with each token: a dataclass takes four times as long to make.
    """

    at: datetime
    event: HistoryEvent
    generation: int | None
    key_name: str | None
    outcome: str
    quote: str | None = None


Ledger: TypeAlias = tuple[Entry, ...]
"""The last entries, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a rule has the ledger keep of a change; the entry adds when, and on whose request.

    `arrived` is the ledger that comes along with a grant from elsewhere.
    """

    event: HistoryEvent
    generation: int | None
    outcome: str
    quote: str | None = None
    # Of an attempt that ended without a word nobody remembers on whose request it began.
    is_requested: bool = True
    arrived: Ledger = ()


def append_history(ledger: Ledger, note: Note, *, now: datetime, key_name: str | None) -> Ledger:
    """Return the ledger after a change that was made on a request with the key of that name."""
    entry = Entry(
        at=now.replace(microsecond=0),
        event=note.event,
        generation=note.generation,
        key_name=key_name if note.is_requested else None,
        outcome=note.outcome,
        quote=note.quote and note.quote[:LONGEST_HISTORY_QUOTE],
    )
    return append_entry(merge_ledgers(ledger, note.arrived), entry)


def append_entry(ledger: Ledger, entry: Entry) -> Ledger:
    """Add the newest entry; where there is no room left, the oldest of its kind goes."""
    return _shortened((*ledger, entry))


def merge_ledgers(there: Ledger, arrived: Ledger) -> Ledger:
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
    room = {True: MAX_REFRESHES, False: MAX_OTHERS}
    for entry in reversed(entries):
        is_refresh = entry.event in _REFRESHES
        if room[is_refresh] > 0:
            room[is_refresh] -= 1
            kept.append(entry)
    return tuple(reversed(kept))

"""The history of a connection: a short list, without secrets, in its record.

A change of the grant may add an entry, in the same write. The rule that makes the change returns
the note on it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, TypeAlias

# Half a day of half-hourly refreshes. A refresh replaces only the oldest refresh, so that logins
# and other events of a busy connection stay.
MAX_REFRESHES = 24
MAX_OTHERS = 8
# Channels that are away must not hide the logins.
MAX_GIVEN_UP = 4
MAX_ENTRIES = MAX_REFRESHES + MAX_OTHERS + MAX_GIVEN_UP
# An exception among so few is recognised, and a provider that has become slower is known soon.
MAX_REFRESH_TIMES = 5
# Enough to recognise an error, and short enough for each entry.
LONGEST_HISTORY_QUOTE = 120


class HistoryEvent(Enum):
    """The kind of an entry."""

    LOGIN = "login"
    REFRESH = "refresh"
    REFRESH_FAILED = "refresh-failed"
    # A final refusal: a person has to log in.
    REFRESH_REFUSED = "verdict"
    RESCUED = "rescued"
    MOVED = "moved"
    TAKEN_BACK = "taken-back"
    IMPORTED = "imported"
    REVOKED = "revoked"
    # The provider's answer to the revocation request.
    REVOCATION_ENDED = "provider-told"
    ADOPTED = "adopted"
    # Adopted tokens were not proven: the earlier grant stays.
    ADOPTION_REFUSED = "adoption-refused"
    # A channel did not take an alert in time. `quote` names both.
    ALERT_GIVEN_UP = "alert-given-up"
    # These are in the deployment's own record only: a sweep ended, a channel's last alert, and a
    # sweep looked for alerts of all connections.
    SWEPT = "swept"
    DELIVERED = "delivered"
    ALERTS_CHECKED = "alerts-checked"


_REFRESHES = frozenset({HistoryEvent.REFRESH, HistoryEvent.REFRESH_FAILED})
_COUNTED = _REFRESHES | {HistoryEvent.REFRESH_REFUSED}

TOKENS = "tokens"
TOKENS_OF_ANOTHER_ACCOUNT = "tokens-of-another-account"
DONE = "done"
NOT_SUPPORTED = "not-supported"
NOT_DELIVERED = "not-delivered"
FAILED = "failed"
INCOMPLETE = "incomplete"
"""With DONE, the outcomes of `SWEPT` and `DELIVERED`."""


class Entry(NamedTuple):
    """One event. `at` is in whole seconds, `generation` is of the tokens that it concerns.

    `key_name` is the API key of the request; None for the sweep, a callback or an operator, or if
    it is unknown. `outcome` is one of `outcomes.OUTCOMES`. `quote` is the provider's error, or the
    reason why it gave no answer.
    """

    # A tuple, because each token request reads all entries: a dataclass takes four times as long.

    at: datetime
    event: HistoryEvent
    generation: int | None
    key_name: str | None
    outcome: str
    quote: str | None = None


Ledger: TypeAlias = tuple[Entry, ...]
"""The latest entries, oldest first."""


class Note(NamedTuple):
    """A rule's note on a change. The entry adds the time and the API key.

    `arrived` is the ledger of a grant from another deployment.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    event: HistoryEvent
    generation: int | None
    outcome: str
    quote: str | None = None
    # False for an attempt whose lease ran out: its API key is unknown.
    is_requested: bool = True
    arrived: Ledger = ()


def append_history(ledger: Ledger, note: Note, *, now: datetime, key_name: str | None) -> Ledger:
    """Return the ledger with the entry of a change, made by a request with this API key."""
    entry = Entry(
        at=now.replace(microsecond=0),
        event=note.event,
        generation=note.generation,
        key_name=key_name if note.is_requested else None,
        outcome=note.outcome,
        quote=note.quote and note.quote[:LONGEST_HISTORY_QUOTE],
    )
    return append_entry(merge_ledgers(ledger, note.arrived), entry)


RefreshCounts: TypeAlias = Mapping[str, int]
"""How many refreshes ended, by outcome. The ledger has only the latest ones."""


def count_refresh(counts: RefreshCounts, note: Note) -> RefreshCounts:
    """Return the counts with a refresh that ended. Other notes change nothing."""
    if note.event not in _COUNTED:
        return counts
    return {**counts, note.outcome: counts.get(note.outcome, 0) + 1}


RefreshTimes: TypeAlias = tuple[timedelta, ...]
"""How long the last refreshes took that brought tokens, oldest first."""


def append_refresh_time(
    times: RefreshTimes, took: timedelta, *, longest: timedelta
) -> RefreshTimes:
    """Return the times with that of a refresh, unless the clock was set meanwhile.

    No refresh takes less than nothing, or more than `longest`.
    """
    if not timedelta(0) <= took <= longest:
        return times
    return (*times, took)[-MAX_REFRESH_TIMES:]


def append_entry(ledger: Ledger, entry: Entry) -> Ledger:
    """Add the newest entry. If the ledger is full, remove the oldest one of its kind."""
    return _without_oldest((*ledger, entry))


def merge_ledgers(there: Ledger, arrived: Ledger) -> Ledger:
    """Merge two ledgers, without duplicates.

    Each one keeps its own order, even if a clock was wrong. Times decide between the two.
    """
    new = [entry for entry in arrived if entry not in there]
    old, both = list(there), list[Entry]()
    while old and new:
        both.append((new if new[0].at < old[0].at else old).pop(0))
    return _without_oldest((*both, *old, *new))


def _without_oldest(entries: Ledger) -> Ledger:
    kept: list[Entry] = []
    room = [MAX_REFRESHES, MAX_GIVEN_UP, MAX_OTHERS]
    for entry in reversed(entries):
        kind = _kind_of(entry.event)
        if room[kind] > 0:
            room[kind] -= 1
            kept.append(entry)
    return tuple(reversed(kept))


def _kind_of(event: HistoryEvent) -> int:
    """Return the number of an event's room."""
    if event in _REFRESHES:
        return 0
    return 1 if event is HistoryEvent.ALERT_GIVEN_UP else 2

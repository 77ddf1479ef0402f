"""What an instance remembers of records, for when the store has an older one, or none any more.

An etag is `LINEAGE.NUMBER.RANDOM`. The number counts the writes since the lineage began, which it
does with a new record, and with one that another version of this software wrote. A record is sealed
to its etag, so that nobody else can say of an older one that it is newer.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from domain.grant import tokens_of
from ports.store import Record

# More than an instance is asked for between two looks of an attacker; some kilobytes each.
MOST_CONNECTIONS = 1000

# A lineage, and how many writes there were in it.
_Place: TypeAlias = tuple[str, int]

_ETAG = re.compile(r"(?P<lineage>[A-Za-z0-9_\-]{8})\.(?P<number>[0-9]{1,18})\.[A-Za-z0-9_\-]+")


def next_etag(etag: str | None, random: str, *, over: str | None = None) -> str:
    """Make the etag of what is written after a record; `random` is new text that nobody guesses.

    `over` is that of what is in its place: where both count the same, it counts on from the higher.
    """
    lineage, number = _place_of(etag) or (random[:8], 0)
    there = _place_of(over)
    if there is not None and there[0] == lineage:
        number = max(number, there[1])
    return f"{lineage}.{number + 1}.{random}"


def _place_of(etag: str | None) -> _Place | None:
    found = _ETAG.fullmatch(etag or "")
    return None if found is None else (found["lineage"], int(found["number"]))


class Memory:
    """The newest record of each connection that this instance has seen lately."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Record] = OrderedDict()
        # Those that were put elsewhere already, by their connections.
        self._elsewhere: dict[str, Record] = {}

    def note(self, connection: str, record: Record) -> None:
        """Remember a record that is, or was just now, in the store; not an older one.

        Nor that there is none, or one that has no place: who deletes a record, and later puts back
        an older one, would have had the newest forgotten by it.
        """
        if _place_of(record.etag) is None:
            return
        if self.newer_than(connection, record) is None:
            self._newest[connection] = record
            self._newest.move_to_end(connection)
            if len(self._newest) > MOST_CONNECTIONS:
                forgotten, _ = self._newest.popitem(last=False)
                self._elsewhere.pop(forgotten, None)

    def get(self, connection: str) -> Record | None:
        """Return the newest record that was seen of a connection, if one was."""
        return self._newest.get(connection)

    def connections(self) -> list[str]:
        """Name the connections of which a record is remembered."""
        return list(self._newest)

    def put_elsewhere(self) -> Iterator[tuple[str, Record]]:
        """Give each record that is to be put elsewhere, once."""
        for connection, record in self._newest.items():
            if self._elsewhere.get(connection) is not record:
                self._elsewhere[connection] = record
                yield connection, record

    def newer_than(self, connection: str, record: Record) -> Record | None:
        """Return a record that is known to have been written after this one; None if none is.

        Also where there is no record any more: nothing here ever removes one.
        """
        newest = self._newest.get(connection)
        if newest is None or record.etag is None:
            return newest
        there, known = _place_of(record.etag), _place_of(newest.etag)
        if there is None or known is None:
            return None
        (lineage, number), (known_lineage, known_number) = there, known
        if lineage != known_lineage:
            return None
        ahead = _generations_ahead(newest, record)
        return newest if ahead > 0 or (ahead == 0 and number < known_number) else None


def _generations_ahead(known: Record, there: Record) -> int:
    """Say by how many generations of one login the known one is ahead; 0 where none can be told.

    Where an instance has put back what it knew, and gone on from that, its writes count higher than
    those that were lost, and its refresh token is spent.
    """
    ours, theirs = tokens_of(known.grant), tokens_of(there.grant)
    if ours is None or theirs is None or ours.authorized_at != theirs.authorized_at:
        return 0
    return ours.generation - theirs.generation

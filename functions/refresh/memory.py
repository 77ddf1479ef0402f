"""The records that an instance remembers, to detect older or missing ones in the store.

An etag is `LINEAGE.NUMBER.RANDOM`. NUMBER counts the writes of a lineage, which starts with a new
record, or with one of another version of this software. A record is encrypted together with its
etag, so that an older record cannot claim to be newer.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeAlias

from ports.store import Record

# Some kilobytes each.
MAX_CONNECTIONS = 1000

# A lineage, and its number of writes.
_Version: TypeAlias = tuple[str, int]

_ETAG = re.compile(r"(?P<lineage>[A-Za-z0-9_\-]{8})\.(?P<number>[0-9]{1,18})\.[A-Za-z0-9_\-]+")


def next_etag(etag: str | None, random: str, *, over: str | None = None) -> str:
    """Return the etag after `etag`; `random` is fresh random text.

    `over` is the etag that it replaces: in the same lineage, the higher number counts on.
    """
    lineage, number = _version_of(etag) or (random[:8], 0)
    there = _version_of(over)
    if there is not None and there[0] == lineage:
        number = max(number, there[1])
    return f"{lineage}.{number + 1}.{random}"


def _version_of(etag: str | None) -> _Version | None:
    found = _ETAG.fullmatch(etag or "")
    return None if found is None else (found["lineage"], int(found["number"]))


class Memory:
    """The newest record of each connection that this instance saw lately."""

    def __init__(self) -> None:
        self._newest: OrderedDict[str, Record] = OrderedDict()
        # The records that have a rescue line already.
        self._rescued: dict[str, Record] = {}

    def remember(self, connection: str, record: Record) -> None:
        """Remember a record of the store, unless a newer one is known.

        A missing record does not replace a known one: otherwise an attacker could delete it first,
        and then restore an older one.
        """
        if _version_of(record.etag) is None:
            return
        if self.newer_than(connection, record) is None:
            self._newest[connection] = record
            self._newest.move_to_end(connection)
            if len(self._newest) > MAX_CONNECTIONS:
                forgotten, _ = self._newest.popitem(last=False)
                self._rescued.pop(forgotten, None)

    def get(self, connection: str) -> Record | None:
        """Return the newest known record of a connection."""
        return self._newest.get(connection)

    def connections(self) -> list[str]:
        """Return the connections with a known record."""
        return list(self._newest)

    def take_unrescued(self) -> Iterator[tuple[str, Record]]:
        """Yield each record that has no rescue line yet, once."""
        for connection, record in self._newest.items():
            if self._rescued.get(connection) is not record:
                self._rescued[connection] = record
                yield connection, record

    def newer_than(self, connection: str, record: Record) -> Record | None:
        """Return the known record if it was written after this one, else None.

        A missing record is always older, because this software never removes one.
        """
        newest = self._newest.get(connection)
        if newest is None or record.etag is None:
            return newest
        if record.etag == newest.etag:
            return None
        there, known = _version_of(record.etag), _version_of(newest.etag)
        if there is None or known is None:
            return None
        (lineage, number), (known_lineage, known_number) = there, known
        if lineage != known_lineage:
            return None
        ahead = _generations_ahead(newest, record)
        return newest if ahead > 0 or (ahead == 0 and number < known_number) else None


def _generations_ahead(known: Record, there: Record) -> int:
    """Return how many generations of one login the known record is ahead; 0 if unknown.

    An instance that put back its record counts more writes than the lost ones, although its refresh
    token is used.
    """
    from domain.grant import tokens_of  # noqa: PLC0415 - a fresh token needs one state only

    ours, theirs = tokens_of(known.grant), tokens_of(there.grant)
    if ours is None or theirs is None or ours.authorized_at != theirs.authorized_at:
        return 0
    return ours.generation - theirs.generation

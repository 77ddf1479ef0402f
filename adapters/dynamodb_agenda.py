"""The dates of due records in DynamoDB: an index in parts, whose pages are merged.

One partition takes a thousand writes a second, so the index `due` has `SHARDS` values of `agenda`,
by a hash of the name. An earlier version had one value for all. That is still read, as an instance
of that version may still run, and `complete` moves its items. A walk may miss an item that moves
meanwhile. The next walk has it.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import groupby, islice
from zlib import crc32

from adapters.dynamodb_listing import GRANT, Table, items_of, text_of
from adapters.dynamodb_table import ConditionFailedError, Item
from ports.store import Due, StoreUnavailableError

SHARDS = 16
"""More need another migration, as this one: items of a part that nobody reads are lost."""
_SINGLE = "refresh"
_AGENDAS = (_SINGLE, *(f"{_SINGLE}#{number}" for number in range(SHARDS)))
# A sweep takes a page of refreshes in less. Names that were read ahead may be old: records decide.
_AHEAD_LIMIT = timedelta(minutes=2)
_MAX_CONCURRENCY = 16


def agenda_of(connection: str, at: datetime) -> Item:
    """Return the attributes that enter a record into the index."""
    return {"agenda": {"S": _agenda(connection)}, "due_at": {"N": str(at.timestamp())}}


def _agenda(connection: str) -> str:
    return f"{_SINGLE}#{crc32(connection.encode(errors='surrogatepass')) % SHARDS}"


@dataclass(slots=True, kw_only=True)
class _Shard:
    """The dates of a part of the index from `first` that were read, and not taken yet.

    The order of items of the same date is not defined, so they are sorted here. Those of the date
    `read_to` may be incomplete. It is infinite at the end.
    """

    agenda: str
    first: float | None
    read: list[Due] = field(default_factory=list)
    read_to: float = -math.inf
    start: dict[str, object] = field(default_factory=dict)

    @property
    def ready(self) -> int:
        """How many of `read` are in order, with none missing among them."""
        if self.read_to == math.inf:
            return len(self.read)
        return sum(due.at < self.read_to for due in self.read)

    def skip(self, after: Due) -> None:
        """Leave out what was taken, here or by others."""
        self.read = [due for due in self.read if due > after]
        if self.read_to < after.at:
            self.first, self.start = after.at, {}


class _Walk:
    """A walk up to `after`, with what was read ahead of each part."""

    def __init__(self, after: Due | None, before: datetime | None) -> None:
        self.after = after
        self._before = before
        first = None if after is None else after.at
        self.shards = [_Shard(agenda=agenda, first=first) for agenda in _AGENDAS]
        self._used_at = time.monotonic()

    def continues(self, after: Due | None, before: datetime | None) -> bool:
        """Whether a later page is asked for. Then go there."""
        is_old = time.monotonic() - self._used_at >= _AHEAD_LIMIT.total_seconds()
        if is_old or self._before != before or self.after is None or after is None:
            return False
        if after < self.after:
            return False
        self._go_to(after)
        return True

    def take(self, limit: int) -> list[Due]:
        """Take the next ones of all parts, up to the first part that must be read on."""
        known_to = min(shard.read_to for shard in self.shards)
        in_order = merge(*(shard.read for shard in self.shards))
        # An item may be in two parts while it moves.
        each_once = (due for due, _ in groupby(in_order) if due.at < known_to)
        taken = list(islice(each_once, limit))
        if taken:
            self._go_to(taken[-1])
        return taken

    def _go_to(self, after: Due) -> None:
        self.after, self._used_at = after, time.monotonic()
        for shard in self.shards:
            shard.skip(after)

    def range_of(self, shard: _Shard) -> dict[str, object]:
        """Return the condition of a query for a part."""
        return _range(
            shard.agenda,
            first=shard.first,
            last=None if self._before is None else self._before.timestamp(),
        )


class DynamoDbAgenda:
    """Reads the due records of a table in pages."""

    def __init__(self, table: Table) -> None:
        self._table = table
        # One walk, so that memory is limited: a page of each part.
        self._walk: _Walk | None = None

    async def page(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return a page; see `Store.due`. Raises StoreUnavailableError."""
        if after is not None and before is not None and after.at > before.timestamp():
            return []
        # Another call meanwhile has a walk of its own.
        walk, self._walk = self._walk, None
        if walk is None or not walk.continues(after, before):
            walk = _Walk(after, before)
        found: list[Due] = []
        while len(found) < limit:
            await asyncio.gather(*(self._fill(shard, walk, limit) for shard in walk.shards))
            taken = walk.take(limit - len(found))
            if not taken:
                return found
            found += taken
        self._walk = walk
        return found

    async def _fill(self, shard: _Shard, walk: _Walk, limit: int) -> None:
        """Read on, until the next one of a part is known, or its end."""
        while not shard.ready and shard.read_to < math.inf:
            page = await self._table.call(
                "query", IndexName="due", Limit=limit, **walk.range_of(shard), **shard.start
            )
            found = [_due_of(item) for item in items_of(page)]
            shard.read += [due for due in found if walk.after is None or due > walk.after]
            shard.read.sort()
            if "LastEvaluatedKey" in page:
                shard.start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
                shard.read_to = found[-1].at if found else shard.read_to
            else:
                shard.read_to = math.inf

    async def complete(self) -> None:
        """Move the items of an earlier version to their parts of the index.

        It can be stopped and repeated. An item that is written meanwhile moves by itself.

        Raises StoreUnavailableError.
        """
        start: dict[str, object] = {}
        while True:
            page = await self._table.call(
                "query", IndexName="due", **_range(_SINGLE, first=None, last=None), **start
            )
            names = [_name_of(item) for item in items_of(page)]
            for first in range(0, len(names), _MAX_CONCURRENCY):
                await asyncio.gather(*map(self._move, names[first : first + _MAX_CONCURRENCY]))
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def _move(self, name: str) -> None:
        try:
            await self._table.call(
                "update_item",
                Key={"id": {"S": GRANT + name}},
                UpdateExpression="SET agenda = :agenda",
                ConditionExpression="agenda = :single",
                ExpressionAttributeValues={
                    ":agenda": {"S": _agenda(name)},
                    ":single": {"S": _SINGLE},
                },
            )
        except ConditionFailedError:
            # It was written meanwhile, or the index is behind.
            return


def _range(agenda: str, *, first: float | None, last: float | None) -> dict[str, object]:
    """Return the condition of the dates from `first` to `last`, of a part of the index."""
    values = {":agenda": {"S": agenda}}
    for name, date in ((":first", first), (":last", last)):
        if date is not None:
            values[name] = {"N": str(date)}
    condition = "agenda = :agenda"
    match first, last:
        case None, None:
            pass
        case _, None:
            condition += " AND due_at >= :first"
        case None, _:
            condition += " AND due_at <= :last"
        case _:
            condition += " AND due_at BETWEEN :first AND :last"
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": values}


def _due_of(item: Item) -> Due:
    name = _name_of(item)
    try:
        return Due(float(text_of(item, "due_at", kind="N")), name)
    except ValueError as error:
        raise StoreUnavailableError("DynamoDB returned an item with an invalid date") from error


def _name_of(item: Item) -> str:
    return text_of(item, "id").removeprefix(GRANT)

"""The store in a Postgres database: one row for each connection, login and count.

A swap is one UPDATE or INSERT of one row, which READ COMMITTED makes a compare-and-swap. A loser
waits for the winner's commit, and then its condition is checked against the winner's row. It would
still see its older snapshot in the same statement. So the present row is read by a second one,
which has a new snapshot. Both travel together, in one round trip.
"""

import math
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from adapters.listing import names_after
from adapters.postgres_pool import PostgresPool, Rows, Statement
from adapters.postgres_schema import CONNECTIONS, COUNTS, LOGINS
from adapters.sealed_records import SealedRecords
from domain.authorization import PendingLogin
from domain.connection import is_connection
from domain.grant import Unauthorized
from ports.store import LARGEST_PAGE, LONGEST_WINDOW, ConflictError, Due, Record, RecordPage

# ruff: noqa: S608 - the names of the tables are constants

_NAMES_AT_ONCE = 1000
_REMOVED_AT_ONCE = 1000

_LOAD = f"SELECT etag, sealed FROM {CONNECTIONS} WHERE connection = %s"
# A finished swap survives a power cut: it may hold the only valid refresh token.
_COMMIT_TO_DISK = """
SELECT set_config('synchronous_commit', 'on', true)
WHERE current_setting('synchronous_commit') = 'off'
"""
_CREATE = f"""
INSERT INTO {CONNECTIONS} (etag, sealed, due_at, connection) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING RETURNING true
"""
_REPLACE = f"""
UPDATE {CONNECTIONS} SET etag = %s, sealed = %s, due_at = %s
WHERE connection = %s AND etag = %s RETURNING true
"""
# Without the text of the record that was just written.
_PRESENT = f"""
SELECT etag, CASE WHEN etag <> %s THEN sealed END FROM {CONNECTIONS} WHERE connection = %s
"""
# Dates have microseconds, which a float of today's seconds has, too.
_DUE = f"""
SELECT extract(epoch FROM due_at)::float8, connection FROM {CONNECTIONS}
WHERE due_at <= %s AND (due_at, connection) > (to_timestamp(%s), %s)
ORDER BY due_at, connection LIMIT %s
"""
_LOAD_MANY = f"""
SELECT connection, etag, sealed FROM {CONNECTIONS} WHERE connection = ANY(%s) ORDER BY connection
"""
# Names of ASCII letters only, so that foreign rows fill no page.
_LIST = f"""
SELECT connection, etag, sealed FROM {CONNECTIONS}
WHERE connection >= %s AND connection > %s AND connection < %s
AND connection ~ '^[A-Za-z0-9][-A-Za-z0-9._@:]*$'
ORDER BY connection LIMIT %s
"""
_NAMES = (
    f"SELECT connection FROM {CONNECTIONS} WHERE connection {{}} %s ORDER BY connection LIMIT %s"
)
_PUT_LOGIN = f"""
INSERT INTO {LOGINS} (key, sealed, expires_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_TAKE_LOGIN = f"""
UPDATE {LOGINS} SET taker = %s WHERE key = %s AND (taker IS NULL OR taker = %s) RETURNING sealed
"""
_COUNT = f"""
INSERT INTO {COUNTS} AS counts (key, window_ends, number) VALUES (%s, %s, 1)
ON CONFLICT (key, window_ends) DO UPDATE SET number = counts.number + 1 RETURNING number
"""
# Rows that another process uses now are left to it, so that nothing waits or ends in a deadlock.
_REMOVE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE {column} <= %s OR {column} > %s
    LIMIT {limit} FOR UPDATE SKIP LOCKED
)) RETURNING true
"""
_REMOVE_LOGINS = _REMOVE.format(table=LOGINS, column="expires_at", limit=_REMOVED_AT_ONCE)
_REMOVE_COUNTS = _REMOVE.format(table=COUNTS, column="window_ends", limit=_REMOVED_AT_ONCE)

_NEVER = datetime.max.replace(tzinfo=UTC)
_BEFORE_ALL = Due(-math.inf, "")


class PostgresStore:
    """Stores encrypted records. Its connections belong to one event loop."""

    def __init__(self, pool: PostgresPool, records: SealedRecords) -> None:
        self._pool = pool
        self._records = records
        # Counts of windows that ended before this time have been removed.
        self._removed_before: datetime | None = None

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        return self._record(connection, await self._rows(_LOAD, _text(connection)))

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        sealed = self._records.seal_record(connection, record)
        name, etag = _text(connection), _text(str(record.etag))
        values = [etag, sealed, record.due_at, name]
        write = (
            (_CREATE, values)
            if expected_etag is None
            else (_REPLACE, [*values, _text(expected_etag)])
        )
        _, written, present = await self._pool.run(
            (_COMMIT_TO_DISK, ()), write, (_PRESENT, (etag, name))
        )
        # A record with this etag is the result of the same swap, whose answer was lost.
        if not written and not (present and present[0][0] == etag):
            raise ConflictError(self._record(connection, present))

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections after `after` that are due until `before`.

        Raises StoreUnavailableError.
        """
        at, name = after or _BEFORE_ALL
        rows = await self._rows(_DUE, before or _NEVER, at, _text(name), limit)
        return [Due(date, _name(connection)) for date, connection in rows]

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the latest records of some connections. Raises StoreUnavailableError."""
        names = [name for name in connections if is_connection(name)]
        return self._record_page(await self._rows(_LOAD_MANY, names), None)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError."""
        names = names_after(None, prefix)
        # One more shows whether this is the last page.
        values = (_text(names.first), _text(after or ""), _text(names.end), limit + 1)
        rows = await self._rows(_LIST, *values)
        shown = rows[:limit]
        return self._record_page(shown, shown[-1][0] if len(rows) > limit else None)

    def _record_page(self, rows: Rows, last: str | None) -> RecordPage:
        return RecordPage(
            records=tuple(
                (name, self._records.open_listed(name, _name(etag), sealed))
                for name, etag, sealed in rows
                if is_connection(name)
            ),
            next=last,
        )

    async def complete_listing(self) -> None:
        """Do nothing: the primary key is the listing."""

    async def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record. Raises StoreUnavailableError."""
        names = await self._names(_NAMES.format(">="), "", _NAMES_AT_ONCE)
        while names:
            for name in names:
                yield name
            names = await self._names(_NAMES.format(">"), _text(names[-1]), _NAMES_AT_ONCE)

    async def put_login(self, key: str, pending: PendingLogin) -> None:
        """Store a pending login. Raises StoreUnavailableError."""
        sealed = self._records.seal_login(key, pending)
        await self._rows(_PUT_LOGIN, _text(key), sealed, pending.expires_at)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> PendingLogin | None:
        """Return a login to its first taker only. Raises StoreUnavailableError."""
        rows = await self._rows(_TAKE_LOGIN, _text(taker), _text(key), _text(taker))
        return self._records.open_login(key, rows[0][0], now=now) if rows else None

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to a count and return the new count. Raises StoreUnavailableError."""
        # All other clocks, and all open windows, are later than that.
        forgotten = window_ends - LONGEST_WINDOW
        is_new = self._removed_before is None or forgotten > self._removed_before
        # Once for each window.
        removal = [(_REMOVE_COUNTS, (forgotten, _NEVER))] if is_new else []
        counted, *_ = await self._pool.run((_COUNT, (_text(key), window_ends)), *removal)
        if is_new:
            self._removed_before = forgotten
        return int(counted[0][0])

    async def forget_expired(self, now: datetime) -> None:
        """Remove expired logins and counts. Raises StoreUnavailableError."""
        # Those dated later than this were written by a clock that was ahead.
        too_far = now + 2 * LONGEST_WINDOW
        left: list[Statement] = [
            (_REMOVE_LOGINS, (now, too_far)),
            (_REMOVE_COUNTS, (now - LONGEST_WINDOW, too_far)),
        ]
        while left:
            removed = await self._pool.run(*left)
            left = [
                statement
                for statement, rows in zip(left, removed, strict=True)
                if len(rows) == _REMOVED_AT_ONCE
            ]

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _rows(self, text: str, *values: object) -> Rows:
        return (await self._pool.run((text, values)))[0]

    async def _names(self, text: str, *values: object) -> list[str]:
        return [_name(name) for (name,) in await self._rows(text, *values)]

    def _record(self, connection: str, rows: Rows) -> Record:
        if not rows:
            return Record(grant=Unauthorized(), etag=None, ledger=())
        etag, sealed = rows[0]
        return self._records.open_stored(connection, _name(etag), sealed)


def _text(name: str) -> str:
    """Write a name as a text of Postgres, which cannot have NUL. Names of connections stay."""
    return name.replace("%", "%25").replace("\0", "%00")


def _name(text: str) -> str:
    """Read a text that `_text` has written."""
    return text.replace("%00", "\0").replace("%25", "%")

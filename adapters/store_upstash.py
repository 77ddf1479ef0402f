"""The store in Upstash Redis (Vercel KV), by its REST protocol: one request per operation."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from adapters.sealed_records import SealedRecords
from adapters.upstash_reader import UpstashReader
from domain.connection import is_connection
from ports.store import (
    LARGEST_PAGE,
    NO_ETAG,
    ConflictError,
    Record,
    RecordPage,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    # Imported where they are made: reading a fresh token must not pay for them.
    from adapters.upstash_listing import UpstashListing
    from adapters.upstash_writer import UpstashWriter
    from domain.authorization import PendingLogin
    from ports.store import Due

_PREFIX = "oauth-callback:"
_GRANT = f"{_PREFIX}grant:"
_DUE = f"{_PREFIX}due"
# The names of all records, in order (`adapters.upstash_listing`).
_NAMES = f"{_PREFIX}names"
# Keys of the database that one command scans. They may belong to other programs.
_SCAN_PAGE = 1000
# Upstash answers in milliseconds: after these limits the network is down.
_LIMIT = timedelta(seconds=3)
_CONNECT_LIMIT = timedelta(seconds=1)
# Strangers can cause counts, and space is limited. So the margin past a window covers only the
# difference of clocks.
_COUNT_RETENTION = timedelta(hours=1)

# The script itself compares: reads may come from a replica that lags. Another program may have
# stored another type at a key: the script treats it as an unreadable record.
_SWAP = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= 'hash' then
  if ARGV[1] ~= ARGV[6] then return {'conflict', ARGV[6], false} end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'etag', ARGV[6])
end
local found = redis.call('HMGET', KEYS[1], 'etag', 'sealed')
local etag = found[1] or (found[2] and ARGV[6]) or ''
if etag == ARGV[2] then return {'done'} end
if etag ~= ARGV[1] then return {'conflict', found[1], found[2]} end
redis.call('HSET', KEYS[1], 'etag', ARGV[2], 'sealed', ARGV[3])
if ARGV[5] == '' then redis.call('ZREM', KEYS[2], ARGV[4])
else redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4]) end
if ARGV[7] == '1' then redis.pcall('ZADD', KEYS[3], 0, ARGV[4]) end
return {'done'}
"""
_PUT_LOGIN = """
redis.call('HSET', KEYS[1], 'sealed', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# The taker stays, so that the same taker can repeat the call after a lost answer.
_TAKE_LOGIN = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return false end
local found = redis.call('HMGET', KEYS[1], 'sealed', 'taker')
if not found[1] or (found[2] and found[2] ~= ARGV[1]) then return false end
redis.call('HSET', KEYS[1], 'taker', ARGV[1])
return found[1]
"""
_COUNT = """
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return number
"""


class UpstashStore:
    """Stores encrypted records in Redis hashes. Its connections belong to one event loop."""

    def __init__(self, url: str, token: str, records: SealedRecords) -> None:
        self._url = url
        self._token = token
        self._records = records
        self._reader = UpstashReader(url, token, limit=_LIMIT, connect_limit=_CONNECT_LIMIT)
        self._writer: UpstashWriter | None = None
        self._listing: UpstashListing | None = None

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        try:
            found = await self._reader.execute("HMGET", _grant_key(connection), "etag", "sealed")
        except StoreUnavailableError as error:
            if "WRONGTYPE" not in str(error):
                raise
            found = [None, ""]
        return self._record(connection, _texts(found))

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        due = record.due_at
        answer = _texts(
            await self._execute(
                *("EVAL", _SWAP, 3, _grant_key(connection), _DUE, _NAMES),
                *(expected_etag or "", str(record.etag)),
                self._records.seal_record(connection, record),
                connection,
                "" if due is None else due.timestamp(),
                NO_ETAG,
                "1" if is_connection(connection) else "",
            )
        )
        match answer:
            case ["done"]:
                return
            case ["conflict", *found]:
                raise ConflictError(self._record(connection, found))
            case _:
                raise StoreUnavailableError("Upstash returned an invalid answer")

    async def due(self, after: "Due | None", before: datetime | None, *, limit: int) -> list["Due"]:
        """Return the connections after `after` that are due until `before`.

        Raises StoreUnavailableError.
        """
        from adapters.redis_due import DUE_SCRIPT, due_arguments, read_due

        arguments = due_arguments(after, limit)
        found = await self._execute("EVAL", DUE_SCRIPT, 1, _DUE, *arguments)
        return read_due(found, before)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the latest records of some connections. Raises StoreUnavailableError."""
        return await self._open_listing().load_records(connections)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError.

        The first call on a database of an earlier version scans it, as `complete_listing` does.
        """
        return await self._open_listing().page(after, limit=limit, prefix=prefix)

    async def complete_listing(self) -> None:
        """Enter the records of earlier versions into the listing. Raises StoreUnavailableError."""
        await self._open_listing().complete()

    async def connections(self) -> AsyncIterator[str]:
        """Yield each connection that has a record. Raises StoreUnavailableError."""
        seen, cursor = set[str](), "0"
        while True:
            page = await self._execute("SCAN", cursor, "MATCH", f"{_GRANT}*", "COUNT", _SCAN_PAGE)
            cursor, keys = _read_page(page)
            # A scan may return a key twice while the database grows or shrinks.
            for key in keys - seen:
                yield key.removeprefix(_GRANT)
            seen |= keys
            if cursor == "0":
                return

    async def put_login(self, key: str, pending: "PendingLogin") -> None:
        """Store a pending login. Raises StoreUnavailableError."""
        from domain.authorization import LOGIN_LIFETIME

        sealed = self._records.seal_login(key, pending)
        # The server removes logins by its own clock. Whether one has expired depends on ours.
        milliseconds = (LOGIN_LIFETIME + timedelta(minutes=1)) // timedelta(milliseconds=1)
        await self._execute("EVAL", _PUT_LOGIN, 1, _login_key(key), sealed, milliseconds)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> "PendingLogin | None":
        """Return a login to its first taker only. Raises StoreUnavailableError."""
        sealed = await self._execute("EVAL", _TAKE_LOGIN, 1, _login_key(key), taker)
        if not isinstance(sealed, str):
            return None
        return self._records.open_login(key, sealed, now=now)

    async def forget_expired(self, now: datetime) -> None:
        """Do nothing: Redis removes expired keys by their time to live."""

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to a count and return the new count. Raises StoreUnavailableError."""
        kept_for = max(window_ends - datetime.now(UTC), timedelta(0)) + _COUNT_RETENTION
        milliseconds = kept_for // timedelta(milliseconds=1)
        number = await self._execute("EVAL", _COUNT, 1, _count_key(key, window_ends), milliseconds)
        if not isinstance(number, int):
            raise StoreUnavailableError("Upstash returned an invalid answer")
        return number

    async def close(self) -> None:
        """Close all connections."""
        self._reader.close()
        if self._writer is not None:
            await self._writer.close()

    def _record(self, connection: str, found: list[str | None]) -> Record:
        match found:
            case [None, None] | []:
                # Imported here, because a fresh token has a record.
                from domain.grant import Unauthorized

                return Record(grant=Unauthorized(), etag=None, ledger=())
            case [etag, sealed]:
                return self._records.open_stored(connection, etag, sealed)
            case _:
                raise StoreUnavailableError("Upstash returned an invalid answer")

    async def _execute(self, *command: str | float) -> object:
        writer = self._open_writer()
        try:
            return await writer.execute(*command)
        finally:
            self._reader.sync_token = writer.sync_token

    def _open_listing(self) -> "UpstashListing":
        if self._listing is None:
            from adapters.upstash_listing import UpstashListing

            self._listing = UpstashListing(
                self._records,
                names_key=_NAMES,
                record_prefix=_GRANT,
                read=self._reader.execute,
                write=self._execute,
                scan=self.connections,
            )
        return self._listing

    def _open_writer(self) -> "UpstashWriter":
        if self._writer is None:
            from adapters.upstash_writer import UpstashWriter

            self._writer = UpstashWriter(
                self._url, self._token, limit=_LIMIT, connect_limit=_CONNECT_LIMIT
            )
        return self._writer


def _grant_key(connection: str) -> str:
    return f"{_GRANT}{connection}"


def _login_key(key: str) -> str:
    return f"{_PREFIX}login:{key}"


def _count_key(key: str, window_ends: datetime) -> str:
    return f"{_PREFIX}count:{window_ends.timestamp()}:{key}"


def _read_page(page: object) -> tuple[str, set[str]]:
    """Return the cursor and keys of an answer, or raise StoreUnavailableError."""
    match page:
        case [int() | str() as cursor, keys]:
            return str(cursor), {key for key in _texts(keys) if key is not None}
        case _:
            raise StoreUnavailableError("Upstash returned an invalid answer")


def _texts(found: object) -> list[str | None]:
    """Return an answer that is a list of texts and nulls, or raise StoreUnavailableError."""
    if isinstance(found, list) and all(text is None or isinstance(text, str) for text in found):
        return found
    raise StoreUnavailableError("Upstash returned an invalid answer")

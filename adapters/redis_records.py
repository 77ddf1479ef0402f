"""The keys of a store in Redis, and the commands for it, by any way to the database."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from adapters.sealed_records import SealedRecords
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
    # Imported where they are made: reading a fresh token must not pay for them, nor for scripts.
    from adapters.redis_listing import RedisListing
    from domain.authorization import PendingLogin
    from ports.store import Due

_PREFIX = "oauth-callback:"
_GRANT = f"{_PREFIX}grant:"
_DUE = f"{_PREFIX}due"
# The names of all records, in order (`adapters.redis_listing`).
_NAMES = f"{_PREFIX}names"
# Keys of the database that one command scans. They may belong to other programs.
_SCAN_PAGE = 1000
# Strangers can cause counts, and space is limited. So the margin past a window covers only the
# difference of clocks.
_COUNT_RETENTION = timedelta(hours=1)


class RedisRecords(ABC):
    """Stores encrypted records in Redis hashes. A subclass executes the commands."""

    # Runs a script that only reads; on Upstash a replica may run it.
    _eval_command = "EVAL_RO"

    def __init__(self, records: SealedRecords) -> None:
        self._records = records
        self._listing: RedisListing | None = None

    @abstractmethod
    async def _read(self, *command: str) -> object:
        """Return the result of a command that changes nothing. Raises StoreUnavailableError."""

    @abstractmethod
    async def _write(self, *command: str | float) -> object:
        """Return the result of a command, sent once. Raises StoreUnavailableError."""

    async def load(self, connection: str) -> Record:
        """Return the latest record. Raises StoreUnavailableError, UnreadableRecordError."""
        try:
            found = await self._read("HMGET", grant_key(connection), "etag", "sealed")
        except StoreUnavailableError as error:
            if "WRONGTYPE" not in str(error):
                raise
            found = [None, ""]
        return self._record(connection, _texts(found))

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record that has the expected etag.

        Raises ConflictError, StoreUnavailableError, UnreadableRecordError.
        """
        from adapters.redis_scripts import SWAP

        due = record.due_at
        answer = _texts(
            await self._write(
                *("EVAL", SWAP, 3, grant_key(connection), _DUE, _NAMES),
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
                raise StoreUnavailableError("the database returned an invalid answer")

    async def due(self, after: "Due | None", before: datetime | None, *, limit: int) -> list["Due"]:
        """Return the connections after `after` that are due until `before`.

        Raises StoreUnavailableError.
        """
        from adapters.redis_due import DUE_SCRIPT, due_arguments, read_due

        arguments = due_arguments(after, limit)
        found = await self._write("EVAL", DUE_SCRIPT, 1, _DUE, *arguments)
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
            page = await self._write("SCAN", cursor, "MATCH", f"{_GRANT}*", "COUNT", _SCAN_PAGE)
            cursor, keys = _read_page(page)
            # A scan may return a key twice while the database grows or shrinks.
            for key in keys - seen:
                yield key.removeprefix(_GRANT)
            seen |= keys
            if cursor == "0":
                return

    async def put_login(self, key: str, pending: "PendingLogin") -> None:
        """Store a pending login. Raises StoreUnavailableError."""
        from adapters.redis_scripts import PUT_LOGIN
        from domain.authorization import LOGIN_LIFETIME

        sealed = self._records.seal_login(key, pending)
        # The server removes logins by its own clock. Whether one has expired depends on ours.
        milliseconds = (LOGIN_LIFETIME + timedelta(minutes=1)) // timedelta(milliseconds=1)
        await self._write("EVAL", PUT_LOGIN, 1, _login_key(key), sealed, milliseconds)

    async def take_login(self, key: str, *, taker: str, now: datetime) -> "PendingLogin | None":
        """Return a login to its first taker only. Raises StoreUnavailableError."""
        from adapters.redis_scripts import TAKE_LOGIN

        sealed = await self._write("EVAL", TAKE_LOGIN, 1, _login_key(key), taker)
        if not isinstance(sealed, str):
            return None
        return self._records.open_login(key, sealed, now=now)

    async def forget_expired(self, now: datetime) -> None:  # noqa: B027 - not to be replaced
        """Do nothing: Redis removes expired keys by their time to live."""

    async def count(self, key: str, *, window_ends: datetime) -> int:
        """Add one to a count and return the new count. Raises StoreUnavailableError."""
        from adapters.redis_scripts import COUNT

        kept_for = max(window_ends - datetime.now(UTC), timedelta(0)) + _COUNT_RETENTION
        milliseconds = kept_for // timedelta(milliseconds=1)
        number = await self._write("EVAL", COUNT, 1, _count_key(key, window_ends), milliseconds)
        if not isinstance(number, int):
            raise StoreUnavailableError("the database returned an invalid answer")
        return number

    def _record(self, connection: str, found: list[str | None]) -> Record:
        match found:
            case [None, None] | []:
                # Imported here, because a fresh token has a record.
                from domain.grant import Unauthorized

                return Record(grant=Unauthorized(), etag=None, ledger=())
            case [etag, sealed]:
                return self._records.open_stored(connection, etag, sealed)
            case _:
                raise StoreUnavailableError("the database returned an invalid answer")

    def _open_listing(self) -> "RedisListing":
        if self._listing is None:
            from adapters.redis_listing import RedisListing

            self._listing = RedisListing(
                self._records,
                names_key=_NAMES,
                record_prefix=_GRANT,
                read=self._read,
                write=self._write,
                scan=self.connections,
                eval_command=self._eval_command,
            )
        return self._listing


def grant_key(connection: str) -> str:
    """Return the key of a connection's record."""
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
            raise StoreUnavailableError("the database returned an invalid answer")


def _texts(found: object) -> list[str | None]:
    """Return an answer that is a list of texts and nulls, or raise StoreUnavailableError."""
    if isinstance(found, list) and all(text is None or isinstance(text, str) for text in found):
        return found
    raise StoreUnavailableError("the database returned an invalid answer")

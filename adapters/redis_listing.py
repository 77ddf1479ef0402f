"""The listing of records in Redis: a sorted set of the names, and one script for each page.

Another script reads the records of given names.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from adapters.listing import names_after
from adapters.redis_scripts import LIST, LOAD
from adapters.sealed_records import SealedRecords
from domain.connection import is_connection
from ports.store import RecordPage, StoreUnavailableError

# Names that one command enters.
_NAMES_AT_ONCE = 1000
# Characters of a page's records. The reader takes answers of up to 1 MiB.
_LARGEST_PAGE = 512 * 1024


class RedisListing:
    """Reads the records of a database in pages."""

    def __init__(
        self,
        records: SealedRecords,
        *,
        names_key: str,
        record_prefix: str,
        read: Callable[..., Awaitable[object]],
        write: Callable[..., Awaitable[object]],
        scan: Callable[[], AsyncIterator[str]],
        eval_command: str,
    ) -> None:
        """`read` and `write` execute a command. `scan` yields the names of all records.

        `eval_command`: the command that runs a script that only reads.
        """
        self._records = records
        self._names_key = names_key
        # Whether the set has the names of earlier versions, too.
        self._mark_key = f"{names_key}-complete"
        self._record_prefix = record_prefix
        self._read = read
        self._write = write
        self._scan = scan
        self._eval_command = eval_command

    async def page(self, after: str | None, *, limit: int, prefix: str) -> RecordPage:
        """Return a page of the records in name order. Raises StoreUnavailableError."""
        names = names_after(after, prefix)
        command = self._script(LIST, limit, f"[{names.first}", f"({names.end}")
        found = await self._read(*command)
        if not _is_complete(found):
            await self.complete()
            found = await self._read(*command)
        return self._record_page(found)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Return the records of some connections. Raises StoreUnavailableError."""
        command = self._script(LOAD, len(connections), *connections)
        return self._record_page(await self._read(*command))

    def _script(self, script: str, limit: int, *which: str) -> Sequence[str]:
        """Return the command that runs a script."""
        return (
            *(self._eval_command, script, "2", self._names_key, self._mark_key),
            *(str(limit), str(_LARGEST_PAGE), self._record_prefix, *which),
        )

    def _record_page(self, found: object) -> RecordPage:
        match found:
            case [_, str() | None as last, list() as rows]:
                listed = [_row_texts(row) for row in rows]
            case _:
                raise StoreUnavailableError("the database returned an invalid answer")
        return RecordPage(
            records=tuple(
                (name, self._records.open_listed(name, etag, sealed))
                for name, etag, sealed in listed
                # Another program may have deleted the record.
                if is_connection(name) and (etag, sealed) != (None, None)
            ),
            next=last,
        )

    async def complete(self) -> None:
        """Enter the records of earlier versions into the listing, once per database.

        Raises StoreUnavailableError.
        """
        if await self._write("EXISTS", self._mark_key) == 1:
            return
        names: list[str] = []
        async for name in self._scan():
            if is_connection(name):
                names.append(name)
            if len(names) == _NAMES_AT_ONCE:
                await self._enter(names)
                names = []
        await self._enter(names)
        await self._write("SET", self._mark_key, 1)

    async def _enter(self, names: list[str]) -> None:
        if names:
            entries = [part for name in names for part in (0, name)]
            await self._write("ZADD", self._names_key, *entries)


def _is_complete(found: object) -> bool:
    return isinstance(found, list) and bool(found) and found[0] == 1


def _row_texts(row: object) -> tuple[str, str | None, str | None]:
    """Return the name, etag and sealed text of a row, or raise StoreUnavailableError."""
    match row:
        case [str() as name, str() | None as etag, str() | None as sealed]:
            return name, etag, sealed
        case _:
            raise StoreUnavailableError("the database returned an invalid answer")

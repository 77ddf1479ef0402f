"""The store in Upstash Redis (Vercel KV), by its REST protocol: one request per operation."""

from datetime import timedelta
from typing import TYPE_CHECKING

from adapters.redis_records import RedisRecords
from adapters.sealed_records import SealedRecords
from adapters.upstash_reader import UpstashReader

if TYPE_CHECKING:
    # Imported where it is made: reading a fresh token must not pay for it.
    from adapters.upstash_writer import UpstashWriter

# Upstash answers in milliseconds: after these limits the network is down.
_LIMIT = timedelta(seconds=3)
_CONNECT_LIMIT = timedelta(seconds=1)


class UpstashStore(RedisRecords):
    """Stores encrypted records in Redis hashes. Its connections belong to one event loop."""

    def __init__(self, url: str, token: str, records: SealedRecords) -> None:
        super().__init__(records)
        self._url = url
        self._token = token
        self._reader = UpstashReader(url, token, limit=_LIMIT, connect_limit=_CONNECT_LIMIT)
        self._writer: UpstashWriter | None = None

    async def close(self) -> None:
        """Close all connections."""
        self._reader.close()
        if self._writer is not None:
            await self._writer.close()

    async def _read(self, *command: str) -> object:
        return await self._reader.execute(*command)

    async def _write(self, *command: str | float) -> object:
        writer = self._open_writer()
        try:
            return await writer.execute(*command)
        finally:
            self._reader.sync_token = writer.sync_token

    def _open_writer(self) -> "UpstashWriter":
        if self._writer is None:
            from adapters.upstash_writer import UpstashWriter

            self._writer = UpstashWriter(
                self._url, self._token, limit=_LIMIT, connect_limit=_CONNECT_LIMIT
            )
        return self._writer

"""The store in Redis or Valkey by TCP (`REDIS_URL`): one round trip per operation.

A database that Upstash's REST protocol serves (`adapters.store_upstash`) is the same to both.
"""

from adapters.redis_client import RedisClient
from adapters.redis_records import RedisRecords
from adapters.sealed_records import SealedRecords


class RedisStore(RedisRecords):
    """Stores encrypted records in Redis hashes. Its connections belong to one event loop."""

    # EVAL_RO came with Redis 7.
    _eval_command = "EVAL"

    def __init__(self, url: str, records: SealedRecords) -> None:
        """Make the store; it connects at the first call."""
        super().__init__(records)
        self._url = url
        self._client: RedisClient | None = None

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _read(self, *command: str) -> object:
        return await self._open_client().execute(*command)

    async def _write(self, *command: str | float) -> object:
        return await self._open_client().execute(*command)

    def _open_client(self) -> RedisClient:
        if self._client is None:
            # Here and not in `__init__`: a certificate that cannot be read is an error of a call.
            self._client = RedisClient(self._url)
        return self._client

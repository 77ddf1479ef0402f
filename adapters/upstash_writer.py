"""Commands to Upstash by its own client library, each sent once, with a time limit."""

import asyncio
from datetime import timedelta

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from ports.store import StoreUnavailableError


class UpstashWriter:
    """Execute commands; for one event loop, as the connections belong to it."""

    def __init__(self, url: str, token: str, *, limit: timedelta, connect_limit: timedelta) -> None:
        """`limit` is for a whole request and its answer, `connect_limit` for a connection.

        Raises StoreUnavailableError where the certificate authorities cannot be loaded, or the
        proxy that the environment names cannot be used.
        """
        self._limit = limit
        try:
            # Its own retry repeats whatever it was, even what has been executed.
            self._redis = Redis(url=url, token=token, rest_retries=0, allow_telemetry=False)
        except (OSError, ImportError) as error:
            raise StoreUnavailableError(f"Upstash: {type(error).__name__}: {error}") from error
        except (httpx.InvalidURL, ValueError) as error:
            # Its words quote the proxy's URL, which may have a password in it.
            text = f"Upstash: a proxy that cannot be used: {type(error).__name__}"
            raise StoreUnavailableError(text) from None
        # It offers no timeout and has none (upstash-redis issue 46); the version is pinned.
        self._redis._http._client.timeout = httpx.Timeout(  # noqa: SLF001
            limit.total_seconds(), connect=connect_limit.total_seconds()
        )

    @property
    def sync_token(self) -> str:
        """What a read must send in order to see what has been written here."""
        return self._redis._sync_token  # noqa: SLF001 - it offers no other way

    async def execute(self, *command: str | float) -> object:
        """Return the result of a command. Raises StoreUnavailableError."""
        try:
            # httpx's limit is for each step, and an answer may come byte by byte.
            async with asyncio.timeout(self._limit.total_seconds()):
                return await self._redis.execute(list(command))
        # Beside its own error the client lets through what httpx does (which lets through TLS's own
        # of a connection that is open), and whatever an answer of the wrong form makes its decoding
        # fail with.
        except (
            OSError,
            UpstashError,
            httpx.HTTPError,
            httpx.InvalidURL,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise StoreUnavailableError(f"Upstash: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.close()

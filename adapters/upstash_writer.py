"""Writes to Upstash by its client library: each command is sent once, with a time limit."""

import asyncio
from datetime import timedelta

import httpx
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from ports.store import StoreUnavailableError


class UpstashWriter:
    """Executes commands. Its connections belong to one event loop."""

    def __init__(self, url: str, token: str, *, limit: timedelta, connect_limit: timedelta) -> None:
        """`limit` is for a whole request and its answer, `connect_limit` for connecting.

        Raises StoreUnavailableError if the certificate authorities, or the environment's proxy,
        cannot be used.
        """
        self._limit = limit
        try:
            # Its retry repeats any command, even one that was executed.
            self._redis = Redis(url=url, token=token, rest_retries=0, allow_telemetry=False)
        except (OSError, ImportError) as error:
            raise StoreUnavailableError(f"Upstash: {type(error).__name__}: {error}") from error
        except (httpx.InvalidURL, ValueError) as error:
            # The error quotes the proxy's URL, which may contain a password.
            text = f"Upstash: the proxy cannot be used: {type(error).__name__}"
            raise StoreUnavailableError(text) from None
        # The library has no timeout (upstash-redis issue 46). Its version is pinned.
        self._redis._http._client.timeout = httpx.Timeout(  # noqa: SLF001
            limit.total_seconds(), connect=connect_limit.total_seconds()
        )

    @property
    def sync_token(self) -> str:
        """The token that a read must send to see the writes made here."""
        return self._redis._sync_token  # noqa: SLF001 - the library offers no other way

    async def execute(self, *command: str | float) -> object:
        """Return the result of a command. Raises StoreUnavailableError."""
        try:
            # httpx's limit is for each step, and an answer may arrive byte by byte.
            async with asyncio.timeout(self._limit.total_seconds()):
                return await self._redis.execute(list(command))
        # The client also raises the errors of httpx and of TLS on an open connection. Its decoder
        # raises others for an invalid answer.
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
        """Close all connections."""
        await self._redis.close()

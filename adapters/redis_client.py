"""Commands to Redis by TCP, with redis-py: each is sent once, with a time limit."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from ssl import SSLContext
from typing import Any
from weakref import WeakKeyDictionary

from redis.asyncio.connection import (
    AbstractConnection,
    BlockingConnectionPool,
    RedisSSLContext,
    SSLConnection,
    parse_url,
)
from redis.exceptions import RedisError

from adapters.redis_errors import error_text
from adapters.tls import tls_context
from ports.network_settings import NetworkSettingsError
from ports.store import StoreUnavailableError

# Redis answers in milliseconds: after these limits the network is down. As for Upstash.
_LIMIT = timedelta(seconds=3)
_CONNECT_LIMIT = timedelta(seconds=1)
# Of one event loop; `max_connections` in the URL replaces it. A command holds one for a round trip.
_MAX_CONNECTIONS = 20
# From then on TCP sends probes, which a process that is frozen between requests cannot do.
_MAX_IDLE = timedelta(seconds=30)
# Connections that were used later than this are taken as they are.
_MAX_UNCHECKED = timedelta(milliseconds=50)


class RedisClient:
    """Executes commands. Its connections belong to one event loop."""

    def __init__(self, url: str) -> None:
        """`url` is one that `functions.settings.redis_url` accepts.

        Raises StoreUnavailableError if certificates cannot be used.
        """
        options: dict[str, Any] = {"max_connections": _MAX_CONNECTIONS, **parse_url(url)}
        self._password = options.get("password")
        self._most = options["max_connections"]
        self._pool = BlockingConnectionPool(
            **_with_own_tls(options),
            # The limit of `execute` covers the wait for a connection, too.
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_LIMIT.total_seconds(),
            # RESP2: no HELLO, which servers before 6 do not know, and no push messages.
            protocol=2,
            driver_info=None,
            decode_responses=True,
            # A damaged value must come back as it is, so that a login can replace it.
            encoding_errors="surrogateescape",
        )
        self._used_at: WeakKeyDictionary[AbstractConnection, float] = WeakKeyDictionary()

    async def execute(self, *command: str | float) -> object:
        """Return the result of a command, which was sent once at most.

        This goes past redis-py's `Redis`, which sends a command again after a lost answer, and
        translates results. Raises StoreUnavailableError.
        """
        is_waiting = not self._pool.can_get_connection()
        try:
            async with asyncio.timeout(_LIMIT.total_seconds()):
                connection = await self._pool.get_connection()
                is_waiting = False
                return await self._exchange(connection, *command)
        except TimeoutError:
            raise StoreUnavailableError(self._text_of_timeout(is_waiting=is_waiting)) from None
        # redis-py's parser raises others than its own for an invalid answer.
        except (
            ArithmeticError,
            AttributeError,
            EOFError,
            LookupError,
            OSError,
            RecursionError,
            RedisError,
            TypeError,
            ValueError,
        ) as error:
            # A server may quote the password, also in the error that this one replaces.
            raise StoreUnavailableError(error_text(error, password=self._password)) from None

    async def close(self) -> None:
        """Close all connections."""
        # One that does not close in time is abandoned.
        with suppress(OSError, RedisError):
            await self._pool.aclose()

    async def _exchange(self, connection: AbstractConnection, *command: str | float) -> object:
        try:
            await self._replace_if_broken(connection)
            await connection.send_command(*command)
            answer: object = await connection.read_response()
            self._used_at[connection] = time.monotonic()
            return answer
        finally:
            await self._pool.release(connection)

    async def _replace_if_broken(self, connection: AbstractConnection) -> None:
        now = time.monotonic()
        idle = now - self._used_at.get(connection, now)
        if idle > _MAX_UNCHECKED.total_seconds() and await self._is_broken(connection, idle):
            await connection.disconnect(nowait=True)
            await connection.connect()

    async def _is_broken(self, connection: AbstractConnection, idle: float) -> bool:
        # In two turns the event loop notices that the server has closed it, perhaps while the
        # process was frozen. The pool has looked too early.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return idle > _MAX_IDLE.total_seconds() or await connection.can_read()

    def _text_of_timeout(self, *, is_waiting: bool) -> str:
        if is_waiting:
            return (
                f"REDIS_URL: all {self._most} connections are in use, and none became free in "
                f"{_LIMIT.seconds} s: raise max_connections in REDIS_URL"
            )
        return f"REDIS_URL: the server did not answer within {_LIMIT.seconds} s"


class _TlsConnection(SSLConnection):
    """A connection with a TLS context that others share: making one takes 40 ms."""

    def __init__(self, *, context: SSLContext, **options: Any) -> None:  # noqa: ANN401 - redis-py's
        super().__init__(**options)
        self.ssl_context.context = context


def _with_own_tls(options: dict[str, Any]) -> dict[str, Any]:
    """Return redis-py's options with one TLS context, which always verifies.

    Raises StoreUnavailableError if certificates cannot be used.
    """
    if options.get("connection_class") is not SSLConnection:
        return options
    files = {
        name.removeprefix("ssl_"): options[name]
        for name in ("ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")
        if name in options
    }
    rest = {name: value for name, value in options.items() if not name.startswith("ssl_")}
    return rest | {"connection_class": _TlsConnection, "context": _context(files)}


def _context(files: dict[str, Any]) -> SSLContext:
    try:
        if not files:
            return tls_context()
        return RedisSSLContext(cert_reqs="required", check_hostname=True, **files).get()
    except NetworkSettingsError as error:
        raise StoreUnavailableError(f"REDIS_URL: {error}") from error
    except (OSError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        text = f"REDIS_URL: the certificate or key that it names cannot be used: {reason}"
        raise StoreUnavailableError(text) from error

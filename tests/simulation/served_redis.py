"""The store in Redis as it is, over a real server that runs its commands and scripts."""

import atexit
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from redis import Redis

from adapters.redis_client import _LIMIT
from adapters.redis_records import RedisRecords, grant_key
from ports.store import Record
from tests.simulation.served_store import ServedStore
from tests.simulation.watching import Keys, watched_load, watched_swap
from tests.system.redis_peer import redis_server

if TYPE_CHECKING:
    from tests.simulation.world import World


class ServedRedis(ServedStore):
    """A Redis, whose client sends each command once."""

    limit = _LIMIT
    tries = 1

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._store = WatchedRedis(world, self, Keys(world, self._opens))

    @property
    def port(self) -> "WatchedRedis":
        """The store of the instances."""
        return self._store

    def _clear(self) -> None:
        _execute("FLUSHALL")

    def _find(self, connection: str) -> tuple[str, str] | None:
        etag, sealed = _execute("HMGET", grant_key(connection), "etag", "sealed")
        return None if etag is None else (etag, sealed)

    def _put(self, connection: str, etag: str, sealed: str) -> None:
        _execute("HSET", grant_key(connection), "etag", etag, "sealed", sealed)

    def _remove(self, connection: str) -> None:
        _execute("DEL", grant_key(connection))


class WatchedRedis(RedisRecords):
    """The adapter, which records the answers to its callers."""

    _eval_command = "EVAL"

    def __init__(self, world: "World", server: ServedRedis, keys: Keys) -> None:
        super().__init__(keys)
        self._world = world
        self._server = server

    async def load(self, connection: str) -> Record:
        """Return the latest record, and note for how long it is waited for."""
        with watched_load(self._world, connection):
            return await super().load(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Replace the record if its etag is the expected one; note that it cannot be, or judge."""
        with watched_swap(self._world, connection, record):
            await super().swap(connection, record, expected_etag=expected_etag)

    async def complete_listing(self) -> None:
        """Do nothing: no earlier version has written a record."""

    async def close(self) -> None:
        """Do nothing: the connection is that of the test."""

    async def _read(self, *command: str) -> object:
        return await self._server.send(_connection_of(command), partial(_execute, *command))

    async def _write(self, *command: str | float) -> object:
        connection, work = _connection_of(command), partial(_execute, *command)
        if connection is None:
            return await self._server.send(None, work)
        return await self._server.send_write(connection, work)


def _connection_of(command: Sequence[str | float]) -> str | None:
    """Name the connection that a command is about; None where it is about many."""
    match command:
        case ["HMGET", key, *_] | ["EVAL", _, 3, key, *_]:
            return str(key).removeprefix(grant_key(""))
        case _:
            return None


def _execute(*command: str | float) -> Any:
    execute: Callable[..., Any] = _client().execute_command
    return execute(*command)


@cache
def _client() -> Redis:
    """Connect to a server of this process, which does not wait for a disk."""
    stack = ExitStack()
    atexit.register(stack.close)
    peer = stack.enter_context(redis_server("--appendonly", "no"))
    client: Redis = Redis.from_url(peer.url, protocol=2, decode_responses=True)
    client.response_callbacks.clear()
    stack.callback(client.close)
    return client

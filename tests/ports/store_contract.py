"""The stores that the contract runs on, and the crowds that contend for their records.

A new adapter is one entry in `STORES`. Its address opens the store in any process, and crowds come
from several processes that start together.
"""

import asyncio
import atexit
import multiprocessing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import httpx

from adapters.dynamodb_table import DynamoDbTable
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_dynamodb import DynamoDbStore
from adapters.store_memory import MemoryStore
from adapters.store_redis import RedisStore
from adapters.store_sqlite import SqliteStore
from adapters.store_upstash import UpstashStore
from ports.store import Store
from tests.patience import be_patient
from tests.system.dynamodb_peer import DynamoDbPeer, dynamodb_server
from tests.system.postgres_peer import PgbouncerPeer, PostgresPeer, pgbouncer, postgres_server
from tests.system.redis_peer import RedisPeer, redis_server
from tests.system.upstash_front import UpstashPeer, upstash_front

KEYS = KeyRing([bytes(range(32))])
CROWD_PROCESSES = 4
# Longer than a busy machine needs.
_START_LIMIT = 60

_Result = TypeVar("_Result")
Contender: TypeAlias = Callable[[Store, int], Awaitable[_Result]]


class Address(Protocol):
    """Opens one store in any process: it can be pickled."""

    def open(self) -> Store:
        """Open the store."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """A store that is an object of this process."""

    store: MemoryStore

    @classmethod
    def new(cls, _folder: Path) -> Self:
        """Make an empty one."""
        return cls(MemoryStore())

    def open(self) -> Store:
        """Return it."""
        return self.store


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A SQLite store's file."""

    path: Path

    def open(self) -> Store:
        """Open the store."""
        return SqliteStore(self.path, SealedRecords(KEYS))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstashDatabase:
    """An Upstash store's database."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def at(cls, _folder: Path) -> Self:
        """Empty the database that all tests of this process share."""
        front = _upstash()
        httpx.post(
            front.url, json=["FLUSHALL"], headers={"authorization": f"Bearer {front.token}"}
        ).raise_for_status()
        return cls(url=front.url, token=front.token)

    def open(self) -> Store:
        """Open the store."""
        return UpstashStore(self.url, self.token, SealedRecords(KEYS))


@cache
def _upstash() -> UpstashPeer:
    """Start a front with the Upstash protocol of the Redis of this process, once."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(upstash_front(redis()))


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A Redis store's server."""

    url: str

    @classmethod
    def at(cls, _folder: Path) -> Self:
        """Empty the server that all tests of this process share."""
        peer = redis()
        peer.execute("FLUSHALL")
        return cls(peer.url)

    def open(self) -> Store:
        """Open the store."""
        return RedisStore(self.url, SealedRecords(KEYS))


@cache
def redis() -> RedisPeer:
    """Start a Redis, once per process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(redis_server())


@dataclass(frozen=True, slots=True)
class DynamoDbTableAt:
    """A DynamoDB store's table, and the access to it."""

    name: str
    access: Mapping[str, str] = field(repr=False)

    @classmethod
    def new(cls, _folder: Path) -> Self:
        """Create an empty table in the server that all tests of this process share."""
        return cls(dynamodb().new_table(), dynamodb().access)

    @classmethod
    def in_moto(cls, _folder: Path) -> Self:
        """Create an empty table in this process; see `moto_dynamodb`."""
        return cls(_moto().new_table(), _moto().ACCESS)

    def open(self) -> Store:
        """Open the store."""
        return DynamoDbStore(DynamoDbTable(self.name, **self.access), SealedRecords(KEYS))


@cache
def dynamodb() -> DynamoDbPeer:
    """Start a DynamoDB, once per process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(dynamodb_server())


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A Postgres store's database."""

    url: str = field(repr=False)

    @classmethod
    def new(cls, _folder: Path) -> Self:
        """Create a database in the server that all tests of this process share."""
        return cls(postgres().new_database())

    @classmethod
    def behind_pgbouncer(cls, _folder: Path) -> Self:
        """Create a database that is reached through a pooler in transaction mode."""
        return cls(pooler().url_of(postgres().new_database()))

    def open(self) -> Store:
        """Open the store."""
        # Imported here: most users of this module need no Postgres.
        address = import_module("adapters.postgres_address").PostgresAddress
        pool = import_module("adapters.postgres_pool").PostgresPool
        store: Store = import_module("adapters.store_postgres").PostgresStore(
            pool(address.of(self.url, "DATABASE_URL")), SealedRecords(KEYS)
        )
        return store


@cache
def postgres() -> PostgresPeer:
    """Start a Postgres, once per process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(postgres_server())


@cache
def pooler() -> PgbouncerPeer:
    """Start a pgbouncer in front of that Postgres, once per process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(pgbouncer(postgres()))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnderTest:
    """A kind of store. `address` makes a new, empty one while the context `around` is open."""

    name: str
    address: Callable[[Path], Address]
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    # Whether only one process can open it.
    is_local: bool = False


STORES = (
    StoreUnderTest(name="memory", address=Memory.new, is_local=True),
    StoreUnderTest(name="sqlite", address=lambda folder: SqliteFile(folder / "store.sqlite")),
    StoreUnderTest(name="upstash", address=UpstashDatabase.at),
    StoreUnderTest(name="redis", address=RedisServer.at),
    StoreUnderTest(name="dynamodb", address=DynamoDbTableAt.new),
    StoreUnderTest(name="postgres", address=PostgresDatabase.new),
    StoreUnderTest(name="pgbouncer", address=PostgresDatabase.behind_pgbouncer),
    StoreUnderTest(
        name="dynamodb-moto",
        address=DynamoDbTableAt.in_moto,
        around=lambda: _moto().moto_dynamodb(),
        is_local=True,
    ),
)
# moto runs one call at a time, so that nothing can contend there.
CONTENDED = tuple(kind for kind in STORES if kind.name != "dynamodb-moto")


def _moto() -> Any:
    # An import of half a second, which most users of this module do not need.
    return import_module("tests.ports.moto_dynamodb")


_barrier: Barrier


def _join(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a pool hands this to its processes in no other way
    _barrier = barrier
    be_patient()


def _run_crowd(
    address: Address, contender: Contender[_Result], numbers: Iterable[int]
) -> list[_Result]:
    _barrier.wait(_START_LIMIT)
    return asyncio.run(_gather_and_close(address.open(), contender, numbers))


async def _gather_and_close(
    store: Store, contender: Contender[_Result], numbers: Iterable[int]
) -> list[_Result]:
    try:
        return await _gather(store, contender, numbers)
    finally:
        await store.close()


async def _gather(
    store: Store, contender: Contender[_Result], numbers: Iterable[int]
) -> list[_Result]:
    return await asyncio.gather(*(contender(store, number) for number in numbers))


class Processes:
    """Processes that begin their work at the same moment.

    They are forks of one process that has imported the tests: each import would take a second.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["pytest", "tests.ports.test_store_contract"])
        self._pool = ProcessPoolExecutor(
            count, mp_context=context, initializer=_join, initargs=(context.Barrier(count),)
        )

    def contend(
        self, address: Address, contender: Contender[_Result], *, contenders: int
    ) -> list[_Result]:
        """Spread the contenders over the processes, which open a store each."""
        parts = [range(first, contenders, self._count) for first in range(self._count)]
        work = [self._pool.submit(_run_crowd, address, contender, part) for part in parts]
        return [result for each in work for result in each.result()]

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown()


class StoreInUse:
    """One new store of the kind under test."""

    def __init__(self, kind: StoreUnderTest, folder: Path, processes: Processes) -> None:
        self._address = kind.address(folder)
        self._is_local = kind.is_local
        self._opened: list[Store] = []
        self._processes = processes

    def open(self) -> Store:
        """Open the store, as one more instance of the application does."""
        store = self._address.open()
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close all that was opened."""
        for store in self._opened:
            await store.close()

    async def contend(self, contender: Contender[_Result], *, contenders: int) -> list[_Result]:
        """Run the contenders together, in one process or in several."""
        if self._is_local:
            return await _gather(self.open(), contender, range(contenders))
        crowd = partial(self._processes.contend, self._address, contender, contenders=contenders)
        return await asyncio.to_thread(crowd)

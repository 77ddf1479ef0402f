"""The stores that the contract is run on, and the crowds that contend for their records.

A new adapter is one entry in `STORES`. Where several processes can share the store, the entry's
address opens it in any of them, and crowds come from real processes that start together.
"""

import asyncio
import atexit
import multiprocessing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Protocol, Self, TypeAlias, TypeVar

import httpx

from adapters.dynamodb_table import DynamoDbTable
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_dynamodb import DynamoDbStore
from adapters.store_memory import MemoryStore
from adapters.store_sqlite import SqliteStore
from adapters.store_upstash import UpstashStore
from ports.store import Store
from tests.patience import be_patient
from tests.ports.moto_dynamodb import ACCESS, moto_dynamodb, new_table
from tests.system.dynamodb_peer import DynamoDbPeer, dynamodb_server
from tests.system.redis_peer import redis_server
from tests.system.upstash_front import UpstashPeer, upstash_front

KEYS = KeyRing([bytes(range(32))])
CROWD_PROCESSES = 4
# Nobody waits this long unless another process has died.
_START_LIMIT = 60

_Result = TypeVar("_Result")
Contender: TypeAlias = Callable[[Store, int], Awaitable[_Result]]


class Address(Protocol):
    """Everything that it takes to open one store, in any process: it can be pickled."""

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
    """An Upstash store's database; one of its own for each test, as all are emptied by `at`."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def at(cls, _folder: Path) -> Self:
        """Empty the database behind the front that all tests of this run share."""
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
    """Start a real Redis and the Upstash protocol in front of it, once; they end with the run."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(upstash_front(stack.enter_context(redis_server())))


@dataclass(frozen=True, slots=True)
class DynamoDbTableAt:
    """A DynamoDB store's table, and how it is reached."""

    name: str
    access: Mapping[str, str] = field(repr=False)

    @classmethod
    def new(cls, _folder: Path) -> Self:
        """Create an empty table in the server that all tests of this run share."""
        return cls(dynamodb().new_table(), dynamodb().access)

    @classmethod
    def in_moto(cls, _folder: Path) -> Self:
        """Create an empty table in this process; see `moto_dynamodb`."""
        return cls(new_table(), ACCESS)

    def open(self) -> Store:
        """Open the store."""
        return DynamoDbStore(DynamoDbTable(self.name, **self.access), SealedRecords(KEYS))


@cache
def dynamodb() -> DynamoDbPeer:
    """Start a DynamoDB, once; it ends with the run."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(dynamodb_server())


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUnderTest:
    """A kind of store: `address` names a new, empty one, while what is `around` it lasts.

    Where it `is_local`, it lives in the memory of one process.
    """

    name: str
    address: Callable[[Path], Address]
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    is_local: bool = False


STORES = (
    StoreUnderTest(name="memory", address=Memory.new, is_local=True),
    StoreUnderTest(name="sqlite", address=lambda folder: SqliteFile(folder / "store.sqlite")),
    StoreUnderTest(name="upstash", address=UpstashDatabase.at),
    StoreUnderTest(name="dynamodb", address=DynamoDbTableAt.new),
    StoreUnderTest(
        name="dynamodb-moto", address=DynamoDbTableAt.in_moto, around=moto_dynamodb, is_local=True
    ),
)

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
    """Spawned processes that begin their work at the same moment."""

    def __init__(self, count: int) -> None:
        self._count = count
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            count, mp_context=spawn, initializer=_join, initargs=(spawn.Barrier(count),)
        )

    def contend(
        self, address: Address, contender: Contender[_Result], *, contenders: int
    ) -> list[_Result]:
        """Spread the contenders over the processes; each process opens the store for itself."""
        parts = [range(first, contenders, self._count) for first in range(self._count)]
        work = [self._pool.submit(_run_crowd, address, contender, part) for part in parts]
        return [result for each in work for result in each.result()]

    def close(self) -> None:
        """Let the processes end."""
        self._pool.shutdown()


class StoreInUse:
    """One new store of the kind under test."""

    def __init__(self, kind: StoreUnderTest, folder: Path, processes: Processes) -> None:
        with ExitStack() as around:
            around.enter_context(kind.around())
            self._address = kind.address(folder)
            # Not left in place where that has failed: it may change what others reach.
            self._around = around.pop_all()
        self._is_local = kind.is_local
        self._opened: list[Store] = []
        self._processes = processes

    def open(self) -> Store:
        """Reach the store as one more instance of the application does."""
        store = self._address.open()
        self._opened.append(store)
        return store

    async def close(self) -> None:
        """Close all that was opened."""
        with self._around:
            for store in self._opened:
                await store.close()

    async def contend(self, contender: Contender[_Result], *, contenders: int) -> list[_Result]:
        """Let so many contenders loose on the store, in one process or in several."""
        if self._is_local:
            return await _gather(self.open(), contender, range(contenders))
        crowd = partial(self._processes.contend, self._address, contender, contenders=contenders)
        return await asyncio.to_thread(crowd)

"""Operator commands: their declaration, and helpers that several use."""

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
)
from dataclasses import dataclass
from typing import TypeVar, assert_never

from domain.connection import is_connection
from functions.alerts.deployment import DEPLOYMENT
from functions.refresh.sweep_walk import SWEEP
from functions.settings.store import (
    DynamoDbSettings,
    PostgresSettings,
    RedisSettings,
    SqliteSettings,
    StoreSettings,
    UpstashSettings,
)
from functions.wiring import Wiring

# A store on the network takes some milliseconds, mostly for the round trip.
MAX_CONCURRENCY = 8

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command; `run` returns its error text, None on success.

    `may_create_store` if it may create the store.
    """

    summary: str
    description: str
    declare: Callable[[ArgumentParser], None]
    run: Callable[[Wiring, Namespace], Awaitable[str | None]]
    may_create_store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCommand:
    """One command without a wiring; `run` returns its error text, None on success."""

    summary: str
    description: str
    declare: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], str | None]


async def map_concurrently(
    names: AsyncIterable[str], work: Callable[[str], Awaitable[_Result]]
) -> AsyncGenerator[tuple[str, _Result], None]:
    """Do the work for several names at once; yield each name and result, in order."""
    started = deque[tuple[str, asyncio.Future[_Result]]]()
    try:
        async for name in names:
            started.append((name, asyncio.ensure_future(work(name))))
            if len(started) == MAX_CONCURRENCY:
                first, result = started.popleft()
                yield first, await result
        for name, result in started:
            yield name, await result
    finally:
        # After a failure, the others must not outlive the store.
        left = [result for _, result in started]
        for result in left:
            result.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def stored_connections(wiring: Wiring) -> AsyncIterator[str]:
    """Yield each name that has a record, without the deployment's own ones.

    Raises StoreUnavailableError.
    """
    async for name in wiring.store.connections():
        if name not in {DEPLOYMENT, SWEEP}:
            yield name


async def stream(names: Iterable[str]) -> AsyncIterator[str]:
    """Yield the names, as a store does."""
    for name in names:
        yield name


def declare_connections(parser: ArgumentParser) -> None:
    """Declare the optional names of connections."""
    parser.add_argument(
        "connections", nargs="*", type=connection_name, metavar="CONNECTION", help="these only"
    )


def connection_name(text: str) -> str:
    """Return the name of a connection. Raises ArgumentTypeError."""
    if not is_connection(text):
        raise ArgumentTypeError(f"{text!a} is not a valid connection name")
    return text


def describe_store(store: StoreSettings) -> str:
    """Return the location of a store, for an operator."""
    match store:
        case SqliteSettings(path=path):
            return f"{printable(str(path.absolute()))} (SQLITE_PATH)"
        case DynamoDbSettings(table=table):
            return f"the DynamoDB table {table}"
        case RedisSettings(place=place):
            return f"the database at {place} (REDIS_URL)"
        case PostgresSettings(place=place, variable=variable):
            return f"the Postgres database {printable(place)} ({variable})"
        case UpstashSettings(url=url):
            return f"the database at {url}"
        case _:
            assert_never(store)


def printable(text: str) -> str:
    """Replace unprintable characters, such as a terminal's control codes."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def print_note(text: str) -> None:
    """Print a note on standard error."""
    print(text, file=sys.stderr, flush=True)

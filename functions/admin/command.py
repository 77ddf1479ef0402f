"""What an operator command is, and what several of them do."""

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
from functions.settings.store import (
    DynamoDbSettings,
    SqliteSettings,
    StoreSettings,
    UpstashSettings,
)
from functions.wiring import Wired

# A store of the network answers in some milliseconds, of which most are the way there and back.
MAX_CONCURRENCY = 8

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command; `run` returns what went wrong, where something did.

    `begins_a_store` where it is one for a store in which there is nothing yet.
    """

    summary: str
    description: str
    declare: Callable[[ArgumentParser], None]
    run: Callable[[Wired, Namespace], Awaitable[str | None]]
    begins_a_store: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCommand:
    """One command that needs no deployment; `run` returns what went wrong, where something did."""

    summary: str
    description: str
    declare: Callable[[ArgumentParser], None]
    run: Callable[[Namespace], str | None]


async def do_for_each(
    names: AsyncIterable[str], work: Callable[[str], Awaitable[_Result]]
) -> AsyncGenerator[tuple[str, _Result], None]:
    """Do some of the work at a time; yield each name with what came of it, in their order."""
    begun = deque[tuple[str, asyncio.Future[_Result]]]()
    try:
        async for name in names:
            begun.append((name, asyncio.ensure_future(work(name))))
            if len(begun) == MAX_CONCURRENCY:
                first, result = begun.popleft()
                yield first, await result
        for name, result in begun:
            yield name, await result
    finally:
        # Where one has failed, the others must not outlive the store.
        left = [result for _, result in begun]
        for result in left:
            result.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def named(names: Iterable[str]) -> AsyncIterator[str]:
    """Give names one by one, as a store does."""
    for name in names:
        yield name


def declare_connections(parser: ArgumentParser) -> None:
    """Let a command be for some connections only."""
    parser.add_argument(
        "connections", nargs="*", type=_connection, metavar="CONNECTION", help="these only"
    )


def _connection(text: str) -> str:
    if not is_connection(text):
        raise ArgumentTypeError(f"{text!a} can be the name of no connection")
    return text


def place_of(store: StoreSettings) -> str:
    """Say where a store is, for who may have meant another one."""
    match store:
        case SqliteSettings(path=path):
            return f"{printable(str(path.absolute()))} (SQLITE_PATH)"
        case DynamoDbSettings(table=table):
            return f"the DynamoDB table {table}"
        case UpstashSettings(url=url):
            return f"the database at {url}"
        case _:
            assert_never(store)


def printable(text: str) -> str:
    """Take out of a text in one line what terminals obey; it may be of anybody's making."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def say(text: str) -> None:
    """Tell the operator how far things are."""
    print(text, file=sys.stderr, flush=True)

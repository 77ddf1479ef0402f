"""Connections to Redis in its own protocol, each for one exchange at a time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

Command: TypeAlias = Sequence[bytes]

MAX_CONNECTIONS = 64


class RedisAwayError(Exception):
    """Redis cannot be reached, or went away before it answered: nobody knows what it did."""


@dataclass(frozen=True, slots=True)
class Status:
    """A simple string, such as OK; what was stored comes as bytes."""

    text: str


@dataclass(frozen=True, slots=True)
class CommandError:
    """The command was refused, or failed."""

    text: str


Reply: TypeAlias = "int | bytes | Status | CommandError | list[Reply] | None"


class Connections:
    """A pool of connections to one loopback port.

    A client library would have turned replies into its own types, and `+OK` and a stored `OK` into
    the same; REST distinguishes them, and the protocol itself is short.
    """

    def __init__(self, *, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []
        self._slots = asyncio.Semaphore(MAX_CONNECTIONS)

    async def run(self, command: Command) -> Reply:
        """Run one command. Raises RedisAwayError."""
        async with self._borrowed() as connection:
            return await connection.exchange(command)

    @asynccontextmanager
    async def _borrowed(self) -> "AsyncIterator[_Connection]":
        async with self._slots:
            try:
                connection = await self._idle_or_new()
                try:
                    yield connection
                except BaseException:
                    # Cancelled, perhaps, with a reply still to come that nobody may take for his.
                    connection.close()
                    raise
            except (OSError, EOFError) as error:
                raise RedisAwayError from error
            self._idle.append(connection)

    async def _idle_or_new(self) -> "_Connection":
        while self._idle:
            if (connection := self._idle.pop()).is_open():
                return connection
            connection.close()
        return _Connection(*await asyncio.open_connection("127.0.0.1", self._port))


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def is_open(self) -> bool:
        return not (self._writer.is_closing() or self._reader.at_eof())

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, command: Command) -> Reply:
        """Send a command and read its reply. Raises OSError, EOFError."""
        self._writer.write(_encoded(command))
        await self._writer.drain()
        return await self._read()

    async def _read(self) -> Reply:
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        match kind:
            case b"+":
                return Status(rest.decode())
            case b"-":
                return CommandError(rest.decode(errors="replace"))
            case b":":
                return int(rest)
            case b"$":
                return None if rest == b"-1" else await self._read_bulk(int(rest))
            case b"*":
                return None if rest == b"-1" else [await self._read() for _ in range(int(rest))]
            case _:
                raise AssertionError(f"not RESP2: {line!r}")

    async def _read_bulk(self, length: int) -> bytes:
        return (await self._reader.readexactly(length + 2))[:-2]


def _encoded(command: Command) -> bytes:
    parts = [b"$%d\r\n%b\r\n" % (len(part), part) for part in command]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))

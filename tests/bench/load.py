"""Requests at a steady rate, also while earlier ones wait (an open loop), and their responses."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import Self, TypeAlias

# Most HTTP clients give up then.
PATIENCE = 30.0
_TICK = 0.01
# The status of those that never came.
NO_ANSWER = 0

# A path and header lines.
NextRequest: TypeAlias = Callable[[], tuple[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """When it was due, how long it took from then, in seconds, and its status."""

    due: float
    took: float
    status: int


@dataclass(slots=True, kw_only=True)
class Target:
    """One server, and the connections to it that nobody uses now."""

    port: int
    _idle: list["_Connection"] = field(default_factory=list)

    async def get(self, path: str, headers: Iterable[str] = ()) -> tuple[int, bytes]:
        """Ask on a connection of its own. Raises OSError, EOFError."""
        connection = self._idle.pop() if self._idle else await _Connection.open(self.port)
        try:
            lines = (f"GET {path} HTTP/1.1", "host: 127.0.0.1", *headers, "", "")
            answer = await connection.ask("\r\n".join(lines).encode())
        except BaseException:
            connection.writer.close()
            raise
        self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.writer.close()


@dataclass(frozen=True, slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if b"transfer-encoding: chunked" in head.lower():
            return _status(head), await self._chunks()
        return _status(head), await self.reader.readexactly(_length(head))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body


class Load:
    """Requests at a rate (of so many a second), for as long as the context is open."""

    def __init__(self, target: Target, next_request: NextRequest, *, rate: float) -> None:
        self.target = target
        self._next_request = next_request
        self._rate = rate
        self._answers: list[Answer] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> None:
        """Begin."""
        self._clock = asyncio.create_task(self._tick())

    async def __aexit__(self, *_: object) -> None:
        """Ask no more, and wait for what is asked."""
        self._clock.cancel()
        while self._asking:
            await asyncio.wait(set(self._asking))

    @property
    def waiting(self) -> int:
        """How many have no answer yet."""
        return len(self._asking)

    def take(self) -> list[Answer]:
        """Return the answers since the last time."""
        taken, self._answers = self._answers, []
        return taken

    async def _tick(self) -> None:
        began_at, asked = monotonic(), 0
        while self._rate:
            while (due := began_at + asked / self._rate) <= monotonic():
                task = asyncio.create_task(self._ask(due))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
                asked += 1
            await asyncio.sleep(_TICK)

    async def _ask(self, due: float) -> None:
        path, headers = self._next_request()
        try:
            async with asyncio.timeout(PATIENCE):
                status, _ = await self.target.get(path, headers)
        except (OSError, EOFError, TimeoutError):
            status = NO_ANSWER
        self._answers.append(Answer(due=due, took=monotonic() - due, status=status))


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """Count answers by status."""
    return Counter(answer.status for answer in answers)


def percentile(answers: Iterable[Answer], share: float) -> float:
    """Return how long that share of the answers took at most, in seconds; 0 without any."""
    times = sorted(answer.took for answer in answers)
    return times[min(int(share * len(times)), len(times) - 1)] if times else 0.0


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0

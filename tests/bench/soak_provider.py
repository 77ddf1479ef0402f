"""An authorization server for soaking: it rotates refresh tokens, and takes its time.

A refresh token that it has not given out and that begins with `seed-` counts as a login's first.
A refresh token that is sent a second time ends its login, as RFC 9700 §4.14.2 advises.
"""

import argparse
import asyncio
import json
import random
import sys
from dataclasses import dataclass, field
from urllib.parse import parse_qs
from uuid import uuid4

# The time of a real one, in seconds.
FASTEST, SLOWEST = 0.15, 0.45


@dataclass(slots=True, kw_only=True)
class SoakProvider:
    """The settings of the provider, and its counts."""

    life: int
    hangs: bool
    calls: int = 0
    refused: int = 0
    # The login of each refresh token, by its first one.
    _logins: dict[str, str] = field(default_factory=dict)
    _spent: set[str] = field(default_factory=set)
    _ended: set[str] = field(default_factory=set)
    # It never comes; and keeps hold of those that wait for it.
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection for as long as it is kept."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(_length(head))
                status, members = await self._answer(head.split(b" ", 2)[1], body)
                content = json.dumps(members).encode()
                writer.write(
                    b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                    % (status, len(content))
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, target: bytes, body: bytes) -> tuple[int, dict[str, object]]:
        if target == b"/stats":
            ended = len(self._ended)
            return 200, {"calls": self.calls, "refused": self.refused, "ended": ended}
        self.calls += 1
        if self.hangs:
            await self._end.wait()
        # At once, as the token may be sent again while this one waits.
        login = self._take(parse_qs(body.decode())["refresh_token"][0])
        await asyncio.sleep(random.uniform(FASTEST, SLOWEST))  # noqa: S311 - no secret
        if login is None:
            self.refused += 1
            return 400, {"error": "invalid_grant"}
        refresh_token = uuid4().hex
        self._logins[refresh_token] = login
        return 200, {
            "access_token": uuid4().hex,
            "refresh_token": refresh_token,
            "token_type": "bearer",
            "expires_in": self.life,
        }

    def _take(self, refresh_token: str) -> str | None:
        """Spend a refresh token, and return its login; None if it is refused."""
        is_first = refresh_token.startswith("seed-")
        login = refresh_token if is_first else self._logins.get(refresh_token)
        if login is not None and refresh_token in self._spent:
            self._ended.add(login)
        if login is None or login in self._ended:
            return None
        self._spent.add(refresh_token)
        return login


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--life", type=int, required=True)
    parser.add_argument("--hangs", action="store_true")
    options = parser.parse_args()
    provider = SoakProvider(life=options.life, hangs=options.hangs)
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())

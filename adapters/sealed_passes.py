"""Passes to the page, encrypted: a browser keeps one, and can read nothing in it."""

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from adapters.sealing import KeyRing, SealError
from domain.page_session import Pass
from ports.passes import PassKind

# Without the padding of base64: not every terminal takes a `=` at the end for a part of a link.
_SEALED = re.compile(r"(v[0-9]+\.[0-9a-f]+\.)([A-Za-z0-9_-]+)", re.ASCII)


class SealedPasses:
    """Encrypts and decrypts passes. It implements `ports.passes.Passes`."""

    def __init__(self, keys: Callable[[], Awaitable[Sequence[bytes]]]) -> None:
        """`keys` returns the keys; the first one encrypts, and each one decrypts."""
        self._keys = keys

    async def write(self, pass_: Pass, kind: PassKind) -> str:
        """Return a pass as one sealed word."""
        members = [pass_.secret, int(pass_.expires_at.timestamp()), pass_.key]
        ring = KeyRing(await self._keys())
        return ring.seal(json.dumps(members).encode(), "page", kind).rstrip("=")

    async def read(self, text: str, kind: PassKind) -> Pass | None:
        """Return the pass of a sealed word; None for any other text."""
        parts = _SEALED.fullmatch(text)
        if parts is None:
            return None
        head, encoded = parts.groups()
        padding = "=" * (-len(encoded) % 4)
        ring = KeyRing(await self._keys())
        with suppress(SealError):
            secret, expires_at, key = json.loads(
                ring.open(f"{head}{encoded}{padding}", "page", kind)
            )
            return Pass(secret=secret, expires_at=datetime.fromtimestamp(expires_at, UTC), key=key)
        return None

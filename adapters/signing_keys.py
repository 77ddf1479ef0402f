"""The keys of what strangers are shown: states and links, and the names of what is counted."""

import asyncio
from collections.abc import Sequence

from adapters.sealing import derive_key, stretch_key

# Part of every key that is made of a client secret: a change makes others of them.
_SALT = "oauth-callback signatures of"


class SigningKeys:
    """Derive the keys from those of the records, or slowly from the client secret.

    Whoever has something signed can try out secrets on it, as fast as the key is made of them. Keys
    of records are random, and a client secret is what the provider made it.
    """

    def __init__(
        self, encryption_keys: Sequence[bytes], *, client_id: str, client_secret: str
    ) -> None:
        """Make no key yet; the secret serves where there are no other keys."""
        self._encryption_keys = encryption_keys
        self._client_id = client_id
        self._client_secret = client_secret
        self._stretching: asyncio.Task[bytes] | None = None

    async def of(self, purpose: str) -> Sequence[bytes]:
        """Return the keys of a purpose: the first one signs, every one is known."""
        roots = self._encryption_keys or [await self._stretched()]
        return [derive_key(root, purpose) for root in roots]

    async def _stretched(self) -> bytes:
        if self._stretching is None:
            # In a thread of its own, once for all who wait for it.
            salt = f"{_SALT} {self._client_id}"
            work = asyncio.to_thread(stretch_key, self._client_secret, salt)
            self._stretching = asyncio.create_task(work)
        return await asyncio.shield(self._stretching)

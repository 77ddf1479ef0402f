"""The keys that sign states and login links, encrypt passes to the page, and name counts."""

import asyncio
from collections.abc import Sequence

from adapters.sealing import derive_key, stretch_key

# Part of each key that is derived from a client secret. A change of it changes the keys.
_SALT = "oauth-callback signatures of"


class SigningKeys:
    """Derives the keys from the encryption keys, or slowly from the client secret.

    The owner of a signed text can try secrets on it, at the speed of the key's derivation.
    Encryption keys are random. A client secret may be weak.
    """

    def __init__(
        self, encryption_keys: Sequence[bytes], *, client_id: str, client_secrets: Sequence[str]
    ) -> None:
        """`client_secrets` are used only without encryption keys, the first one to sign.

        The first call derives keys.
        """
        self._encryption_keys = encryption_keys
        self._client_id = client_id
        self._client_secrets = client_secrets
        self._stretch_task: asyncio.Task[list[bytes]] | None = None

    async def of(self, purpose: str) -> Sequence[bytes]:
        """Return the keys of a purpose. The first one signs, and each one verifies."""
        roots = self._encryption_keys or await self._stretch()
        return [derive_key(root, purpose) for root in roots]

    async def _stretch(self) -> list[bytes]:
        if self._stretch_task is None:
            # In a thread, once for all callers.
            salt = f"{_SALT} {self._client_id}"
            work = asyncio.to_thread(
                lambda: [stretch_key(secret, salt) for secret in self._client_secrets]
            )
            self._stretch_task = asyncio.create_task(work)
        return await asyncio.shield(self._stretch_task)

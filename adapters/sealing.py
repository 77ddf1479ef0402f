"""Authenticated encryption of what is stored: AES-256-GCM under a ring of keys.

A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`. Its associated data are the
version, the key id and the context it belongs to, so that it opens nowhere else.
"""

import hashlib
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
# NIST SP 800-38D §8.2.2: a random nonce of 96 bits, good for 2**32 messages a key.
_NONCE_BYTES = 12
_VERSION = "v1"
# What a version of this software may have sealed, with whatever key.
_SEALED = re.compile(r"v1\.[0-9a-f]{8}\.|v(?!1\.)[0-9]+\.", re.ASCII)
# What OWASP asks of scrypt with 16 MiB: a guess costs a quarter of a second and not microseconds.
_SCRYPT_COST = {"n": 2**14, "r": 8, "p": 5}


class SealError(Exception):
    """The text cannot be opened with this ring in this context; the message says why."""


class DamagedError(SealError):
    """The text can be opened by nobody in this context, whatever keys there are."""


class KeyRing:
    """Keys to seal and open with; the first one seals, every one opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {sha256(b"key id" + key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._active = next(iter(self._keys))

    def seal(self, plaintext: bytes, *context: str) -> str:
        """Encrypt; the same `context` must be given to open."""
        nonce = os.urandom(_NONCE_BYTES)
        box = self._keys[self._active].encrypt(
            nonce, plaintext, _associated_data(self._active, context)
        )
        return f"{_VERSION}.{self._active}.{urlsafe_b64encode(nonce + box).decode()}"

    def is_sealed_by_first(self, sealed: str) -> bool:
        """Whether the key that seals has sealed a text that opens."""
        return sealed.startswith(f"{_VERSION}.{self._active}.")

    def open(self, sealed: str, *context: str) -> bytes:
        """Decrypt. Raises SealError."""
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.partition(".")
        if not _SEALED.match(sealed):
            raise DamagedError("it is damaged, or of another version of this software")
        if version != _VERSION:
            raise SealError("it was sealed by another version of this software")
        if key_id not in self._keys:
            raise SealError("it was sealed with a key that is not in the key ring")
        try:
            box = urlsafe_b64decode(encoded)
            return self._keys[key_id].decrypt(
                box[:_NONCE_BYTES], box[_NONCE_BYTES:], _associated_data(key_id, context)
            )
        except (ValueError, InvalidTag) as error:
            raise DamagedError("it is damaged, or belongs to another place") from error


def derive_key(secret: str | bytes, purpose: str = "records") -> bytes:
    """Make a key of a secret that has another use as well (RFC 5869)."""
    material = secret.encode() if isinstance(secret, str) else secret
    info = f"oauth-callback {purpose}".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(material)


@lru_cache(maxsize=4)
def stretch_key(secret: str, salt: str) -> bytes:
    """Make a key of a secret that may be a weak one, so slowly that it is not guessed (RFC 7914).

    It blocks for that long, once a process, and lets other threads run.
    """
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), dklen=KEY_BYTES, **_SCRYPT_COST)


def _associated_data(key_id: str, context: tuple[str, ...]) -> bytes:
    return json.dumps([_VERSION, key_id, *context]).encode()

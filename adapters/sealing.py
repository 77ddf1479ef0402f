"""Authenticated encryption of stored texts: AES-256-GCM with a ring of keys.

A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`. Its associated data are the
version, the key id and its context. In another context it cannot be decrypted.
"""

import hashlib
import hmac
import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
# NIST SP 800-38D §8.2.2: a random nonce of 96 bits, safe for 2**32 messages per key.
_NONCE_BYTES = 12
_VERSION = "v1"
# A text that some version of this software has sealed, with any key.
_SEALED = re.compile(r"v1\.[0-9a-f]{8}\.|v(?!1\.)[0-9]+\.", re.ASCII)
# OWASP's minimum for scrypt with 16 MiB: a guess costs 250 ms instead of microseconds.
_SCRYPT_COST = {"n": 2**14, "r": 8, "p": 5}


class SealError(Exception):
    """The text cannot be decrypted with this ring in this context."""


class DamagedError(SealError):
    """The text cannot be decrypted in this context with any key."""


class KeyRing:
    """A ring of keys. The first one encrypts, and each one decrypts."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {sha256(b"key id" + key).hexdigest()[:8]: AESGCM(key) for key in keys}
        self._active = next(iter(self._keys))

    def seal(self, plaintext: bytes, *context: str) -> str:
        """Encrypt a text. Decryption needs the same `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        box = self._keys[self._active].encrypt(
            nonce, plaintext, _associated_data(self._active, context)
        )
        return f"{_VERSION}.{self._active}.{urlsafe_b64encode(nonce + box).decode()}"

    def is_sealed_by_first(self, sealed: str) -> bool:
        """Whether the first key encrypted a text that `open` accepts."""
        return sealed.startswith(f"{_VERSION}.{self._active}.")

    def open(self, sealed: str, *context: str) -> bytes:
        """Decrypt a text. Raises SealError."""
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
    """Derive a key for one purpose from a secret (RFC 5869)."""
    material = secret.encode() if isinstance(secret, str) else secret
    info = f"oauth-callback {purpose}".encode()
    # HKDF with SHA-256, without a salt (§2.2), and one block (§2.3).
    extracted = hmac.digest(bytes(KEY_BYTES), material, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


@lru_cache(maxsize=4)
def stretch_key(secret: str, salt: str) -> bytes:
    """Derive a key from a secret that may be weak, slowly enough to prevent guesses (RFC 7914).

    Blocks once per process. Other threads can run.
    """
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), dklen=KEY_BYTES, **_SCRYPT_COST)


def _associated_data(key_id: str, context: tuple[str, ...]) -> bytes:
    return json.dumps([_VERSION, key_id, *context]).encode()

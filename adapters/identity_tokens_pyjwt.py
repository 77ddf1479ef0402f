"""Identity tokens, verified by PyJWT.

The library is imported with the first token: the import takes as long as a cold start.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from adapters.compact_token import CompactToken
from domain.identity_token import Claims, TokenRefusedError
from domain.jwk_set import Jwk, JwkSet

# RFC 7518 §3.3. A larger key would cost more time than any issuer needs.
_RSA_BITS = range(2048, 8192 + 1)


class IssuerKeys(Protocol):
    """The keys of one issuer."""

    async def find(self, key_id: str, algorithm: str) -> Jwk | None:
        """Return a key, None if the issuer has no such key. Raises IssuerUnavailableError."""
        ...

    async def count(self) -> int:
        """Return how many keys can be used. Raises IssuerUnavailableError."""
        ...


class GivenKeys:
    """The keys of an issuer that this machine cannot ask: those of the setting."""

    def __init__(self, keys: JwkSet) -> None:
        self._keys = keys

    async def find(self, key_id: str, algorithm: str) -> Jwk | None:
        """Return a key, None if the setting has no such key."""
        return self._keys.find(key_id, algorithm)

    async def count(self) -> int:
        """Return how many keys can be used."""
        return len(self._keys)


class PyJwtIdentityTokens:
    """Verifies tokens of the issuers that it knows, and of no other."""

    def __init__(self, issuers: Mapping[str, IssuerKeys]) -> None:
        self._issuers = issuers

    async def claims_of(self, token: bytes) -> Claims:
        """Return the claims of a token whose issuer and signature are right.

        Raises TokenRefusedError, IssuerUnavailableError.
        """
        parsed = CompactToken.parse(token)
        keys = self._issuers.get(parsed.issuer)
        if keys is None:
            raise TokenRefusedError("No entry of CALLERS has the token's issuer.")
        key = await keys.find(parsed.key_id, parsed.algorithm)
        if key is None:
            raise TokenRefusedError(
                "The token's issuer publishes no key with its `kid` for its `alg`."
            )
        # In a thread: the first import of the library takes long.
        await asyncio.to_thread(_verify, token, key, parsed.algorithm)
        return parsed.claims

    async def check_keys(self, issuer: str) -> int:
        """Return how many keys an issuer has that can be used. Raises IssuerUnavailableError."""
        return await self._issuers[issuer].count()


def _verify(token: bytes, jwk: Jwk, algorithm: str) -> None:
    """Verify the signature. Raises TokenRefusedError."""
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = jwt.PyJWK(dict(jwk), algorithm=algorithm)
        if isinstance(key.key, RSAPublicKey) and key.key.key_size not in _RSA_BITS:
            raise TokenRefusedError("The issuer's key is shorter than 2048 bits, or far too long.")
        jwt.PyJWS(algorithms=[algorithm]).decode_complete(token, key, algorithms=[algorithm])
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        # Without its cause, which may quote the token.
        raise TokenRefusedError("The token's signature is wrong.") from None

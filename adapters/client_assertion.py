"""Client assertions: a client authenticates by its private key (RFC 7523 §2.2, RFC 7521 §4.2).

The libraries are imported when the first assertion is signed. The import takes as long as a cold
start, and so does loading the key.
"""

import asyncio
from datetime import timedelta
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias

from ports.client_key import ClientKeyError
from ports.clock import Clock
from ports.entropy import Entropy

if TYPE_CHECKING:
    # Imported when the key is loaded.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
"""The `client_assertion_type` (RFC 7523 §2.2)."""

LIFETIME = timedelta(seconds=60)
"""For one request, and for a clock that differs a little."""

_VARIABLE = "CLIENT_PRIVATE_KEY"
# RFC 7518 §3.3.
_MIN_RSA_BITS = 2048
# RFC 7518 §3.4: each algorithm has one curve.
_BY_CURVE = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
# RFC 7518 §3.3, §3.5.
_OF_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


class ClientAssertions:
    """Signs an assertion for each request. Its repr has nothing of the key."""

    def __init__(
        self,
        *,
        client_id: str,
        pem: str,
        key_id: str | None,
        audience: str | None,
        algorithm: str | None,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        """`audience`: None for the token endpoint. `algorithm`: None for the key's usual one."""
        self._client_id = client_id
        self._pem = pem
        self._key_id = key_id
        self._audience = audience
        self._asked_algorithm = algorithm
        self._clock = clock
        self._entropy = entropy

    async def check(self) -> None:
        """Load the key. Raises ClientKeyError."""
        await asyncio.to_thread(lambda: self._loaded)

    async def sign(self, token_endpoint: str) -> str:
        """Return a new assertion for one request. Raises ClientKeyError."""
        return await asyncio.to_thread(self._sign, self._audience or token_endpoint)

    def _sign(self, audience: str) -> str:
        key, algorithm = self._loaded
        import jwt

        now = self._clock.now()
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": audience,
            # Single use, so that a copy is worthless (RFC 7519 §4.1.7).
            "jti": self._entropy.token(),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        headers = None if self._key_id is None else {"kid": self._key_id}
        return jwt.encode(claims, key, algorithm=algorithm, headers=headers)

    @cached_property
    def _loaded(self) -> "tuple[Key, str]":
        """The key and its algorithm. Raises ClientKeyError."""
        return load_key(self._pem, self._asked_algorithm)


def load_key(pem: str, asked_algorithm: str | None) -> "tuple[Key, str]":
    """Return a private key, and the algorithm that it signs with.

    `asked_algorithm`: None for the usual one of the kind of key.
    Raises ClientKeyError.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if find_spec("jwt") is None:
        raise ClientKeyError(f"{_VARIABLE} requires PyJWT: pip install -r infra/locks/runtime.txt")
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without its cause, which may quote the key.
        raise ClientKeyError(f"{_VARIABLE} cannot be read: store it again") from None
    usual = _algorithms_of(key)
    algorithm = asked_algorithm or usual[0]
    if algorithm not in usual:
        raise ClientKeyError(
            f"TOKEN_ENDPOINT_AUTH_SIGNING_ALG does not fit {_VARIABLE}: its key can sign with "
            f"{', '.join(usual)}"
        )
    return key, algorithm  # type: ignore[return-value]


def _algorithms_of(key: object) -> tuple[str, ...]:
    """Return the algorithms of a kind of key, the usual one first. Raises ClientKeyError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    match key:
        case RSAPrivateKey() if key.key_size >= _MIN_RSA_BITS:
            return _OF_RSA
        case EllipticCurvePrivateKey() if key.curve.name in _BY_CURVE:
            return (_BY_CURVE[key.curve.name],)
        case Ed25519PrivateKey():
            return ("EdDSA",)
        case _:
            raise ClientKeyError(
                f"{_VARIABLE} must be an RSA key of {_MIN_RSA_BITS} bits or more, a key on P-256, "
                "P-384 or P-521, or an Ed25519 key"
            )

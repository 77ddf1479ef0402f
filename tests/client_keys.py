"""Private keys of clients, made once, and the assertions that they sign."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_ALGORITHM_OF = {
    "rsa": "RS256",
    "short-rsa": "RS256",
    "p256": "ES256",
    "other-p256": "ES256",
    "p384": "ES384",
    "p521": "ES512",
    "ed25519": "EdDSA",
}
ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]


@cache
def key_of(kind: str) -> PrivateKeyTypes:
    """Return one key of each kind."""
    match kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "short-rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is refused
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "other-p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "k256":
            return ec.generate_private_key(ec.SECP256K1())
        case _:
            curves = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
            return ec.generate_private_key(curves[kind])


def pem_of(
    kind: str, *, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: str | None = None
) -> str:
    """Return the PEM of a key."""
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(b"passphrase")
    return key_of(kind).private_bytes(Encoding.PEM, form, encryption).decode()


def jwk_of(kind: str, *, kid: str) -> dict[str, Any]:
    """Return the public key as a JWK (RFC 7517), to register at a provider."""
    key: Any = key_of(kind)
    algorithm = _ALGORITHM_OF[kind]
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": kid, "use": "sig"}


def assertion_of(kind: str, claims: Mapping[str, object], *, algorithm: str = "ES256") -> str:
    """Return an assertion with any claims, signed by a key of a kind."""
    key: Any = key_of(kind)
    return jwt.encode({**claims}, key, algorithm=algorithm)


def claims_of(assertion: str, pem: str, *, audience: str) -> dict[str, Any]:
    """Return the claims of an assertion whose signature and audience are right."""
    key: Any = load_pem_private_key(pem.encode(), None)
    # The clock may be a test's own.
    return jwt.decode(
        assertion,
        key.public_key(),
        algorithms=ALGORITHMS,
        audience=audience,
        options={"verify_exp": False, "verify_iat": False},
    )

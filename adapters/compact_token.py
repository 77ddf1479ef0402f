"""The parts of a signed token in its compact form (RFC 7515 §7.1), before anything is verified."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from adapters.strict_json import strict_object
from domain.identity_token import TokenRefusedError
from domain.jwk_set import KEY_TYPES

MAX_TOKEN_BYTES = 8 * 1024
"""Tokens of GitHub, GitLab, Vercel and Kubernetes have one or two KiB."""

_LONGEST_KEY_ID = 256
# RFC 8725 §3.11: no type, the usual one, or that of an access token (RFC 9068 §2.1). A type such as
# `logout+jwt` is a token for another purpose.
_TYPES = frozenset({"", "jwt", "at+jwt"})
_PART = re.compile(rb"[A-Za-z0-9_-]+")
# RFC 7515 §4.1.11, RFC 7516 §4.1: extensions that change what is signed.
_EXTENSIONS = ("crit", "b64", "zip", "enc", "cty")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactToken:
    """A token that is well-formed; nothing of it is proven. `claims` is its payload.

    A key that the token itself carries or names (`jwk`, `jku`, `x5c`, `x5u`) is ignored
    (RFC 8725 §3.10).
    """

    algorithm: str
    key_id: str
    claims: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, token: bytes) -> Self:
        """Read a token. Raises TokenRefusedError."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRefusedError(f"The token exceeds {MAX_TOKEN_BYTES} bytes.")
        parts = token.split(b".")
        if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):  # noqa: PLR2004 - header, payload, signature
            raise TokenRefusedError("The token is not a JWT of three base64url parts.")
        header, claims = (strict_object(_decode(part)) for part in parts[:2])
        if header is None or claims is None:
            raise TokenRefusedError("The token is malformed: its parts are not JSON objects.")
        _check_type(header)
        return cls(algorithm=_algorithm(header), key_id=_key_id(header), claims=claims)

    @property
    def issuer(self) -> str:
        """The issuer that the token names, unproven; "" without one."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


def _decode(part: bytes) -> bytes:
    try:
        return urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        return b""


def _check_type(header: Mapping[str, Any]) -> None:
    given = header.get("typ", "")
    name = given.lower().removeprefix("application/") if isinstance(given, str) else None
    if name not in _TYPES:
        raise TokenRefusedError("The token has a `typ` that is not JWT.")
    if not header.keys().isdisjoint(_EXTENSIONS):
        extensions = ", ".join(_EXTENSIONS)
        raise TokenRefusedError(f"The token uses one of the extensions {extensions}.")


def _algorithm(header: Mapping[str, Any]) -> str:
    """Return the algorithm, an asymmetric one (RFC 8725 §3.1, §3.2)."""
    name = header.get("alg")
    if not isinstance(name, str) or name not in KEY_TYPES:
        raise TokenRefusedError(f"The token's `alg` must be one of {', '.join(KEY_TYPES)}.")
    return name


def _key_id(header: Mapping[str, Any]) -> str:
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_KEY_ID:
        raise TokenRefusedError(f"The token's `kid` must have 1 to {_LONGEST_KEY_ID} characters.")
    return key_id

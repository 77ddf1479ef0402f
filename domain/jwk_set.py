"""The public keys that an issuer publishes: a JWK set (RFC 7517 §5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Self, TypeAlias

MAX_KEYS = 100
"""Issuers have one to ten. More would be a mistake, or an attack."""


class KeyType(NamedTuple):
    """The kind of key of an algorithm: `kty`, and `crv` of an elliptic curve (RFC 7518 §6)."""

    kty: str
    crv: str | None = None


# RFC 7518 §3.1, RFC 8037 §3.1. Neither `none` nor an HMAC, for which a public key would serve as
# secret (RFC 8725 §2.1).
KEY_TYPES: Mapping[str, KeyType] = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), KeyType("RSA")),
        "ES256": KeyType("EC", "P-256"),
        "ES384": KeyType("EC", "P-384"),
        "ES512": KeyType("EC", "P-521"),
        "EdDSA": KeyType("OKP", "Ed25519"),
    }
)
"""The accepted algorithms, with their keys."""

_TYPES = frozenset(KEY_TYPES.values())
# The public members: a published private key must not be read as one.
_MEMBERS = frozenset({"kty", "crv", "n", "e", "x", "y"})

Jwk: TypeAlias = Mapping[str, str]


class UnusableKeysError(ValueError):
    """The document is not a usable JWK set. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The keys that can verify a signature, by their ids and types."""

    keys: Mapping[tuple[str, KeyType], Mapping[str, Any]]

    @classmethod
    def read(cls, document: Mapping[str, Any] | None) -> Self:
        """Read a document; None stands for one that is not JSON. Raises UnusableKeysError."""
        entries = (document or {}).get("keys")
        if not isinstance(entries, list):
            raise UnusableKeysError("not a JSON object with `keys`")
        if len(entries) > MAX_KEYS:
            raise UnusableKeysError(f"it has more than {MAX_KEYS} keys")
        keys: dict[tuple[str, KeyType], Mapping[str, Any]] = {}
        for key_id, key_type, entry in _usable(entries):
            if (key_id, key_type) in keys:
                # Which of the two would verify a token?
                raise UnusableKeysError(f"it has two keys with the id {key_id!a:.60}")
            keys[key_id, key_type] = entry
        if not keys:
            raise UnusableKeysError("it has no key with a `kid` for an accepted algorithm")
        return cls(keys)

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key_id: str, algorithm: str) -> Jwk | None:
        """Return the public key for a token's `kid` and `alg`, None without one."""
        entry = self.keys.get((key_id, KEY_TYPES[algorithm]))
        # RFC 8725 §3.1: a key is used with its own algorithm only.
        if entry is None or entry.get("alg", algorithm) != algorithm:
            return None
        return {name: entry[name] for name in _MEMBERS & entry.keys()}


def _usable(entries: list[Any]) -> Iterator[tuple[str, KeyType, Mapping[str, Any]]]:
    """Yield the signing keys. Others are ignored, as RFC 7517 §5 asks."""
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(key_id := entry.get("kid"), str):
            continue
        key_type = next((known for known in _TYPES if _has_type(entry, known)), None)
        if key_id and key_type is not None and _is_for_signatures(entry):
            yield key_id, key_type, entry


def _has_type(entry: Mapping[str, Any], known: KeyType) -> bool:
    return entry.get("kty") == known.kty and (known.crv is None or entry.get("crv") == known.crv)


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )

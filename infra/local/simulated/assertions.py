"""Client assertions at a simulated provider: rule 8 of `rules.py` (RFC 7523 §3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from adapters.client_assertion import ASSERTION_TYPE, load_key
from infra.local.simulated.state import State, digest

# RFC 7523 §3: a server may refuse one that is valid for unreasonably long.
MAX_LIFETIME_SECONDS = 3600.0
_REQUIRED = ["iss", "sub", "aud", "exp", "jti"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey:
    """The public key of a client, the algorithm of its signatures, and their audience."""

    public_key: PublicKeyTypes = field(repr=False)
    algorithm: str
    audience: str

    @classmethod
    def of(cls, pem: str, *, algorithm: str | None, audience: str) -> Self:
        """Return what belongs to a private key. `algorithm`: None for the usual one of its kind.

        Raises ClientKeyError.
        """
        key, algorithm = load_key(pem, algorithm)
        return cls(public_key=key.public_key(), algorithm=algorithm, audience=audience)


def accept_assertion(
    state: State, key: ClientKey, form: Mapping[str, str], *, client_id: str, now: float
) -> State | None:
    """Return the state after an assertion, which is then used up; None if it is refused.

    `now`: in seconds since the epoch, by this machine's clock.
    """
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        return None
    claims = _verified(form.get("client_assertion", ""), key, client_id)
    if claims is None:
        return None
    # In ASCII: JSON can contain a lone surrogate (RFC 8259 §8.2).
    expires_at, used = claims["exp"], digest(ascii(claims["jti"]))
    present = {each: end for each, end in state.assertions.items() if now < end}
    if used in present or not isinstance(expires_at, int | float):
        return None
    if not now < expires_at <= now + MAX_LIFETIME_SECONDS:
        return None
    return replace(state, assertions={**present, used: float(expires_at)})


def _verified(assertion: str, key: ClientKey, client_id: str) -> dict[str, Any] | None:
    """Return the claims, if the signature and all claims but the time are right."""
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            key.public_key,  # type: ignore[arg-type]
            algorithms=[key.algorithm],
            audience=key.audience,
            issuer=client_id,
            subject=client_id,
            # The caller has the time.
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
        )
    except jwt.PyJWTError:
        return None
    return claims

"""The lifetimes of a simulated provider's codes and tokens, from a preset's data."""

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from domain.provider import AssumedLifetime, Provider
from infra.local.simulated.state import NEVER

# Digi-Key's, and well below the maximum that RFC 6749 §4.1.2 recommends.
CODE_LIFETIME = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """The lifetimes of new codes and tokens, in seconds. None: they do not expire.

    `client_credentials`: of an access token of the client itself.
    """

    code: float
    access_token: float | None
    refresh_token: float | None
    client_credentials: float | None

    @classmethod
    def of(cls, provider: Provider) -> Self:
        """Return the lifetimes in the data of a provider."""
        assumed = provider.access_token_lifetime
        # A provider with no lifetime anywhere: its access token does not expire.
        is_unknown = isinstance(assumed, AssumedLifetime) and not provider.lifetime_members
        access_token = None if is_unknown else _seconds(assumed)
        return cls(
            code=CODE_LIFETIME,
            access_token=access_token,
            refresh_token=_seconds(provider.refresh_token_lifetime),
            client_credentials=access_token,
        )


def expiry(now: float, lifetime: float | None) -> float:
    """Return the instant of an expiry, `NEVER` without a lifetime."""
    return NEVER if lifetime is None else now + lifetime


def whole_seconds(now: float, expires_at: float) -> int | None:
    """Return the remaining time as a token response has it. None: it does not expire."""
    # Digi-Key reports 1799 for its 1800 s, and 7775999 for its 7776000. So do others.
    return None if expires_at >= NEVER else max(0, math.ceil(expires_at - now) - 1)


def _seconds(lifetime: timedelta | AssumedLifetime | None) -> float | None:
    if isinstance(lifetime, AssumedLifetime):
        lifetime = lifetime.lifetime
    return None if lifetime is None else lifetime.total_seconds()

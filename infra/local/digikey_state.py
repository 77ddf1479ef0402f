"""What a simulated Digi-Key remembers: codes, grants, and a clock that was moved.

Codes and tokens are named by their SHA-256 digests, so a state gives none of them away. Times are
seconds since the epoch.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A code that nobody has used yet."""

    redirect_uri: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """All that the code gave: tokens by digest, and when each expires."""

    code: str
    given_at: float
    access_tokens: Mapping[str, float] = field(default_factory=dict)
    refresh_token: str = ""
    refresh_token_expires_at: float = 0.0
    replaced_refresh_tokens: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedGrant:
    """What is remembered of a grant whose tokens were all killed."""

    given_at: float
    revoked_at: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that outlives the process; codes are named by digest, grants by an id."""

    codes: Mapping[str, Code] = field(default_factory=dict)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    revoked: tuple[RevokedGrant, ...] = ()
    clock_shift: float = 0.0

    def without_the_dead(self, now: float) -> Self:
        """Forget what could only be refused, so that the state does not grow for ever."""
        grants = {
            grant_id: replace(
                grant,
                access_tokens=_alive(grant.access_tokens, now),
                replaced_refresh_tokens=_alive(grant.replaced_refresh_tokens, now),
            )
            for grant_id, grant in self.grants.items()
        }
        return replace(
            self,
            codes={key: code for key, code in self.codes.items() if now < code.expires_at},
            grants={
                grant_id: grant
                for grant_id, grant in grants.items()
                if now < grant.refresh_token_expires_at or grant.access_tokens
            },
        )


def digest(token: str) -> str:
    """What names a code or a token here."""
    return hashlib.sha256(token.encode()).hexdigest()


def _alive(expiries: Mapping[str, float], now: float) -> dict[str, float]:
    return {key: expires_at for key, expires_at in expiries.items() if now < expires_at}

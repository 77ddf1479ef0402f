"""The state of a simulated provider: codes, grants, and the shift of its clock.

Codes and tokens are stored as SHA-256 digests, so a state reveals none of them. Times are seconds
since the epoch.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

# A finite time, as JSON requires: the year 33658.
NEVER = 1e12
"""The expiry of what does not expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An unused code, with the code challenge (RFC 7636) and the scope of its request."""

    redirect_uri: str
    expires_at: float
    code_challenge: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant from one code: its tokens by digest, and their expiries.

    - `refresh_token`: empty if the provider issued none.
    - `replaced_refresh_tokens`: until when each is known, to detect its use.
    - `graced_refresh_tokens`: until when each of these is still accepted.
    - `refreshes`: how many there were.
    - `login_ends_at`: no refresh extends the login beyond it.
    """

    code: str
    given_at: float
    access_tokens: dict[str, float] = field(default_factory=dict)
    refresh_token: str = ""
    refresh_token_expires_at: float = 0.0
    replaced_refresh_tokens: Mapping[str, float] = field(default_factory=dict)
    graced_refresh_tokens: Mapping[str, float] = field(default_factory=dict)
    refreshes: int = 0
    login_ends_at: float = NEVER
    scope: str | None = None

    def owns(self, key: str) -> bool:
        """Whether a digest is that of one of its tokens."""
        return key in self.access_tokens or key in {
            self.refresh_token,
            *self.replaced_refresh_tokens,
        }

    @property
    def newest_access_token(self) -> str | None:
        """The digest of the access token that was issued last."""
        return next(reversed(self.access_tokens), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedGrant:
    """A revoked grant, without its tokens."""

    given_at: float
    revoked_at: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state that a restart keeps. Keys are digests of codes and tokens, and ids of grants.

    `client_tokens`: the access tokens of the client itself (RFC 6749 §4.4), and their expiries.
    `assertions`: the ids of used client assertions (RFC 7523 §3), and their expiries.
    """

    codes: Mapping[str, Code] = field(default_factory=dict)
    grants: Mapping[str, Grant] = field(default_factory=dict)
    revoked: tuple[RevokedGrant, ...] = ()
    client_tokens: Mapping[str, float] = field(default_factory=dict)
    assertions: Mapping[str, float] = field(default_factory=dict)
    clock_shift: float = 0.0

    def without_expired(self, now: float) -> Self:
        """Remove expired codes and tokens, so that the state has a limited size."""
        grants = {
            grant_id: replace(
                grant,
                access_tokens=_unexpired(grant.access_tokens, now),
                replaced_refresh_tokens=_unexpired(grant.replaced_refresh_tokens, now),
                graced_refresh_tokens=_unexpired(grant.graced_refresh_tokens, now),
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
            client_tokens=_unexpired(self.client_tokens, now),
        )


def digest(token: str) -> str:
    """Return the digest of a code or token."""
    return hashlib.sha256(token.encode()).hexdigest()


def _unexpired(expiries: Mapping[str, float], now: float) -> dict[str, float]:
    return {key: expires_at for key, expires_at in expiries.items() if now < expires_at}

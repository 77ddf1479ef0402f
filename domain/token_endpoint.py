"""What is sent to a token endpoint, and what may come of it (RFC 6749 §4.1.3, §5, §6)."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCodeRequest:
    """Trade a code for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""

    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenRequest:
    """Trade a refresh token for tokens (RFC 6749 §6); the scope stays as it was granted."""

    refresh_token: str = field(repr=False)


TokenRequest: TypeAlias = AuthorizationCodeRequest | RefreshTokenRequest
"""What tokens are asked for with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """Tokens came (RFC 6749 §5.1). Durations are as received; None where the response has none.

    `subject` is the fingerprint of the account that they are of, where the provider tells it.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_in: timedelta | None
    refresh_token: str | None = field(repr=False)
    refresh_token_expires_in: timedelta | None
    scope: str | None
    subject: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenErrorResponse:
    """The provider answered, and not with tokens (RFC 6749 §5.2).

    `error` is an RFC 6749 code or the provider's own, None where the answer explains nothing; it
    and `description` may be shown. `more_codes` and `more_texts` are what else the answer says, as
    it came: to judge by, and not to be shown. `is_page` tells of a page for people.
    """

    status: int
    error: str | None
    description: str | None = None
    retry_after: timedelta | None = None
    more_codes: tuple[str, ...] = field(default=(), repr=False)
    more_texts: tuple[str, ...] = field(default=(), repr=False)
    is_page: bool = False


class Delivery(Enum):
    """How much is known of a request that got no usable answer."""

    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """No answer that can be used came; `reason` says in a few words what happened instead."""

    delivery: Delivery
    reason: str


Outcome: TypeAlias = TokenResponse | TokenErrorResponse | NoAnswer
"""What came of a token request."""

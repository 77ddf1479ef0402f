"""What is sent to a token endpoint, and what may come of it (RFC 6749 §4.1.3, §5, §6).

And to a revocation endpoint, whose refusals are a token endpoint's (RFC 7009 §2.2.1).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Literal, Self, TypeAlias


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


class TokenTypeHint(Enum):
    """What kind of token it is (RFC 7009 §2.1)."""

    ACCESS_TOKEN = "access_token"
    REFRESH_TOKEN = "refresh_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRequest:
    """End a token, and with a refresh token all that was issued with it (RFC 7009 §2.1)."""

    token: str = field(repr=False)
    token_type_hint: TokenTypeHint

    @classmethod
    def for_tokens(cls, *, access_token: str, refresh_token: str | None) -> Self:
        """End the refresh token, and the access token where there is nothing else to end."""
        if refresh_token is None:
            return cls(token=access_token, token_type_hint=TokenTypeHint.ACCESS_TOKEN)
        return cls(token=refresh_token, token_type_hint=TokenTypeHint.REFRESH_TOKEN)


class RevocationResult(Enum):
    """Whether the provider has ended a token."""

    # It is good for nothing any more, if it ever was (RFC 7009 §2.2).
    REVOKED = "yes"
    # There is no endpoint for it, or none for tokens of this kind (RFC 7009 §2.2.1).
    NOT_SUPPORTED = "not-supported"
    FAILED = "failed"


RevocationOutcome: TypeAlias = (
    Literal[RevocationResult.REVOKED, RevocationResult.NOT_SUPPORTED]
    | TokenErrorResponse
    | NoAnswer
)
"""What came of telling the provider, as it was told; `result_of` says what that is worth."""

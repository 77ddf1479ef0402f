"""Requests to a token endpoint and their outcomes (RFC 6749 §4.1.3, §4.4.2, §5, §6).

Also those of a revocation endpoint, which has the same error responses (RFC 7009 §2.2.1).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Literal, Self, TypeAlias

from domain.extra import Extra


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationCodeRequest:
    """A code, to exchange for tokens (RFC 6749 §4.1.3, RFC 7636 §4.5)."""

    code: str = field(repr=False)
    redirect_uri: str
    code_verifier: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshTokenRequest:
    """A refresh token, to exchange for tokens of the same scope (RFC 6749 §6)."""

    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentialsRequest:
    """A request for tokens of the client itself (RFC 6749 §4.4.2). None: the default scope."""

    scope: str | None


RenewalRequest: TypeAlias = RefreshTokenRequest | ClientCredentialsRequest
"""A request for new tokens that needs no person."""

TokenRequest: TypeAlias = AuthorizationCodeRequest | RenewalRequest
"""A request to a token endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A response with tokens (RFC 6749 §5.1). Durations are as received; None if missing.

    - `subject`: the fingerprint of the account, if the provider names it. `account`: its label for
      people, such as an email address.
    - `extra`: the `response_members` of the provider that are in the response.
    """

    access_token: str = field(repr=False)
    token_type: str
    expires_in: timedelta | None
    refresh_token: str | None = field(repr=False)
    refresh_token_expires_in: timedelta | None
    scope: str | None
    subject: str | None = None
    account: str | None = field(repr=False, default=None)
    extra: Extra = field(repr=False, default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenErrorResponse:
    """A response without tokens (RFC 6749 §5.2).

    - `error`: an RFC 6749 code or the provider's own; None if there is none. It and `description`
      may be shown.
    - `more_codes`, `more_texts`: the rest of the response, to interpret it. Never shown.
    - `is_page`: whether it is a web page instead of an answer to a program.
    """

    status: int
    error: str | None
    description: str | None = None
    retry_after: timedelta | None = None
    more_codes: tuple[str, ...] = field(default=(), repr=False)
    more_texts: tuple[str, ...] = field(default=(), repr=False)
    is_page: bool = False


class Delivery(Enum):
    """Whether a request without a usable answer was sent."""

    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """There is no usable answer. `reason` is why, in a few words."""

    delivery: Delivery
    reason: str


Outcome: TypeAlias = TokenResponse | TokenErrorResponse | NoAnswer
"""The outcome of a token request."""


class TokenTypeHint(Enum):
    """The type of a token (RFC 7009 §2.1)."""

    ACCESS_TOKEN = "access_token"
    REFRESH_TOKEN = "refresh_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationRequest:
    """A token to end, and with a refresh token all tokens of its login (RFC 7009 §2.1).

    `access_token`: for a provider that ends a login by its access token. None in records of
    earlier versions. Requests are equal without it.
    """

    token: str = field(repr=False)
    token_type_hint: TokenTypeHint
    access_token: str | None = field(repr=False, compare=False, default=None)

    @classmethod
    def for_tokens(cls, *, access_token: str, refresh_token: str | None) -> Self:
        """Return the revocation of the refresh token, or of the access token without one."""
        if refresh_token is None:
            return cls(
                token=access_token,
                token_type_hint=TokenTypeHint.ACCESS_TOKEN,
                access_token=access_token,
            )
        return cls(
            token=refresh_token,
            token_type_hint=TokenTypeHint.REFRESH_TOKEN,
            # Adopted tokens have none before their proof.
            access_token=access_token or None,
        )


class RevocationResult(Enum):
    """Whether the provider has ended a token."""

    # Also a token that was invalid before (RFC 7009 §2.2).
    REVOKED = "yes"
    # There is no revocation endpoint, or not for tokens of this type (RFC 7009 §2.2.1).
    NOT_SUPPORTED = "not-supported"
    FAILED = "failed"


RevocationOutcome: TypeAlias = (
    Literal[RevocationResult.REVOKED, RevocationResult.NOT_SUPPORTED]
    | TokenErrorResponse
    | NoAnswer
)
"""The outcome of a revocation request. `domain.revoking.result_of` interprets it."""

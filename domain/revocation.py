"""What is sent to a revocation endpoint, and what may come of it (RFC 7009 §2)."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Self, TypeAlias

from domain.token_endpoint import NoAnswer, TokenErrorResponse


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

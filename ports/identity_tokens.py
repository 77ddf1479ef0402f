"""The port to signed identity tokens (JWT, RFC 7519) and to the keys of their issuers."""

from typing import Protocol

from domain.identity_token import Claims


class IssuerUnavailableError(Exception):
    """The keys of an issuer cannot be read now. The message names the issuer and the reason.

    `retry_after` is in whole seconds: the time until the next read.
    """

    def __init__(self, reason: str, *, retry_after: int) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class IdentityTokens(Protocol):
    """Verifies the signatures of tokens, by the keys that their issuers publish."""

    async def claims_of(self, token: bytes) -> Claims:
        """Return the claims of a token whose issuer and signature are right.

        Their values are not checked: see `domain.identity_token`. A token of an unknown issuer
        causes no request.

        Raises TokenRefusedError (of the domain), IssuerUnavailableError.
        """
        ...

    async def check_keys(self, issuer: str) -> int:
        """Return how many keys an issuer has that can be used. Raises IssuerUnavailableError."""
        ...

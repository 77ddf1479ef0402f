"""The port to a provider: requests for tokens, and for their revocation."""

from typing import Protocol

from domain.token_endpoint import Outcome, RevocationOutcome, RevocationRequest, TokenRequest


class AuthorizationServer(Protocol):
    """A provider's token and revocation endpoints.

    Each request is sent at most once. It is sent again only if the provider refused the client's
    credentials, and has not looked at the token (RFC 6749 §5.2).
    """

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and return its outcome. Raises nothing.

        A failure is an outcome too: it states whether the provider may have acted on the request.
        """
        ...

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the revocation request and return its outcome. Raises nothing."""
        ...

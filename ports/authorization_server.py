"""What a provider is asked for: tokens, and the end of them."""

from typing import Protocol

from domain.token_endpoint import Outcome, RevocationOutcome, RevocationRequest, TokenRequest


class AuthorizationServer(Protocol):
    """Send one request, once."""

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and say what came of it.

        Raises nothing: every way in which a request can fail is an Outcome, because what may
        have happened at the provider decides what may be done next.
        """
        ...

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Ask for the end of a token, and say what came of it. Raises nothing."""
        ...

"""The provider's token endpoint."""

from typing import Protocol

from domain.token_endpoint import Outcome, TokenRequest


class AuthorizationServer(Protocol):
    """Send one token request, once."""

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and say what came of it.

        Raises nothing: every way in which a request can fail is an Outcome, because what may
        have happened at the provider decides what may be done next.
        """
        ...

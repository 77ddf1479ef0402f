"""The authorization server whose endpoints come from the provider's metadata."""

from collections.abc import Callable
from datetime import timedelta

from domain.provider import Provider
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    RevocationOutcome,
    RevocationRequest,
    TokenRequest,
)
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.discovery import Discovery, DiscoveryError

# A request that is older than this is not sent: its instance was stalled. The policy reserves more
# of a lease than that (`send_within`, then this, then the request).
SEND_WITHIN = timedelta(seconds=10)


class DiscoveredAuthorizationServer:
    """Finds the endpoints, then sends. A failed discovery counts as not sent."""

    def __init__(
        self,
        discovery: Discovery,
        *,
        server_of: Callable[[Provider], AuthorizationServer],
        clock: Clock,
    ) -> None:
        """`server_of` creates the server for the provider. It is called once."""
        self._discovery = discovery
        self._server_of = server_of
        self._clock = clock
        self._server: AuthorizationServer | None = None

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and return its outcome. Raises nothing."""
        server = await self._find_server()
        return server if isinstance(server, NoAnswer) else await server.request_tokens(request)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the revocation request and return its outcome. Raises nothing."""
        server = await self._find_server()
        return server if isinstance(server, NoAnswer) else await server.revoke_token(request)

    async def _find_server(self) -> AuthorizationServer | NoAnswer:
        asked_at = self._clock.now()
        try:
            provider = await self._discovery.provider()
        except DiscoveryError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=f"no metadata: {error}")
        if self._clock.now() - asked_at > SEND_WITHIN:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
        if self._server is None:
            self._server = self._server_of(provider)
        return self._server

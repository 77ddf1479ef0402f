"""One provider call on its own, by the adapter that the keeper uses."""

import time
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    RefreshTokenRequest,
    TokenRequest,
    TokenResponse,
)
from functions.settings.settings import Settings
from tests.bench.stage import Stage

# Far more than it takes; a benchmark that hangs is of no use.
_TIMEOUT = timedelta(minutes=1)


class LoneClient:
    """A client with a grant of its own, which it refreshes on request; nobody shares it."""

    def __init__(self, stage: Stage, *, delay: float) -> None:
        client = Settings.from_environ(stage.workers.environment).clients.get(None)
        self._provider = stage.provider
        self._delay = delay
        self._server = HttpxAuthorizationServer(
            client.provider,
            client_id=client.client_id,
            client_secret=client.client_secret,
            timeout=_TIMEOUT,
        )
        self._refresh_token = ""

    async def log_in(self) -> None:
        """Get a grant."""
        callback = self._provider.allow(self._provider.authorization_url(state="alone"))
        code = parse_qs(urlsplit(callback).query)["code"][0]
        await self._ask(
            AuthorizationCodeRequest(
                code=code, redirect_uri=self._provider.redirect_uri, code_verifier=None
            )
        )

    async def refresh(self) -> float:
        """Return how many seconds one refresh takes."""
        self._provider.plan_faults(f"delay:{self._delay}")
        begun = time.perf_counter()
        await self._ask(RefreshTokenRequest(refresh_token=self._refresh_token))
        return time.perf_counter() - begun

    async def _ask(self, request: TokenRequest) -> None:
        outcome = await self._server.request_tokens(request)
        assert isinstance(outcome, TokenResponse), outcome
        assert outcome.refresh_token is not None
        self._refresh_token = outcome.refresh_token

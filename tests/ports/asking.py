"""Token requests to make, and the adapters to make them with.

A new adapter for the authorization server is one entry in `ADAPTERS`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from domain.provider import ClientAuthentication, Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Outcome,
    RefreshTokenRequest,
    TokenRequest,
)
from ports.authorization_server import AuthorizationServer

CLIENT_ID = "client-id"
CLIENT_SECRET = "client-secret-%+:/ é"
REFRESH = RefreshTokenRequest(refresh_token="refresh-token-+/=")
CODE = AuthorizationCodeRequest(
    code="code-%2F+ é",
    redirect_uri="https://keeper.example/api/callback?x=1&y=ž",
    code_verifier="code-verifier",
)
PROVIDER = Provider(
    name="scripted",
    authorization_endpoint="https://provider.example/authorize",
    token_endpoint="",
    scope="read write",
    access_token_lifetime=timedelta(minutes=30),
    refresh_token_lifetime=None,
)
# Far beyond anything that a test does on purpose.
PATIENCE = timedelta(seconds=20)
# What a test waits for that a time limit must end.
IMPATIENCE = timedelta(milliseconds=300)

# The provider, and the limit for the whole of a request.
Adapter: TypeAlias = Callable[[Provider, timedelta], AuthorizationServer]


def httpx_adapter(provider: Provider, timeout: timedelta) -> AuthorizationServer:
    """Make the one that the application uses."""
    return HttpxAuthorizationServer(
        provider, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, timeout=timeout
    )


ADAPTERS: tuple[tuple[str, Adapter], ...] = (("httpx", httpx_adapter),)


def ask(
    endpoint: str,
    request: TokenRequest = REFRESH,
    *,
    adapter: Adapter = httpx_adapter,
    authentication: ClientAuthentication = ClientAuthentication.POST,
    timeout: timedelta = PATIENCE,
    times: int = 1,
    params: tuple[tuple[str, str], ...] = (),
) -> Outcome:
    """Make the request, `times` over with one client, and return the last outcome."""
    provider = replace(
        PROVIDER,
        token_endpoint=endpoint,
        client_authentication=authentication,
        token_params=params,
    )

    async def ask_in_turn() -> Outcome:
        server = adapter(provider, timeout)
        async with asyncio.timeout((PATIENCE * 2).total_seconds()):
            for _ in range(times - 1):
                await server.request_tokens(request)
            return await server.request_tokens(request)

    return asyncio.run(ask_in_turn())

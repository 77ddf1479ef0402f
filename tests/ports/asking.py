"""Token requests, and the adapter under test to make them with."""

import asyncio
import ssl
from dataclasses import replace
from datetime import timedelta
from typing import Any

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from domain.provider import ClientAuthentication, Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Outcome,
    RefreshTokenRequest,
    TokenRequest,
)
from tests.ports.scripted_server import Script, serving

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
# Longer than any step of a test.
PATIENCE = timedelta(seconds=20)
# The limit that a test waits for.
IMPATIENCE = timedelta(milliseconds=300)


def httpx_adapter(provider: Provider, timeout: timedelta) -> HttpxAuthorizationServer:
    """Make the adapter that the application uses. `timeout` limits a whole request."""
    return HttpxAuthorizationServer(
        provider, client_id=CLIENT_ID, client_secret=CLIENT_SECRET, timeout=timeout
    )


def ask(
    endpoint: str,
    request: TokenRequest = REFRESH,
    *,
    authentication: ClientAuthentication = ClientAuthentication.POST,
    timeout: timedelta = PATIENCE,
    times: int = 1,
    params: tuple[tuple[str, str], ...] = (),
) -> Outcome:
    """Make the request, several times with one client, and return the last outcome."""
    provider = replace(
        PROVIDER,
        token_endpoint=endpoint,
        client_authentication=authentication,
        token_params=params,
    )

    async def ask_in_turn() -> Outcome:
        server = httpx_adapter(provider, timeout)
        async with asyncio.timeout((PATIENCE * 2).total_seconds()):
            for _ in range(times - 1):
                await server.request_tokens(request)
            return await server.request_tokens(request)

    return asyncio.run(ask_in_turn())


def answered(
    script: Script,
    request: TokenRequest = REFRESH,
    *,
    tls: ssl.SSLContext | None = None,
    arrivals: int = 1,
    **options: Any,
) -> Outcome:
    """Return the outcome of a request to a server that runs the script, and count its arrivals."""
    with serving(script, tls=tls) as server:
        outcome = ask(server.endpoint, request, **options)
    assert len(server.requests) == arrivals
    return outcome

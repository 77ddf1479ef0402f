"""The authorization server over HTTP: its token and revocation endpoints."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ssl import SSLError
from typing import TypeAlias, TypeVar, assert_never

import httpx

from adapters.failure_reasons import reason_of
from adapters.network import MetadataHosts
from adapters.provider_http import USER_AGENT, provider_client, read_body, run_in_time
from adapters.redaction import Redaction, tokens_in
from adapters.token_message import Client, Message
from adapters.token_response import read_answer, read_revocation
from domain.error_meanings import KNOWN_CODES
from domain.provider import Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenRequest,
)
from ports.network_settings import NetworkSettingsError

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    UnicodeError,
)

# A shorter value of a configured header is a version or the like.
_SHORTEST_KEY = 16

_Request: TypeAlias = TokenRequest | RevocationRequest
_Outcome = TypeVar("_Outcome")
# Reads a response and its complete body.
_Read: TypeAlias = Callable[[httpx.Response, bytes, Provider], _Outcome]


class HttpxAuthorizationServer:
    """Sends requests with httpx. Failures are returned as outcomes, never raised."""

    def __init__(
        self,
        provider: Provider,
        *,
        client_id: str,
        client_secret: str,
        timeout: timedelta,
        metadata_hosts: MetadataHosts | None = None,
        user_agent: str = USER_AGENT,
    ) -> None:
        """`timeout` limits a whole request and its response.

        `client_secret`: empty for a public client.
        `metadata_hosts`: the hosts that only the provider's metadata has named.
        """
        self._provider = provider
        self._client = Client(provider, client_id=client_id, client_secret=client_secret)
        headers = provider.wire.headers if provider.wire is not None else ()
        keys = (value for _, value in headers if len(value) >= _SHORTEST_KEY)
        self._secrets = [secret for secret in (client_secret, *keys) if secret]
        self._timeout = timeout
        self._http = provider_client(metadata_hosts, user_agent=user_agent)

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and return its outcome. Raises nothing."""
        return await self._ask(self._client.token_message(request), request, read_answer)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the revocation request and return its outcome. Raises nothing."""
        endpoint = self._provider.revocation_endpoint
        if endpoint is None:
            return RevocationResult.NOT_SUPPORTED
        message = self._client.revocation_message(endpoint, request)
        if message is None:
            return RevocationResult.NOT_SUPPORTED
        return await self._ask(message, request, read_revocation)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _ask(
        self, message: Message, request: _Request, read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        try:
            outcome = await run_in_time(self._send(message, request, read), self._timeout)
        except NetworkSettingsError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=str(error))
        except _NOT_SENT as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=reason_of(error))
        except (httpx.HTTPError, httpx.StreamError, SSLError, TimeoutError) as error:
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=reason_of(error))
        return outcome

    async def _send(
        self, message: Message, request: _Request, read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        # Tokens and secrets may have characters outside of ASCII.
        headers = [(name.encode(), value.encode()) for name, value in message.headers.items()]
        async with self._http.stream(
            message.method, message.url, content=message.body, headers=headers
        ) as response:
            body = await read_body(response)
            outcome = read(response, body, self._provider)
        if isinstance(outcome, TokenErrorResponse | NoAnswer):
            return self._without_secrets(outcome, request, body)
        return outcome

    def _without_secrets(
        self, answer: TokenErrorResponse | NoAnswer, request: _Request, body: bytes
    ) -> TokenErrorResponse | NoAnswer:
        """Remove secrets: some providers repeat the request, or tokens, in their errors."""
        secrets = Redaction([*self._secrets, *_secrets(request), *tokens_in(body)])
        if isinstance(answer, NoAnswer):
            return replace(answer, reason=secrets.quote(answer.reason))
        code, description = answer.error, answer.description
        if code is not None and code not in KNOWN_CODES and secrets.reveals(code):
            # Not shown, but still available to the decision.
            answer = replace(answer, error=None, more_codes=(code, *answer.more_codes))
        return replace(
            answer, description=None if description is None else secrets.quote(description) or None
        )


def _secrets(request: _Request) -> tuple[str, ...]:
    match request:
        case AuthorizationCodeRequest():
            return (request.code, request.code_verifier or request.code)
        case RefreshTokenRequest():
            return (request.refresh_token,)
        case RevocationRequest():
            return (request.token, request.access_token or request.token)
        case _:
            assert_never(request)

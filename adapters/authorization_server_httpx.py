"""The authorization server over HTTP: its token and revocation endpoints."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from ssl import SSLError
from typing import TypeAlias, TypeVar, assert_never

import httpx

from adapters.client_assertion import ClientAssertions
from adapters.failure_reasons import reason_of
from adapters.network import MetadataHosts
from adapters.provider_http import USER_AGENT, provider_client, read_body, run_in_time
from adapters.redaction import Redaction, tokens_in
from adapters.token_message import ClientMessages, Message
from adapters.token_response import read_answer, read_revocation
from domain.error_meanings import KNOWN_CODES, are_credentials_refused
from domain.provider import Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    ClientCredentialsRequest,
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
from ports.client_key import ClientKeyError
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
        previous_client_secret: str | None = None,
        assertions: ClientAssertions | None = None,
        metadata_hosts: MetadataHosts | None = None,
        user_agent: str = USER_AGENT,
    ) -> None:
        """`timeout` limits a whole request and its response.

        `client_secret`: empty for a client without one.
        `previous_client_secret`: for the time until the provider accepts the other one.
        `assertions`: of a client that authenticates by a private key.
        `metadata_hosts`: the hosts that only the provider's metadata has named.
        """
        self._provider = provider
        credentials = [client_secret, *filter(None, [previous_client_secret])]
        self._clients = [
            ClientMessages(provider, client_id=client_id, client_secret=secret)
            for secret in credentials
        ]
        # The index of the credentials that the provider accepted last.
        self._accepted = 0
        self._assertions = assertions
        headers = provider.wire.headers if provider.wire is not None else ()
        keys = (value for _, value in headers if len(value) >= _SHORTEST_KEY)
        self._secrets = [secret for secret in (*credentials, *keys) if secret]
        self._timeout = timeout
        self._http = provider_client(metadata_hosts, user_agent=user_agent)

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and return its outcome. Raises nothing."""
        try:
            assertion = await self._sign_assertion()
        except ClientKeyError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=str(error))
        messages = [client.token_message(request, assertion) for client in self._clients]
        return await self._ask(messages, [*_secrets(request), assertion or ""], read_answer)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the revocation request and return its outcome. Raises nothing."""
        endpoint = self._provider.revocation_endpoint
        if endpoint is None:
            return RevocationResult.NOT_SUPPORTED
        try:
            assertion = await self._sign_assertion()
        except ClientKeyError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=str(error))
        written = (
            client.revocation_message(endpoint, request, assertion) for client in self._clients
        )
        messages = [message for message in written if message is not None]
        if not messages:
            return RevocationResult.NOT_SUPPORTED
        return await self._ask(messages, [*_secrets(request), assertion or ""], read_revocation)

    async def _sign_assertion(self) -> str | None:
        if self._assertions is None:
            return None
        return await self._assertions.sign(self._provider.token_endpoint)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _ask(
        self, messages: Sequence[Message], secrets: Sequence[str], read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        """Send a request. `messages` are the same one, by each of the client's credentials."""
        try:
            return await run_in_time(self._send_any(messages, secrets, read), self._timeout)
        except NetworkSettingsError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=str(error))
        except _NOT_SENT as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=reason_of(error))
        except (httpx.HTTPError, httpx.StreamError, SSLError, TimeoutError) as error:
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=reason_of(error))

    async def _send_any(
        self, messages: Sequence[Message], secrets: Sequence[str], read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        """Send the message, and once more by the other credentials if the first are refused.

        RFC 6749 §5.2: then the provider has not looked at the token, and it is not spent.
        """
        first = self._accepted
        outcome = await self._send(messages[first], secrets, read)
        if not _are_credentials_refused(outcome):
            return outcome
        for other, message in enumerate(messages):
            # Equal ones are of a client that does not send its secret.
            if message == messages[first]:
                continue
            second = await self._send(message, secrets, read)
            if not _are_credentials_refused(second):
                self._accepted = other
                return second
        return outcome

    async def _send(
        self, message: Message, secrets: Sequence[str], read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        # Tokens and secrets may have characters outside of ASCII.
        headers = [(name.encode(), value.encode()) for name, value in message.headers.items()]
        async with self._http.stream(
            message.method, message.url, content=message.body, headers=headers
        ) as response:
            body = await read_body(response)
            outcome = read(response, body, self._provider)
        if isinstance(outcome, TokenErrorResponse | NoAnswer):
            return self._without_secrets(outcome, secrets, body)
        return outcome

    def _without_secrets(
        self, answer: TokenErrorResponse | NoAnswer, sent: Sequence[str], body: bytes
    ) -> TokenErrorResponse | NoAnswer:
        """Remove secrets: some providers repeat the request, or tokens, in their errors."""
        secrets = Redaction([*self._secrets, *sent, *tokens_in(body)])
        if isinstance(answer, NoAnswer):
            return replace(answer, reason=secrets.quote(answer.reason))
        code, description = answer.error, answer.description
        if code is not None and code not in KNOWN_CODES and secrets.reveals(code):
            # Not shown, but still available to the decision.
            answer = replace(answer, error=None, more_codes=(code, *answer.more_codes))
        return replace(
            answer, description=None if description is None else secrets.quote(description) or None
        )


def _are_credentials_refused(outcome: object) -> bool:
    return isinstance(outcome, TokenErrorResponse) and are_credentials_refused(outcome)


def _secrets(request: _Request) -> tuple[str, ...]:
    match request:
        case AuthorizationCodeRequest():
            return (request.code, request.code_verifier or request.code)
        case RefreshTokenRequest():
            return (request.refresh_token,)
        case ClientCredentialsRequest():
            return ()
        case RevocationRequest():
            return (request.token, request.access_token or request.token)
        case _:
            assert_never(request)

"""The authorization server over HTTP: its token and revocation endpoints."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ssl import SSLError
from typing import TypeAlias, TypeVar, assert_never
from urllib.parse import quote_plus

import httpx

from adapters.failure_reasons import reason_of
from adapters.network import MetadataHosts
from adapters.provider_http import USER_AGENT, provider_client, read_body, run_in_time
from adapters.redaction import Redaction, tokens_in
from adapters.token_response import read_answer, read_revocation
from domain.error_meanings import KNOWN_CODES
from domain.provider import ClientAuthentication, Provider
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
        self._client_id = client_id
        self._client_secret = client_secret
        self._timeout = timeout
        self._http = provider_client(metadata_hosts, user_agent=user_agent)

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and return its outcome. Raises nothing."""
        return await self._ask(self._provider.token_endpoint, request, read_answer)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Send the revocation request and return its outcome. Raises nothing."""
        endpoint = self._provider.revocation_endpoint
        if endpoint is None:
            return RevocationResult.NOT_SUPPORTED
        return await self._ask(endpoint, request, read_revocation)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _ask(
        self, endpoint: str, request: _Request, read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        try:
            outcome = await run_in_time(self._send(endpoint, request, read), self._timeout)
        except NetworkSettingsError as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=str(error))
        except _NOT_SENT as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=reason_of(error))
        except (httpx.HTTPError, httpx.StreamError, SSLError, TimeoutError) as error:
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=reason_of(error))
        return outcome

    async def _send(
        self, endpoint: str, request: _Request, read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        form, headers = self._message(request)
        async with self._http.stream("POST", endpoint, data=form, headers=headers) as response:
            body = await read_body(response)
            outcome = read(response, body, self._provider)
        if isinstance(outcome, TokenErrorResponse | NoAnswer):
            return self._without_secrets(outcome, request, body)
        return outcome

    def _message(self, request: _Request) -> tuple[dict[str, str | list[str]], dict[str, str]]:
        form: dict[str, str | list[str]] = {**_form(request)}
        if not isinstance(request, RevocationRequest):
            for name, value in self._provider.token_params:
                form[name] = [*form.get(name, ()), value]
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        match self._provider.client_authentication:
            case ClientAuthentication.POST:
                form["client_id"] = self._client_id
                form["client_secret"] = self._client_secret
            case ClientAuthentication.BASIC:
                headers["authorization"] = _basic(self._client_id, self._client_secret)
            case ClientAuthentication.SECRET_AS_USER:
                headers["authorization"] = _basic(self._client_secret, "")
            case ClientAuthentication.NONE:
                # RFC 6749 §3.2.1.
                form["client_id"] = self._client_id
            case _:
                assert_never(self._provider.client_authentication)
        return form, headers

    def _without_secrets(
        self, answer: TokenErrorResponse | NoAnswer, request: _Request, body: bytes
    ) -> TokenErrorResponse | NoAnswer:
        """Remove secrets: some providers repeat the request, or tokens, in their errors."""
        sent = [secret for secret in (self._client_secret, *_secrets(request)) if secret]
        secrets = Redaction([*sent, *tokens_in(body)])
        if isinstance(answer, NoAnswer):
            return replace(answer, reason=secrets.quote(answer.reason))
        code, description = answer.error, answer.description
        if code is not None and code not in KNOWN_CODES and secrets.reveals(code):
            # Not shown, but still available to the decision.
            answer = replace(answer, error=None, more_codes=(code, *answer.more_codes))
        return replace(
            answer, description=None if description is None else secrets.quote(description) or None
        )


def _basic(user: str, password: str) -> str:
    # RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
    return f"Basic {b64encode(f'{quote_plus(user)}:{quote_plus(password)}'.encode()).decode()}"


def _form(request: _Request) -> dict[str, str]:
    match request:
        case AuthorizationCodeRequest():
            form = {
                "grant_type": "authorization_code",
                "code": request.code,
                "redirect_uri": request.redirect_uri,
            }
            if request.code_verifier is not None:
                form["code_verifier"] = request.code_verifier
            return form
        case RefreshTokenRequest():
            return {"grant_type": "refresh_token", "refresh_token": request.refresh_token}
        case ClientCredentialsRequest(scope=scope):
            # RFC 6749 §4.4.2.
            form = {"grant_type": "client_credentials"}
            return form if scope is None else {**form, "scope": scope}
        case RevocationRequest():
            # RFC 7009 §2.1.
            return {"token": request.token, "token_type_hint": request.token_type_hint.value}
        case _:
            assert_never(request)


def _secrets(request: _Request) -> tuple[str, ...]:
    match request:
        case AuthorizationCodeRequest():
            return (request.code, request.code_verifier or request.code)
        case RefreshTokenRequest():
            return (request.refresh_token,)
        case ClientCredentialsRequest():
            return ()
        case RevocationRequest():
            return (request.token,)
        case _:
            assert_never(request)

"""The token endpoint and the revocation endpoint over HTTP."""

import asyncio
import zlib
from base64 import b64encode
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLError
from typing import TypeAlias, TypeVar, assert_never
from urllib.parse import quote, quote_plus

import httpx

from adapters.tls import tls_context
from adapters.token_response import is_json_object, read_answer, read_revocation
from domain.provider import ClientAuthentication, Provider
from domain.revocation import RevocationOutcome, RevocationRequest, RevocationUnsupported
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    Delivery,
    NoAnswer,
    Outcome,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenRequest,
)

# Beyond this a body is no token response; the longest tokens in use are some 8 KiB each.
MAX_BODY_BYTES = 64 * 1024
_LONGEST_DESCRIPTION = 300
# What fails before the request is on its way is over soon, and can be retried with no risk.
_CONNECT_TIMEOUT = timedelta(seconds=5)
# Time enough for reading what is there.
_LAST_LOOK = timedelta(seconds=0.5)
# A kept connection that the provider has closed in the meantime would fail in a way that looks like
# a lost answer.
_LIMITS = httpx.Limits(max_keepalive_connections=0)
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
# What makes of an answer, and of its whole body, what the provider has said.
_Read: TypeAlias = Callable[[httpx.Response, bytes, Provider], _Outcome]


class HttpxAuthorizationServer:
    """Send requests with httpx; what came of each is said, never raised."""

    def __init__(
        self, provider: Provider, *, client_id: str, client_secret: str, timeout: timedelta
    ) -> None:
        """`timeout` is for the whole of a request and its answer."""
        self._provider = provider
        self._client_id = client_id
        self._client_secret = client_secret
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            # A redirect would carry the client's secret to somewhere else.
            follow_redirects=False,
            # Only until the request is on its way; `_in_time` sees to the rest.
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT.total_seconds()),
            limits=_LIMITS,
            verify=tls_context(),
            # http is for loopback only, where a proxy from the environment has no business.
            mounts={"http://": httpx.AsyncHTTPTransport(limits=_LIMITS, verify=tls_context())},
            # Connections of different people have nothing to tell each other.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Send the request and say what came of it. Raises nothing."""
        return await self._ask(self._provider.token_endpoint, request, read_answer)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """Ask for the end of a token, and say what came of it. Raises nothing."""
        endpoint = self._provider.revocation_endpoint
        if endpoint is None:
            return RevocationUnsupported()
        return await self._ask(endpoint, request, read_revocation)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _ask(
        self, endpoint: str, request: _Request, read: _Read[_Outcome]
    ) -> _Outcome | TokenErrorResponse | NoAnswer:
        try:
            outcome = await _in_time(self._send(endpoint, request, read), self._timeout)
        except _NOT_SENT as error:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=type(error).__name__)
        except (httpx.HTTPError, httpx.StreamError, SSLError, TimeoutError) as error:
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=type(error).__name__)
        if isinstance(outcome, TokenErrorResponse):
            return self._without_secrets(outcome, request)
        return outcome

    async def _send(self, endpoint: str, request: _Request, read: _Read[_Outcome]) -> _Outcome:
        form, headers = self._message(request)
        async with self._http.stream("POST", endpoint, data=form, headers=headers) as response:
            return read(response, await _read_capped(response), self._provider)

    def _message(self, request: _Request) -> tuple[dict[str, str], dict[str, str]]:
        form = _form(request)
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        match self._provider.client_authentication:
            case ClientAuthentication.POST:
                form["client_id"] = self._client_id
                form["client_secret"] = self._client_secret
            case ClientAuthentication.BASIC:
                headers["authorization"] = f"Basic {self._basic_credentials()}"
            case _:
                assert_never(self._provider.client_authentication)
        return form, headers

    def _basic_credentials(self) -> str:
        # RFC 6749 §2.3.1: both parts are form-urlencoded before they are joined.
        pair = f"{quote_plus(self._client_id)}:{quote_plus(self._client_secret)}"
        return b64encode(pair.encode()).decode()

    def _without_secrets(self, answer: TokenErrorResponse, request: _Request) -> TokenErrorResponse:
        """Some providers repeat in their errors what they were sent."""
        sent = [self._client_secret, *_secrets(request)]
        forms = [self._basic_credentials(), *sent, *map(quote, sent), *map(quote_plus, sent)]
        description = answer.description
        for secret in forms:
            description = description and description.replace(secret, "…")
        is_echo = any(secret in (answer.error or "") for secret in forms)
        return replace(
            answer,
            error=None if is_echo else answer.error,
            description=description and description[:_LONGEST_DESCRIPTION],
        )


async def _in_time(work: Coroutine[None, None, _Outcome], limit: timedelta) -> _Outcome:
    """Wait for an answer until the time limit, and then once more for a moment.

    A process that was frozen (as serverless platforms do) finds its time over and the answer in the
    socket at once. What has come is read then: it may hold the only living refresh token.

    Raises TimeoutError, and what `work` raises.
    """
    task = asyncio.create_task(work)
    try:
        for patience in (limit, _LAST_LOOK):
            done, _ = await asyncio.wait({task}, timeout=patience.total_seconds())
            if done:
                return task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
    raise TimeoutError


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
        case RevocationRequest():
            return (request.token,)
        case _:
            assert_never(request)


async def _read_capped(response: httpx.Response) -> bytes:
    """Read the body; one that is too long, or encoded in a way nobody asked for, counts as empty.

    The cap is on what comes and on what becomes of it, because a few bytes can unpack to anything.
    Where the connection ends before the body by its own account does, what has come is enough if it
    is a whole JSON object, which is one to its last brace only: it may hold the only living refresh
    token.

    Raises httpx.HTTPError.
    """
    body = b""
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return b""
    except httpx.TransportError:
        if not is_json_object(body):
            raise
    match response.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return body
        case "gzip":
            return _gunzip(body)
        case _:
            return b""


def _gunzip(body: bytes) -> bytes:
    try:
        gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
        text = gzip.decompress(body, MAX_BODY_BYTES)
    except zlib.error:
        return b""
    return text if gzip.eof else b""

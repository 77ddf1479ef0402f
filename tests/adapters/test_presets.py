"""The login URL and the token requests of each preset, as a server receives them."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from domain.authorization import PendingLogin, authorization_url, code_challenge
from domain.provider import ClientAuthentication, Pkce, Provider
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    RefreshTokenRequest,
    TokenRequest,
    TokenResponse,
)
from domain.wire_format import BodyFormat, WireFormat
from tests.domain.examples import T0
from tests.ports.scripted_server import Arrived, answer, serving
from tests.presets import NAMES, preset_named

CLIENT_ID, CLIENT_SECRET = "the-client", "not-a-real-secret"
REDIRECT_URI = "https://keeper.example/api/callback"
STATE, CODE, VERIFIER = "a-state-of-a-login", "a-code", "v" * 43
TOKENS = json.dumps(
    {"access_token": "access", "token_type": "Bearer", "expires_in": 600, "refresh_token": "next"}
).encode()
STANDARD = WireFormat()
PRESETS = [name for name in NAMES if name != "custom"]


def members_of(arrived: Arrived) -> dict[str, str]:
    """Read a body by its content type."""
    [content_type] = arrived.all("content-type")
    if content_type == "application/json":
        return dict(json.loads(arrived.body))
    assert content_type == "application/x-www-form-urlencoded"
    return dict(arrived.form)


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{quote_plus(user)}:{quote_plus(password)}'.encode()).decode()}"


def expected_members(provider: Provider, request: TokenRequest) -> dict[str, str]:
    """Return what RFC 6749 and the preset demand, under the provider's names."""
    wire = provider.wire or STANDARD
    if isinstance(request, RefreshTokenRequest):
        members = {"grant_type": "refresh_token", "refresh_token": request.refresh_token}
        params = wire.refresh_params
    else:
        members = {"grant_type": "authorization_code", "code": CODE, "redirect_uri": REDIRECT_URI}
        if provider.pkce is Pkce.S256:
            members["code_verifier"] = VERIFIER
        params = wire.code_params
    if provider.client_authentication is ClientAuthentication.POST:
        members |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    named = {wire.token_request_names.get(name, name): value for name, value in members.items()}
    named.pop("", None)
    return {**named, **dict(provider.token_params), **dict(params)}


def expected_authorization(provider: Provider) -> list[str]:
    return {
        ClientAuthentication.POST: [],
        ClientAuthentication.BASIC: [basic(CLIENT_ID, CLIENT_SECRET)],
        ClientAuthentication.SECRET_AS_USER: [basic(CLIENT_SECRET, "")],
        ClientAuthentication.NONE: [],
    }[provider.client_authentication]


@pytest.mark.anyio
@pytest.mark.parametrize("name", PRESETS)
async def test_token_requests_have_what_the_preset_demands(name: str) -> None:
    provider = preset_named(name)
    requests: list[TokenRequest] = [
        AuthorizationCodeRequest(
            code=CODE,
            redirect_uri=REDIRECT_URI,
            code_verifier=VERIFIER if provider.pkce is Pkce.S256 else None,
        ),
        RefreshTokenRequest(refresh_token="a-refresh-token"),
    ]
    with serving(answer("200 OK", TOKENS)) as peer:
        wire = provider.wire and replace(provider.wire, refresh_endpoint=f"{peer.endpoint}/refresh")
        there = replace(provider, token_endpoint=peer.endpoint, wire=wire)
        server = HttpxAuthorizationServer(
            there,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            timeout=timedelta(seconds=20),
        )
        outcomes = [await server.request_tokens(request) for request in requests]
        await server.close()
    assert all(isinstance(outcome, TokenResponse) for outcome in outcomes)
    paths = ["/token", "/token" if wire is None else "/token/refresh"]
    for request, arrived, path in zip(requests, peer.requests, paths, strict=True):
        assert arrived.line == f"POST {path} HTTP/1.1"
        assert members_of(arrived) == expected_members(provider, request)
        assert arrived.all("authorization") == expected_authorization(provider)
        assert arrived.all("accept") == ["application/json"]
        body_format = (provider.wire or STANDARD).token_request
        assert (arrived.all("content-type") == ["application/json"]) is (
            body_format is BodyFormat.JSON
        )


@pytest.mark.parametrize("name", PRESETS)
def test_login_url_has_what_the_preset_demands(name: str) -> None:
    provider = replace(preset_named(name), scope="read write")
    pending = PendingLogin(
        connection="default",
        redirect_uri=REDIRECT_URI,
        code_verifier=VERIFIER if provider.pkce is Pkce.S256 else None,
        expires_at=T0,
    )
    url = authorization_url(provider, client_id=CLIENT_ID, state=STATE, pending=pending)
    assert url.startswith(f"{provider.authorization_endpoint}?")
    expected = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "scope": "read write",
        "state": STATE,
    }
    if provider.pkce is Pkce.S256:
        expected |= {"code_challenge": code_challenge(VERIFIER), "code_challenge_method": "S256"}
    names = (provider.wire or STANDARD).authorization_names
    named = {names.get(name, name): value for name, value in expected.items()}
    named.pop("", None)
    query = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert dict(query) == {**dict(provider.authorization_params), **named}
    assert len(dict(query)) == len(query)

"""The messages of providers that differ from RFC 6749, as they arrive at a server."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote_plus

import pytest

from domain.provider import ClientAuthentication, Provider
from domain.token_endpoint import (
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
    TokenTypeHint,
)
from domain.wire_format import BodyFormat, RevocationStyle, WireFormat
from tests.ports.asking import (
    CLIENT_ID,
    CLIENT_SECRET,
    CODE,
    PATIENCE,
    PROVIDER,
    REFRESH,
    httpx_adapter,
)
from tests.ports.scripted_server import Arrived, answer, serving

TOKENS = json.dumps({"access_token": "access", "token_type": "Bearer", "expires_in": 1799}).encode()
BASIC = (
    "Basic " + b64encode(f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()).decode()
)
REVOCATION = RevocationRequest.for_tokens(access_token="access-é", refresh_token="refresh-+")
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
REFRESHED = {"grant_type": "refresh_token", "refresh_token": REFRESH.refresh_token}
EXCHANGED = {
    "grant_type": "authorization_code",
    "code": CODE.code,
    "redirect_uri": CODE.redirect_uri,
    "code_verifier": CODE.code_verifier,
}


def arrived(request: TokenRequest, provider: Provider) -> Arrived:
    """Return the request as it arrives at a server."""
    with serving(answer("200 OK", TOKENS)) as server:
        adapter = httpx_adapter(replace(provider, token_endpoint=server.endpoint), PATIENCE)
        assert isinstance(asyncio.run(adapter.request_tokens(request)), TokenResponse)
    (only,) = server.requests
    return only


def members(request: Arrived) -> object:
    """Return the members of a body, in JSON or as a form."""
    (content_type,) = request.all("content-type")
    if content_type == "application/json":
        return json.loads(request.body)
    assert content_type == "application/x-www-form-urlencoded"
    pairs = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def with_wire(wire: WireFormat, **changes: object) -> Provider:
    return replace(PROVIDER, wire=wire, **changes)  # type: ignore[arg-type]


JSON = WireFormat(token_request=BodyFormat.JSON)
RENAMED = {
    "client_id": "app_id",
    "client_secret": "secret",
    "code": "auth_code",
    "grant_type": "",
    "redirect_uri": "",
}


@pytest.mark.parametrize(
    ("wire", "request_", "expected"),
    [
        pytest.param(JSON, REFRESH, {**REFRESHED, **CLIENT}, id="JSON"),
        pytest.param(JSON, CODE, {**EXCHANGED, **CLIENT}, id="JSON with a code"),
        pytest.param(
            WireFormat(token_request_names=RENAMED, token_request=BodyFormat.JSON),
            CODE,
            {
                "app_id": CLIENT_ID,
                "secret": CLIENT_SECRET,
                "auth_code": CODE.code,
                "code_verifier": CODE.code_verifier,
            },
            id="TikTok for Business",
        ),
        pytest.param(
            WireFormat(token_request_names={"client_id": "client_key"}),
            REFRESH,
            {**REFRESHED, "client_key": CLIENT_ID, "client_secret": CLIENT_SECRET},
            id="TikTok",
        ),
        pytest.param(
            WireFormat(
                token_request_names={"grant_type": ""},
                code_params=(("type", "web_server"),),
                refresh_params=(("type", "refresh"),),
            ),
            REFRESH,
            {"refresh_token": REFRESH.refresh_token, "type": "refresh", **CLIENT},
            id="Basecamp",
        ),
        pytest.param(
            WireFormat(code_params=(("expiring", "1"),), refresh_params=(("scope", "a b"),)),
            CODE,
            {**EXCHANGED, **CLIENT, "expiring": "1"},
            id="Shopify",
        ),
    ],
)
def test_a_token_request_has_the_providers_form_and_names(
    wire: WireFormat, request_: TokenRequest, expected: Mapping[str, str]
) -> None:
    assert members(arrived(request_, with_wire(wire))) == expected


def test_a_repeated_parameter_is_a_list_in_json() -> None:
    further = (("resource", "a"), ("audience", "c"), ("resource", "b"), ("resource", "c"))
    found = json.loads(arrived(REFRESH, with_wire(JSON, token_params=further)).body)
    assert (found["resource"], found["audience"]) == (["a", "b", "c"], "c")


def test_json_with_basic_does_not_name_the_client() -> None:
    provider = with_wire(JSON, client_authentication=ClientAuthentication.BASIC)
    found = arrived(REFRESH, provider)
    assert found.all("authorization") == [BASIC]
    assert members(found) == REFRESHED


def test_a_refresh_goes_to_its_own_endpoint_and_a_code_does_not() -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        wire = WireFormat(refresh_endpoint=f"{server.endpoint}/refresh")
        provider = replace(PROVIDER, token_endpoint=server.endpoint, wire=wire)
        for request in (CODE, REFRESH):
            asyncio.run(httpx_adapter(provider, PATIENCE).request_tokens(request))
    lines = [request.line for request in server.requests]
    assert lines == ["POST /token HTTP/1.1", "POST /token/refresh HTTP/1.1"]


def test_headers_are_added_and_replace_only_what_they_may() -> None:
    headers = (
        ("Notion-Version", "2022-06-28"),
        ("Accept", "application/vnd.example+json"),
        ("Authorization", "Bearer x"),
        ("Content-Type", "text/plain"),
    )
    by_basic = {"client_authentication": ClientAuthentication.BASIC}
    found = arrived(REFRESH, with_wire(WireFormat(headers=headers), **by_basic))
    assert found.all("authorization") == [BASIC]
    assert found.all("notion-version") == ["2022-06-28"]
    assert found.all("accept") == ["application/vnd.example+json"]
    assert found.all("content-type") == ["application/x-www-form-urlencoded"]


def test_a_key_in_a_header_is_in_no_text() -> None:
    key = "the-subscription-key-of-this-client"
    wire = WireFormat(headers=(("x-api-key", key),))
    assert key not in repr(with_wire(wire))
    body = json.dumps({"error": "invalid_grant", "error_description": f"not {key} now"}).encode()
    with serving(answer("400 Bad", body)) as server:
        provider = replace(with_wire(wire), token_endpoint=server.endpoint)
        outcome = asyncio.run(httpx_adapter(provider, PATIENCE).request_tokens(REFRESH))
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.description == "not … now"


# Revocations


@pytest.mark.parametrize(
    ("style", "by", "line", "authorization", "expected"),
    [
        pytest.param(
            RevocationStyle.JSON,
            ClientAuthentication.BASIC,
            "POST /token HTTP/1.1",
            BASIC,
            {"token": "refresh-+", "token_type_hint": "refresh_token"},
            id="Notion",
        ),
        pytest.param(
            RevocationStyle.BEARER,
            ClientAuthentication.POST,
            "POST /token HTTP/1.1",
            "Bearer access-é",
            None,
            id="Dropbox",
        ),
        pytest.param(
            RevocationStyle.DELETE_BEARER,
            ClientAuthentication.POST,
            "DELETE /token HTTP/1.1",
            "Bearer access-é",
            None,
            id="WHOOP",
        ),
        pytest.param(
            RevocationStyle.DELETE_JSON,
            ClientAuthentication.POST,
            "DELETE /token HTTP/1.1",
            BASIC,
            {"access_token": "access-é"},
            id="GitHub",
        ),
        pytest.param(
            RevocationStyle.CLIENT_HEADER,
            ClientAuthentication.POST,
            "POST /token HTTP/1.1",
            f"Client {CLIENT_SECRET}",
            {"client_id": CLIENT_ID, "access_token": "access-é"},
            id="Square",
        ),
    ],
)
def test_a_revocation_has_the_providers_style(
    style: RevocationStyle,
    by: ClientAuthentication,
    line: str,
    authorization: str,
    expected: Mapping[str, str] | None,
) -> None:
    found = revoked(WireFormat(revocation=style), by)
    assert found.line == line
    # The server reads headers as Latin-1, and the client writes UTF-8.
    assert [each.encode("latin-1").decode() for each in found.all("authorization")] == [
        authorization
    ]
    if expected is None:
        assert (found.body, found.all("content-type")) == (b"", [])
    else:
        assert json.loads(found.body) == expected


def revoked(wire: WireFormat, by: ClientAuthentication = ClientAuthentication.POST) -> Arrived:
    with serving(answer("200 OK")) as server:
        provider = with_wire(wire, revocation_endpoint=server.endpoint, client_authentication=by)
        outcome = asyncio.run(httpx_adapter(provider, PATIENCE).revoke_token(REVOCATION))
    assert outcome == RevocationResult.REVOKED
    (only,) = server.requests
    return only


def test_a_revocation_has_the_names_of_token_requests() -> None:
    names = {"token": "refresh_token", "token_type_hint": "", "client_id": "client_key"}
    assert members(revoked(WireFormat(token_request_names=names))) == {
        "refresh_token": "refresh-+",
        "client_key": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }


def test_without_its_access_token_a_login_cannot_be_ended_by_one() -> None:
    earlier = RevocationRequest(token="refresh", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
    wire = WireFormat(revocation=RevocationStyle.BEARER)
    with serving(answer("200 OK")) as server:
        provider = with_wire(wire, revocation_endpoint=server.endpoint)
        outcome = asyncio.run(httpx_adapter(provider, PATIENCE).revoke_token(earlier))
    assert (outcome, server.requests) == (RevocationResult.NOT_SUPPORTED, [])


def test_no_text_repeats_the_access_token_of_a_revocation() -> None:
    wire = WireFormat(revocation=RevocationStyle.BEARER)
    body = json.dumps({"error": "refused", "error_description": "not access-é here"}).encode()
    with serving(answer("400 Bad", body)) as server:
        provider = with_wire(wire, revocation_endpoint=server.endpoint)
        outcome = asyncio.run(httpx_adapter(provider, PATIENCE).revoke_token(REVOCATION))
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.description == "not … here"

"""The revocation of a token (RFC 7009): the request, and its outcome, which is never raised."""

import asyncio
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote_plus

import pytest

from domain.provider import ClientAuthentication
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenTypeHint,
)
from tests.ports.asking import (
    CLIENT_ID,
    CLIENT_SECRET,
    IMPATIENCE,
    PATIENCE,
    PROVIDER,
    httpx_adapter,
)
from tests.ports.scripted_server import Arrived, Script, answer, serving, stall

POST, BASIC = ClientAuthentication.POST, ClientAuthentication.BASIC
REFRESH = RevocationRequest(token="refresh-token-+/=", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
ACCESS = RevocationRequest(token="access-token", token_type_hint=TokenTypeHint.ACCESS_TOKEN)


def revoke(
    endpoint: str | None,
    request: RevocationRequest = REFRESH,
    *,
    by: ClientAuthentication = POST,
    timeout: timedelta = PATIENCE,
) -> RevocationOutcome:
    provider = replace(PROVIDER, revocation_endpoint=endpoint, client_authentication=by)
    return asyncio.run(httpx_adapter(provider, timeout).revoke_token(request))


def outcome_of(script: Script, *, timeout: timedelta = PATIENCE) -> RevocationOutcome:
    with serving(script) as server:
        return revoke(server.endpoint, timeout=timeout)


def sent(request: RevocationRequest, *, by: ClientAuthentication = POST) -> Arrived:
    with serving(answer("200 OK")) as server:
        assert revoke(server.endpoint, request, by=by) == RevocationResult.REVOKED
    (arrived,) = server.requests
    return arrived


@pytest.mark.parametrize("request_", [REFRESH, ACCESS], ids=["refresh", "access"])
def test_the_token_is_sent_with_its_kind_and_the_client(request_: RevocationRequest) -> None:
    arrived = sent(request_)
    assert arrived.line == "POST /token HTTP/1.1"
    assert sorted(arrived.form) == [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("token", request_.token),
        ("token_type_hint", request_.token_type_hint.value),
    ]


def test_with_basic_the_form_does_not_name_the_client() -> None:
    arrived = sent(REFRESH, by=BASIC)
    assert [name for name, _ in arrived.form] == ["token", "token_type_hint"]
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()
    assert arrived.all("authorization") == [f"Basic {b64encode(pair).decode()}"]


@pytest.mark.parametrize("body", [b"", b'{"error": "invalid_token"}', b"<html>", b"\xff"])
def test_the_body_of_a_success_is_ignored(body: bytes) -> None:
    assert outcome_of(answer("200 OK", body)) == RevocationResult.REVOKED


def test_without_an_endpoint_it_is_not_supported() -> None:
    assert revoke(None) == RevocationResult.NOT_SUPPORTED


def test_a_refusal_is_returned_with_its_status_and_code_and_without_secrets() -> None:
    body = (
        '{"error": "unsupported_token_type", '
        f'"error_description": "{REFRESH.token} of {CLIENT_SECRET}"}}'
    )
    outcome = outcome_of(answer("400 Bad", body.encode(), "Retry-After: 7"))
    assert isinstance(outcome, TokenErrorResponse)
    assert (outcome.status, outcome.error) == (400, "unsupported_token_type")
    assert outcome.retry_after == timedelta(seconds=7)
    for text in (repr(outcome), repr(REFRESH)):
        assert REFRESH.token not in text
        assert CLIENT_SECRET not in text


def test_a_redirect_is_not_followed() -> None:
    with serving(answer("200 OK")) as target:
        outcome = outcome_of(answer("307 Temp", b"", f"Location: {target.endpoint}"))
    assert isinstance(outcome, TokenErrorResponse)
    assert target.requests == []


def test_a_missing_answer_is_returned_as_such() -> None:
    assert outcome_of(stall, timeout=IMPATIENCE) == NoAnswer(
        delivery=Delivery.UNKNOWN, reason="TimeoutError"
    )
    assert isinstance(outcome_of(answer("502 Bad Gateway")), NoAnswer)
    refused = revoke("http://127.0.0.9:9/revoke")
    assert isinstance(refused, NoAnswer)
    assert refused.delivery is Delivery.NOT_SENT

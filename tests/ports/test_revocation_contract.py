"""The end of a token (RFC 7009): what is sent, and what came of it is said, never raised."""

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
    ADAPTERS,
    CLIENT_ID,
    CLIENT_SECRET,
    IMPATIENCE,
    PATIENCE,
    PROVIDER,
    Adapter,
)
from tests.ports.scripted_server import answer, serving, stall

POST, BASIC = ClientAuthentication.POST, ClientAuthentication.BASIC
REFRESH = RevocationRequest(token="refresh-token-+/=", token_type_hint=TokenTypeHint.REFRESH_TOKEN)
ACCESS = RevocationRequest(token="access-token", token_type_hint=TokenTypeHint.ACCESS_TOKEN)


@pytest.fixture(params=[adapter for _, adapter in ADAPTERS], ids=[name for name, _ in ADAPTERS])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def revoke(
    adapter: Adapter,
    endpoint: str | None,
    request: RevocationRequest = REFRESH,
    *,
    by: ClientAuthentication = POST,
    timeout: timedelta = PATIENCE,
) -> RevocationOutcome:
    provider = replace(PROVIDER, revocation_endpoint=endpoint, client_authentication=by)
    return asyncio.run(adapter(provider, timeout).revoke_token(request))


@pytest.mark.parametrize("request_", [REFRESH, ACCESS], ids=["refresh", "access"])
def test_the_token_is_sent_with_its_kind_and_the_client(
    adapter: Adapter, request_: RevocationRequest
) -> None:
    with serving(answer("200 OK")) as server:
        assert revoke(adapter, server.endpoint, request_) == RevocationResult.REVOKED
    (arrived,) = server.requests
    assert arrived.line == "POST /token HTTP/1.1"
    assert sorted(arrived.form) == [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("token", request_.token),
        ("token_type_hint", request_.token_type_hint.value),
    ]


def test_with_basic_the_form_says_nothing_of_the_client(adapter: Adapter) -> None:
    with serving(answer("200 OK")) as server:
        revoke(adapter, server.endpoint, by=BASIC)
    (arrived,) = server.requests
    assert [name for name, _ in arrived.form] == ["token", "token_type_hint"]
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()
    assert arrived.all("authorization") == [f"Basic {b64encode(pair).decode()}"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"error": "invalid_token"}', b"<html>", b"\xff"])
def test_the_body_of_a_success_says_nothing(adapter: Adapter, body: bytes) -> None:
    with serving(answer("200 OK", body)) as server:
        assert revoke(adapter, server.endpoint) == RevocationResult.REVOKED


def test_without_an_endpoint_it_is_not_supported(adapter: Adapter) -> None:
    assert revoke(adapter, None) == RevocationResult.NOT_SUPPORTED


@pytest.mark.parametrize("status", ["400 Bad", "401 Unauthorized", "503 Away"])
def test_a_refusal_is_told_with_its_status_and_code(adapter: Adapter, status: str) -> None:
    body = b'{"error": "unsupported_token_type"}'
    with serving(answer(status, body, "Retry-After: 7")) as server:
        outcome = revoke(adapter, server.endpoint)
    assert isinstance(outcome, TokenErrorResponse)
    assert (outcome.status, outcome.error) == (int(status[:3]), "unsupported_token_type")
    assert outcome.retry_after == timedelta(seconds=7)


def test_a_refusal_repeats_no_secret(adapter: Adapter) -> None:
    body = f'{{"error": "x", "error_description": "{REFRESH.token} of {CLIENT_SECRET}"}}'
    with serving(answer("400 Bad", body.encode())) as server:
        outcome = revoke(adapter, server.endpoint)
    assert REFRESH.token not in repr(outcome)
    assert CLIENT_SECRET not in repr(outcome)
    assert REFRESH.token not in repr(REFRESH)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temp", "308 Perm"])
def test_a_redirect_is_not_followed(adapter: Adapter, status: str) -> None:
    with (
        serving(answer("200 OK")) as target,
        serving(answer(status, b"", f"Location: {target.endpoint}")) as server,
    ):
        assert isinstance(revoke(adapter, server.endpoint), TokenErrorResponse)
    assert target.requests == []


def test_no_answer_is_told(adapter: Adapter) -> None:
    with serving(stall) as server:
        stalled = revoke(adapter, server.endpoint, timeout=IMPATIENCE)
    assert stalled == NoAnswer(delivery=Delivery.UNKNOWN, reason="TimeoutError")
    refused = revoke(adapter, server.endpoint)
    assert isinstance(refused, NoAnswer)
    assert refused.delivery is Delivery.NOT_SENT


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Timeout"])
def test_what_a_gateway_answers_is_no_answer(adapter: Adapter, status: str) -> None:
    with serving(answer(status)) as server:
        assert isinstance(revoke(adapter, server.endpoint), NoAnswer)

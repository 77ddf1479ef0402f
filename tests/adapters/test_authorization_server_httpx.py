"""The bytes that the httpx adapter sends, and the texts that it quotes from an answer."""

import json
import logging
import sys
import tomllib
from base64 import b64decode, b64encode
from functools import cache
from html import escape
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import pytest

from domain.provider import ClientAuthentication
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    ClientCredentialsRequest,
    NoAnswer,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
)
from tests.ports.asking import CLIENT_ID, CLIENT_SECRET, CODE, REFRESH, answered, ask
from tests.ports.scripted_server import Arrived, Script, answer, serving

TOKENS = json.dumps({"access_token": "access", "token_type": "Bearer", "expires_in": 1799}).encode()
POST, BASIC = ClientAuthentication.POST, ClientAuthentication.BASIC

authentications = pytest.mark.parametrize("authentication", [POST, BASIC], ids=["post", "basic"])
all_requests = pytest.mark.parametrize("request_", [REFRESH, CODE], ids=["refresh", "code"])


@cache
def what_arrives(
    request: TokenRequest,
    authentication: ClientAuthentication = POST,
    *,
    params: tuple[tuple[str, str], ...] = (),
) -> Arrived:
    with serving(answer("200 OK", TOKENS)) as server:
        outcome = ask(server.endpoint, request, authentication=authentication, params=params)
    assert isinstance(outcome, TokenResponse)
    (arrived,) = server.requests
    return arrived


def refusal(
    request: TokenRequest, script: Script, authentication: ClientAuthentication = POST
) -> TokenErrorResponse:
    outcome = answered(script, request, authentication=authentication)
    assert isinstance(outcome, TokenErrorResponse)
    return outcome


def error_body(**members: object) -> Script:
    return answer("400 Bad", json.dumps({"error": "invalid_grant", **members}).encode())


class Finder:
    """Counts the look-ups of modules, and finds all but one."""

    def __init__(self, missing: str) -> None:
        self.names: list[str] = []
        self._missing = missing
        self._finders = list(sys.meta_path)

    def find_spec(self, name: str, *more: Any) -> ModuleSpec | None:
        self.names.append(name)
        finders = () if name == self._missing else self._finders
        return next(filter(None, (each.find_spec(name, *more) for each in finders)), None)


def test_a_missing_library_is_searched_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder("sniffio")
    monkeypatch.delitem(sys.modules, "sniffio", raising=False)
    monkeypatch.setattr(sys, "meta_path", [finder])
    for _ in range(3):
        answered(answer("200 OK", TOKENS))
    assert finder.names.count("sniffio") == 1


# On the wire


def test_checklist_22_a_refresh_sends_these_fields_and_no_others() -> None:
    assert sorted(what_arrives(REFRESH).form) == [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("grant_type", "refresh_token"),
        ("refresh_token", REFRESH.refresh_token),
    ]


def test_a_code_sends_these_fields_and_no_others() -> None:
    assert sorted(what_arrives(CODE).form) == [
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("code", CODE.code),
        ("code_verifier", CODE.code_verifier),
        ("grant_type", "authorization_code"),
        ("redirect_uri", CODE.redirect_uri),
    ]


@pytest.mark.parametrize("scope", [None, "read write"])
def test_client_credentials_send_these_fields_and_no_others(scope: str | None) -> None:
    request = ClientCredentialsRequest(scope=scope)
    arrived = what_arrives(request, params=(("audience", "an-api"),))
    assert sorted(arrived.form) == [
        ("audience", "an-api"),
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
        ("grant_type", "client_credentials"),
        *([] if scope is None else [("scope", scope)]),
    ]
    basic = what_arrives(request, BASIC)
    assert "client_id" not in dict(basic.form)


def test_a_code_without_a_verifier_sends_none() -> None:
    request = AuthorizationCodeRequest(
        code="code", redirect_uri="https://keeper.example/", code_verifier=None
    )
    assert sorted(name for name, _ in what_arrives(request).form) == [
        "client_id",
        "client_secret",
        "code",
        "grant_type",
        "redirect_uri",
    ]


@all_requests
def test_checklist_20_with_basic_the_form_does_not_name_the_client(request_: TokenRequest) -> None:
    post, basic = (what_arrives(request_, each) for each in (POST, BASIC))
    assert set(post.form) - set(basic.form) == {
        ("client_id", CLIENT_ID),
        ("client_secret", CLIENT_SECRET),
    }
    assert set(basic.form) < set(post.form)


@all_requests
def test_checklist_19_basic_carries_both_parts_form_urlencoded(request_: TokenRequest) -> None:
    (header,) = what_arrives(request_, BASIC).all("authorization")
    scheme, _, credentials = header.partition(" ")
    # RFC 6749 §2.3.1, with the characters of which some clients forget one or the other.
    assert scheme == "Basic"
    assert b64decode(credentials) == b"client-id:client-secret-%25%2B%3A%2F+%C3%A9"
    name, _, secret = b64decode(credentials).decode().partition(":")
    assert (unquote_plus(name), unquote_plus(secret)) == (CLIENT_ID, CLIENT_SECRET)


@all_requests
def test_checklist_20_post_carries_no_authorization_header(request_: TokenRequest) -> None:
    assert what_arrives(request_, POST).all("authorization") == []


def test_a_public_client_sends_its_name_and_no_secret() -> None:
    arrived = what_arrives(REFRESH, ClientAuthentication.NONE)
    assert arrived.all("authorization") == []
    assert ("client_id", CLIENT_ID) in arrived.form
    assert "client_secret" not in dict(arrived.form)


@all_requests
def test_further_parameters_go_with_each_request_for_tokens(request_: TokenRequest) -> None:
    further = (("resource", "https://a.test/?x=1&y"), ("audience", "é"), ("resource", "b"))
    plain = what_arrives(request_).form
    assert sorted(what_arrives(request_, params=further).form) == sorted([*plain, *further])


@authentications
@all_requests
def test_checklist_18_23_it_is_one_form_post_to_the_endpoint_with_nothing_in_the_url(
    request_: TokenRequest, authentication: ClientAuthentication
) -> None:
    arrived = what_arrives(request_, authentication)
    assert arrived.line == "POST /token HTTP/1.1"
    assert arrived.all("content-type") == ["application/x-www-form-urlencoded"]
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert arrived.all("user-agent") == [f"oauth-callback/{version}"]
    assert arrived.all("accept") == ["application/json"]
    assert arrived.all("accept-encoding") == ["identity"]
    assert arrived.all("content-length") == [str(len(arrived.body))]
    assert len(arrived.all("host")) == 1
    names = [name for name, _ in arrived.form]
    assert len(names) == len(set(names))
    assert "scope" not in names


def test_each_request_has_a_connection_of_its_own() -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        ask(server.endpoint, times=3)
    assert (len(server.requests), server.connections) == (3, 3)


def test_an_endpoint_keeps_its_own_query() -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        ask(f"{server.endpoint}?tenant=a%20b")
    assert server.requests[0].line == "POST /token?tenant=a%20b HTTP/1.1"


def test_no_cookie_of_one_answer_goes_into_the_next_request() -> None:
    with serving(answer("200 OK", TOKENS, "Set-Cookie: session=1; Path=/")) as server:
        ask(server.endpoint, times=2)
    assert [request.all("cookie") for request in server.requests] == [[], []]


@authentications
@all_requests
def test_no_secret_is_logged(
    request_: TokenRequest, authentication: ClientAuthentication, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answered(answer("200 OK", TOKENS), request_, authentication=authentication)
        refusal(request_, error_body(), authentication)
    secrets = {CLIENT_SECRET, CODE.code, "code-verifier", REFRESH.refresh_token}
    secrets |= {quote_plus(secret) for secret in secrets}
    assert [secret for secret in secrets if secret in caplog.text] == []


# Texts of an answer


@pytest.mark.parametrize(
    ("request_", "secret"),
    [
        (REFRESH, CLIENT_SECRET),
        (REFRESH, REFRESH.refresh_token),
        (RefreshTokenRequest(refresh_token="plain-refresh-token"), "plain-refresh-token"),
        (CODE, CLIENT_SECRET),
        (CODE, CODE.code),
        (CODE, "code-verifier"),
        (ClientCredentialsRequest(scope=None), CLIENT_SECRET),
    ],
    ids=["secret", "token", "plain token", "secret with code", "code", "verifier", "own secret"],
)
@pytest.mark.parametrize(
    ("status", "members"),
    [
        ("400 Bad", {"error_description": "{0}{0}"}),
        ("200 OK", {"error_description": "'{0}' is not '{0}'"}),
        ("400 Bad", {"error_description": "cannot read grant_type=x&value={1}"}),
        ("400 Bad", {"error": "{0}"}),
        ("400 Bad", {"error_description": f"{'x' * 295}{{0}}{'y' * 300}"}),
    ],
    ids=["description", "in a sentence", "form", "code", "at the cut"],
)
def test_no_text_repeats_a_secret_that_was_sent(
    request_: TokenRequest, secret: str, status: str, members: dict[str, str]
) -> None:
    shown = {name: text.format(secret, quote_plus(secret)) for name, text in members.items()}
    body = json.dumps({"error": "invalid_grant", **shown}).encode()
    found = refusal(request_, answer(status, body))
    assert found.error == (None if "error" in members else "invalid_grant")
    description = found.description or ""
    assert description or "error" in members
    assert len(description) <= 300
    for part in (secret[:4], quote_plus(secret)[:4]):
        assert part not in description


def test_a_description_does_not_repeat_the_basic_header() -> None:
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()
    credentials = b64encode(pair).decode()
    description = f"bad header Basic {credentials}"
    found = refusal(REFRESH, error_body(error_description=description), BASIC)
    assert found.description is not None
    assert credentials not in found.description


@pytest.mark.parametrize("length", [299, 300, 301])
def test_a_description_is_cut_to_300_characters(length: int) -> None:
    found = refusal(REFRESH, error_body(error_description="é" * length))
    assert found.description == "é" * min(length, 300)


def test_the_reason_of_a_missing_answer_is_a_few_words_without_secrets() -> None:
    outcome = answered(answer("502 Bad Gateway", CLIENT_SECRET.encode()))
    assert CLIENT_SECRET not in repr(outcome)
    assert len(repr(outcome)) < 300


@pytest.mark.parametrize(
    "echo",
    [
        quote_plus(CLIENT_SECRET).lower(),
        quote_plus(quote_plus(CLIENT_SECRET)),
        escape(CLIENT_SECRET),
        b64encode(CLIENT_SECRET.encode()).decode(),
        b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode(),
        CLIENT_SECRET[:12],
        CLIENT_SECRET.upper(),
        json.dumps(json.dumps({"client_secret": CLIENT_SECRET})),
    ],
)
def test_f14_no_form_of_a_secret_that_was_sent_is_returned(echo: str) -> None:
    found = refusal(REFRESH, error_body(error_description=f"what is {echo} and why?"))
    assert found.description is not None
    assert echo not in found.description
    assert "client-s" not in unquote_plus(found.description).lower()


def test_tokens_in_a_refusal_are_not_returned() -> None:
    token = "an-access-token-of-some-length"
    found = refusal(REFRESH, error_body(access_token=token, error_description=f"no {token}"))
    assert (found.error, found.description) == ("invalid_grant", "no …")


def test_a_known_code_is_returned_though_a_token_resembles_it() -> None:
    request = RefreshTokenRequest(refresh_token="refresh_token_reused_or_not")
    assert refusal(request, error_body(error="refresh_token_reused")).error == (
        "refresh_token_reused"
    )


def test_the_sender_of_a_page_is_returned_without_secrets() -> None:
    outcome = answered(answer("200 OK", b"<html>", f"Server: a {REFRESH.refresh_token}"))
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason == "a page came instead of an answer (status 200, server: a …"


@pytest.mark.parametrize(
    ("place", "description"),
    [
        (f"{quote_plus(REFRESH.refresh_token)}/token?x=1", "a redirect to …"),
        ("token?x=1", "a redirect to other.example/token"),
    ],
)
def test_a_redirect_is_returned_with_its_place_and_without_secrets(
    place: str, description: str
) -> None:
    script = answer("308 Gone", b"", f"Location: https://other.example/{place}")
    assert refusal(REFRESH, script).description == description

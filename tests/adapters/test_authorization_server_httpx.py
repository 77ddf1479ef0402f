"""What the httpx adapter puts on the wire, byte for byte, and what it says of an answer's text."""

import json
import logging
import sys
import tomllib
from base64 import b64decode, b64encode
from html import escape
from pathlib import Path
from urllib.parse import quote_plus, unquote_plus

import pytest

from domain.provider import ClientAuthentication
from domain.token_endpoint import (
    AuthorizationCodeRequest,
    NoAnswer,
    RefreshTokenRequest,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
)
from tests.ports.asking import CLIENT_ID, CLIENT_SECRET, CODE, REFRESH, ask
from tests.ports.scripted_server import Arrived, Script, answer, serving

TOKENS = json.dumps({"access_token": "access", "token_type": "Bearer", "expires_in": 1799}).encode()
POST, BASIC = ClientAuthentication.POST, ClientAuthentication.BASIC

authentications = pytest.mark.parametrize("authentication", [POST, BASIC], ids=["post", "basic"])
all_requests = pytest.mark.parametrize("request_", [REFRESH, CODE], ids=["refresh", "code"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


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


def refusal(request: TokenRequest, script: Script) -> TokenErrorResponse:
    with serving(script) as server:
        outcome = ask(server.endpoint, request)
    assert isinstance(outcome, TokenErrorResponse)
    return outcome


class Looked:
    """Who looks for a module that is nowhere, at the head of Python's finders."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: object) -> None:
        self.names.append(name)


def test_library_that_is_not_installed_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Looked()
    monkeypatch.delitem(sys.modules, "sniffio", raising=False)
    monkeypatch.setattr(sys, "meta_path", [looked, *sys.meta_path])
    for _ in range(3):
        what_arrives(REFRESH)
    assert looked.names.count("sniffio") <= 1


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
def test_checklist_20_with_basic_the_form_says_nothing_of_the_client(
    request_: TokenRequest,
) -> None:
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


@all_requests
def test_a_public_client_sends_its_name_and_no_secret(request_: TokenRequest) -> None:
    arrived = what_arrives(request_, ClientAuthentication.NONE)
    assert arrived.all("authorization") == []
    assert ("client_id", CLIENT_ID) in arrived.form
    assert "client_secret" not in dict(arrived.form)


@all_requests
def test_further_parameters_go_with_each_request_for_tokens(request_: TokenRequest) -> None:
    further = (("resource", "https://a.test/?x=1&y"), ("audience", "é"), ("resource", "b"))
    plain = what_arrives(request_).form
    assert sorted(what_arrives(request_, params=further).form) == sorted([*plain, *further])


def test_the_application_names_itself_and_its_version() -> None:
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    assert what_arrives(REFRESH).all("user-agent") == [f"oauth-callback/{version}"]


@authentications
@all_requests
def test_checklist_18_23_it_is_one_form_post_to_the_endpoint_with_nothing_in_the_url(
    request_: TokenRequest, authentication: ClientAuthentication
) -> None:
    arrived = what_arrives(request_, authentication)
    assert arrived.line == "POST /token HTTP/1.1"
    assert arrived.all("content-type") == ["application/x-www-form-urlencoded"]
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
        what_arrives(request_, authentication)
        refusal(request_, answer("400 Bad", b'{"error": "invalid_grant"}'))
    secrets = {CLIENT_SECRET, CODE.code, "code-verifier", REFRESH.refresh_token}
    secrets |= {quote_plus(secret) for secret in secrets}
    assert [secret for secret in secrets if secret in caplog.text] == []


# What an answer repeats


SECRETS: list[tuple[TokenRequest, str]] = [
    (REFRESH, CLIENT_SECRET),
    (REFRESH, REFRESH.refresh_token),
    (CODE, CLIENT_SECRET),
    (CODE, CODE.code),
    (CODE, "code-verifier"),
]
echoes = pytest.mark.parametrize(
    ("request_", "secret"), SECRETS, ids=["secret", "token", "secret-code", "code", "verifier"]
)


@echoes
@pytest.mark.parametrize("shape", ["{0}", "{0}{0}", "'{0}' is not '{0}'"])
@pytest.mark.parametrize("status", ["400 Bad", "200 OK"])
def test_a_description_does_not_repeat_what_was_sent(
    request_: TokenRequest, secret: str, shape: str, status: str
) -> None:
    body = {"error": "invalid_grant", "error_description": shape.format(secret)}
    told = refusal(request_, answer(status, json.dumps(body).encode()))
    assert told.error == "invalid_grant"
    assert told.description is not None
    assert secret not in told.description


@echoes
def test_an_error_that_is_the_secret_itself_is_not_told(
    request_: TokenRequest, secret: str
) -> None:
    told = refusal(request_, answer("400 Bad", json.dumps({"error": secret}).encode()))
    assert secret not in f"{told.error} {told.description}"


@pytest.mark.parametrize("in_error", [False, True], ids=["description", "error"])
def test_no_token_of_plain_letters_is_told(*, in_error: bool) -> None:
    request = RefreshTokenRequest(refresh_token="plain-refresh-token")
    name = "error" if in_error else "error_description"
    body = {"error": "invalid_grant", name: request.refresh_token}
    told = refusal(request, answer("400 Bad", json.dumps(body).encode()))
    assert request.refresh_token not in f"{told.error} {told.description}"


@echoes
def test_a_description_does_not_repeat_the_form_as_it_was_sent(
    request_: TokenRequest, secret: str
) -> None:
    sent = f"grant_type=x&value={quote_plus(secret)}"
    body = {"error": "invalid_request", "error_description": f"cannot read {sent}"}
    told = refusal(request_, answer("400 Bad", json.dumps(body).encode()))
    assert told.description is not None
    assert quote_plus(secret) not in told.description


def test_a_description_does_not_repeat_the_basic_header() -> None:
    pair = f"{quote_plus(CLIENT_ID)}:{quote_plus(CLIENT_SECRET)}".encode()
    credentials = b64encode(pair).decode()
    body = {"error": "invalid_client", "error_description": f"bad header Basic {credentials}"}
    with serving(answer("401 No", json.dumps(body).encode())) as server:
        outcome = ask(server.endpoint, authentication=BASIC)
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.description is not None
    assert credentials not in outcome.description


@pytest.mark.parametrize("length", [1, 299, 300, 301, 5_000])
def test_a_description_is_cut_to_300_characters(length: int) -> None:
    body = {"error": "invalid_grant", "error_description": "é" * length}
    told = refusal(REFRESH, answer("400 Bad", json.dumps(body).encode()))
    assert told.description == "é" * min(length, 300)


@echoes
def test_a_secret_at_the_cut_is_not_told_in_part(request_: TokenRequest, secret: str) -> None:
    body = {"error": "invalid_grant", "error_description": "x" * 295 + secret + "y" * 300}
    told = refusal(request_, answer("400 Bad", json.dumps(body).encode()))
    assert told.description is not None
    assert len(told.description) <= 300
    assert secret[:4] not in told.description


@pytest.mark.parametrize("request_", [REFRESH, CODE], ids=["refresh", "code"])
def test_the_reason_of_no_answer_is_a_few_words_without_secrets(request_: TokenRequest) -> None:
    with serving(answer("502 Bad Gateway", CLIENT_SECRET.encode())) as server:
        outcome = ask(server.endpoint, request_)
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
def test_f14_no_form_of_what_was_sent_is_told(echo: str) -> None:
    body = {"error": "invalid_client", "error_description": f"what is {echo} and why?"}
    told = refusal(REFRESH, answer("401 No", json.dumps(body).encode()))
    assert told.error == "invalid_client"
    assert told.description is not None
    assert echo not in told.description
    assert "client-s" not in unquote_plus(told.description).lower()


def test_tokens_that_came_with_a_refusal_are_not_told() -> None:
    token = "an-access-token-of-some-length"
    body = {"error": "invalid_scope", "access_token": token, "error_description": f"no {token}"}
    told = refusal(REFRESH, answer("200 OK", json.dumps(body).encode()))
    assert (told.error, told.description) == ("invalid_scope", "no …")


def test_a_code_that_is_known_is_told_whatever_the_token_looks_like() -> None:
    request = RefreshTokenRequest(refresh_token="refresh_token_reused_or_not")
    told = refusal(request, answer("400 Bad", b'{"error": "refresh_token_reused"}'))
    assert told.error == "refresh_token_reused"


def test_the_sender_of_a_page_is_told_without_secrets() -> None:
    page = answer("200 OK", b"<html>", f"Server: a {REFRESH.refresh_token}")
    with serving(page) as server:
        outcome = ask(server.endpoint)
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason == "a page came instead of an answer (status 200, server: a …"


def test_a_redirect_is_told_with_its_place_and_without_secrets() -> None:
    place = f"https://other.example/{quote_plus(REFRESH.refresh_token)}/token?x=1"
    told = refusal(REFRESH, answer("308 Gone", b"", f"Location: {place}"))
    assert told.description == "a redirect to …"
    told = refusal(REFRESH, answer("308 Gone", b"", "Location: https://other.example/token?x=1"))
    assert told.description == "a redirect to other.example/token"

"""The codes and texts of a refusal, at any place in it; pages and redirects."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from adapters.token_response import read_answer
from domain.error_meanings import Meaning, meaning_of
from domain.providers.custom import PROVIDER as CUSTOM
from domain.token_endpoint import Delivery, NoAnswer, TokenErrorResponse, TokenResponse
from tests.domain.error_responses import Row, corpus
from tests.presets import preset_named


def read(
    body: object, status: int = 400, headers: dict[str, str] | None = None, location: str = ""
) -> TokenErrorResponse:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = httpx.Response(status, headers=headers, extensions={"location": location})
    outcome = read_answer(response, text, CUSTOM)
    assert isinstance(outcome, TokenErrorResponse), outcome
    return outcome


@pytest.mark.parametrize("row", corpus(), ids=lambda row: f"{row.provider}-{row.verdict.value}")
def test_each_refusal_of_the_corpus_is_read(row: Row) -> None:
    headers = dict(row.headers)
    response = httpx.Response(
        row.status, extensions={"location": headers.pop("location", None)}, headers=headers
    )
    outcome = read_answer(response, row.body, preset_named(row.preset))
    assert isinstance(outcome, TokenErrorResponse), outcome
    assert meaning_of(outcome) is row.verdict, row.source


@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_grant"},
        {"errorCode": "invalid_grant"},
        {"Error_Code": "invalid_grant"},
        {"error-code": "INVALID_GRANT"},
        {"error": {"code": "invalid_grant"}},
        {"errors": [{"x": 1}, {"errorType": "invalid_grant"}]},
        {"fault": {"detail": {"errorcode": "oauth.v2.InvalidGrant"}}},
        {"error": '{"error": "invalid_grant"}'},
        {"message": 'upstream said {"error":"invalid_grant"}'},
        {"error": "bad", "message": '400: "{\\"error\\":\\"invalid_grant\\"}"'},
        {"status": "INVALID_GRANT", "message": "no"},
        [{"errorCode": "invalid_grant"}],
        {"error": "request_failed", "suberror": "login_required"},
        {"error": 400, "code": "login_required"},
    ],
    ids=json.dumps,
)
def test_a_code_is_found_wherever_it_stands(body: object) -> None:
    assert meaning_of(read(body)) is Meaning.DEAD


@pytest.mark.parametrize(
    ("body", "error", "description"),
    [
        ({"error": "a", "error_description": "b c"}, "a", "b c"),
        ({"error": "a"}, "a", None),
        ({"error": "two words"}, None, "two words"),
        ({"error": {"code": "a", "type": "b", "message": "c d"}}, "a", "c d"),
        ({"status": "error", "message": "Bad Request"}, None, "Bad Request"),
        ({"error_codes": [700082, True, -1, 10**12, "x"], "error": "a"}, "a", None),
        ({"error": "a", "msg": "\ud800", "detail": "b c"}, "a", "b c"),
    ],
)
def test_the_first_code_and_the_first_text_are_returned(
    body: object, error: str | None, description: str | None
) -> None:
    found = read(body)
    assert (found.error, found.description) == (error, description)


def test_entras_numbers_are_codes() -> None:
    assert read({"error_codes": [700082, True, -1, 10**12]}).error == "AADSTS700082"


def nested(depth: int) -> Any:
    body: Any = {"error": "invalid_grant"}
    for _ in range(depth):
        body = {"error": body}
    return body


def test_too_deep_and_too_many_members_are_ignored() -> None:
    assert read(nested(3)).error == "invalid_grant"
    assert read(nested(900)).error is None
    wide = {"errors": [{"x": n} for n in range(5_000)]}
    assert read(wide) == TokenErrorResponse(status=400, error=None)
    many = read({"errors": [f"text {n}" for n in range(500)]})
    assert len(many.more_texts) < 20
    assert len(read({"message": "x " * 5_000}).description or "") <= 2_000


DEAD, TRY_LATER, UNEXPLAINED = Meaning.DEAD, Meaning.TRY_LATER, Meaning.UNEXPLAINED
INVALID = [{"resource": "RefreshToken", "field": "refresh_token", "code": "invalid"}]
# Responses for a refresh token that is no longer valid, by providers that do not call it
# `invalid_grant`; and others that resemble them. With the aliases that a preset declares.
UNUSUAL: list[tuple[str, int, object, dict[str, str], Meaning]] = [
    ("GitHub", 200, {"error": "bad_refresh_token"}, {}, DEAD),
    ("Slack", 200, {"ok": False, "error": "invalid_refresh_token"}, {}, DEAD),
    ("Slack, revoked", 200, {"ok": False, "error": "token_revoked"}, {}, DEAD),
    ("Slack, expired", 200, {"ok": False, "error": "token_expired"}, {}, DEAD),
    ("HubSpot", 400, {"status": "BAD_REFRESH_TOKEN", "message": "missing"}, {}, DEAD),
    (
        "X",
        400,
        {
            "error": "invalid_request",
            "error_description": "Value passed for the token was invalid.",
        },
        {},
        DEAD,
    ),
    ("Tesla", 401, {"error": "login_required"}, {}, DEAD),
    ("Twitch", 400, {"error": "Bad Request", "message": "Invalid refresh token"}, {}, DEAD),
    (
        "Twitch, too many",
        400,
        {"status": 400, "message": "refresh token already has 50 valid access tokens"},
        {},
        UNEXPLAINED,
    ),
    ("Zoho", 200, {"error": "invalid_code"}, {}, DEAD),
    (
        "Withings, by its text",
        200,
        {"status": 503, "error": "Invalid Params: invalid refresh_token", "body": {}},
        {},
        DEAD,
    ),
    ("Withings, by its number", 200, {"status": 277, "body": {}}, {"277": "invalid_grant"}, DEAD),
    (
        "Withings, another number",
        200,
        {"status": 601, "error": "Too Many Requests", "body": {}},
        {"277": "invalid_grant"},
        TRY_LATER,
    ),
    ("Strava", 400, {"message": "Bad Request", "errors": INVALID}, {}, DEAD),
    ("Reddit", 400, {"error": 400, "message": "Bad Request"}, {"400": "invalid_grant"}, DEAD),
    ("Reddit, without alias", 400, {"error": 400, "message": "Bad Request"}, {}, UNEXPLAINED),
    ("Reddit, standard", 200, {"error": "invalid_grant"}, {}, DEAD),
    ("Pinterest", 401, {"code": 283, "message": "Refused"}, {"283": "invalid_grant"}, DEAD),
    (
        "ClickUp",
        401,
        {"err": "Token invalid", "ECODE": "OAUTH_025"},
        {"oauth_025": "invalid_grant"},
        DEAD,
    ),
    (
        "Figma",
        403,
        {"error": True, "status": 403, "message": "Invalid token"},
        {"invalid token": "invalid_grant"},
        DEAD,
    ),
    (
        "Facebook",
        400,
        {"error": {"message": "The session has expired", "type": "OAuthException", "code": 190}},
        {"190": "invalid_grant"},
        DEAD,
    ),
    ("Auth0", 403, {"error": "invalid_grant"}, {}, DEAD),
    ("a truth value", 400, {"error": True}, {"true": "invalid_grant"}, UNEXPLAINED),
    ("next to a success", 200, {"status": 277, "msg": "ok"}, {"277": "invalid_grant"}, DEAD),
]


@pytest.mark.parametrize(
    ("status", "body", "aliases", "meaning"),
    [pytest.param(*row, id=name) for name, *row in UNUSUAL],
)
def test_each_refusal_in_a_providers_own_words_is_understood(
    status: int, body: object, aliases: dict[str, str], meaning: Meaning
) -> None:
    provider = replace(CUSTOM, error_aliases=aliases)
    outcome = read_answer(httpx.Response(status), json.dumps(body).encode(), provider)
    assert isinstance(outcome, TokenErrorResponse), outcome
    assert meaning_of(outcome) is meaning


def test_a_number_does_not_turn_tokens_into_an_error() -> None:
    provider = replace(CUSTOM, error_aliases={"0": "invalid_grant"})
    body = b'{"status": 0, "body": {"access_token": "a"}}'
    assert isinstance(read_answer(httpx.Response(200), body, provider), TokenResponse)


# Pages


PAGE = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"


@pytest.mark.parametrize("body", [PAGE, b"\xef\xbb\xbf \n<HTML>", b"anything"])
def test_a_page_is_described_by_its_status_and_its_sender(body: bytes) -> None:
    headers = {"server": "cloudflare", "cf-mitigated": "challenge"}
    content_type = {} if body[:1] != b"a" else {"content-type": "text/html; charset=utf-8"}
    found = read(body, 403, {**headers, **content_type})
    assert found.description == (
        "a page came instead of an answer (status 403, server: cloudflare, cf-mitigated: challenge)"
    )
    assert (found.error, found.is_page, meaning_of(found)) == (None, True, Meaning.TRY_LATER)


def test_json_with_the_content_type_of_a_page_is_json() -> None:
    found = read({"error": "invalid_grant"}, headers={"content-type": "text/html"})
    assert not found.is_page
    assert meaning_of(found) is Meaning.DEAD


def test_a_page_with_a_status_of_success_leaves_the_outcome_unknown() -> None:
    response = httpx.Response(200, headers={"server": "portal\x07" + "x" * 200})
    outcome = read_answer(response, PAGE, CUSTOM)
    assert isinstance(outcome, NoAnswer)
    assert outcome.delivery is Delivery.UNKNOWN
    assert outcome.reason.startswith("a page came instead of an answer (status 200, server: portal")
    assert outcome.reason.isprintable()
    assert len(outcome.reason) < 200


# Redirects


@pytest.mark.parametrize(
    ("location", "found"),
    [
        ("https://login.example/token?client_secret=s#f", "a redirect to login.example/token"),
        ("https://user:secret@login.example:8443/t", "a redirect to login.example:8443/t"),
        ("/o/token/", "a redirect to /o/token/"),
        ("//other.example/", "a redirect to other.example/"),
        ("", "a redirect"),
        ("http://[::1", "a redirect"),
        ("https://a.example:port/", "a redirect"),
        ("?code=x", "a redirect"),
    ],
)
def test_a_redirect_is_described_by_its_target_without_a_query(location: str, found: str) -> None:
    for status in (301, 302, 307, 308):
        answer = read(b"", status, location=location)
        assert answer.description == found
        assert meaning_of(answer) is Meaning.CONFIGURATION


@pytest.mark.parametrize("location", ["https://a.example/\r\n\x1b[2J", "https://é.example/" * 90])
def test_an_odd_location_is_described_in_few_plain_characters(location: str) -> None:
    found = read(b"", 301, location=location).description or ""
    assert found.isascii()
    assert found.isprintable()
    assert len(found) < 200

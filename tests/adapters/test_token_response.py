"""The parser of token responses reads every unambiguous one, and no other."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.lifetimes import LONGEST_LIFETIME
from adapters.token_response import read_answer
from domain.provider import GrantType, Provider
from domain.providers.digikey import PROVIDER as DIGIKEY
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    TokenErrorResponse,
    TokenResponse,
)
from domain.wire_format import WireFormat
from tests.strategies import json_values
from tests.thorough import times

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
GOOD: dict[str, Any] = {"access_token": "access", "token_type": "Bearer", "expires_in": 1799}
MISSING = ...
ODD: list[object] = [MISSING, None, "", 5, []]


def read(
    body: object,
    status: int = 200,
    content_type: str = JSON,
    headers: dict[str, str] | None = None,
    provider: Provider = DIGIKEY,
) -> Outcome:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {"content-type": content_type, **(headers or {})}
    return read_answer(httpx.Response(status, headers=all_headers), text, provider)


def good_with(name: str, value: object) -> dict[str, Any]:
    members = {**GOOD, name: value}
    return {name: value for name, value in members.items() if value is not MISSING}


def tokens_of(outcome: Outcome) -> TokenResponse:
    assert isinstance(outcome, TokenResponse), outcome
    return outcome


def error_of(outcome: Outcome) -> TokenErrorResponse:
    assert isinstance(outcome, TokenErrorResponse), outcome
    return outcome


def is_unknown(outcome: Outcome) -> bool:
    return isinstance(outcome, NoAnswer) and outcome.delivery is Delivery.UNKNOWN


@pytest.mark.parametrize(
    ("grant_type", "seconds"),
    [(GrantType.AUTHORIZATION_CODE, 1_800_000), (GrantType.CLIENT_CREDENTIALS, 1_800)],
)
def test_milliseconds_are_recognised_where_the_token_can_be_replaced(
    grant_type: GrantType, seconds: int
) -> None:
    provider = replace(DIGIKEY, grant_type=grant_type)
    found = tokens_of(read({**GOOD, "expires_in": 1_800_000}, provider=provider))
    assert found.expires_in == timedelta(seconds=seconds)


def test_digikeys_answer_is_understood_in_full() -> None:
    body = {**GOOD, "refresh_token": "refresh", "refresh_token_expires_in": 7775999}
    assert read(body) == TokenResponse(
        access_token="access",
        token_type="Bearer",
        expires_in=timedelta(seconds=1799),
        refresh_token="refresh",
        refresh_token_expires_in=timedelta(seconds=7775999),
        scope=None,
    )


SECONDS = [
    (1799, 1799),
    ("1799", 1799),
    (" 1799 ", 1799),
    (1799.0, 1799),
    (0.5, 0.5),
    (1e-10, None),
    ("1e-300", None),
    (MISSING, None),
    (None, None),
    (-1, None),
    ("-1", None),
    (0, None),
    ("0", None),
    (float("nan"), None),
    ("NaN", None),
    (float("inf"), None),
    ("Infinity", None),
    (True, None),
    (False, None),
    ("1h", None),
    ("", None),
    ([], None),
    ([1799], None),
    ({}, None),
    (10**12, LONGEST_LIFETIME.total_seconds()),
    (10**300, LONGEST_LIFETIME.total_seconds()),
    (1e300, LONGEST_LIFETIME.total_seconds()),
]


@pytest.mark.parametrize(
    "name",
    [
        "expires_in",
        *("refresh_token_expires_in", "x_refresh_token_expires_in", "refresh_expires_in"),
    ],
)
@pytest.mark.parametrize(("value", "seconds"), SECONDS, ids=[repr(value) for value, _ in SECONDS])
def test_checklist_30_a_lifetime_is_a_number_above_zero_or_the_text_of_one(
    name: str, value: object, seconds: float | None
) -> None:
    tokens = tokens_of(read(good_with(name, value)))
    found = tokens.expires_in if name == "expires_in" else tokens.refresh_token_expires_in
    assert found == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400, "NaN", "Infinity"])
def test_checklist_30_a_lifetime_beyond_all_numbers_costs_no_token(number: str) -> None:
    body = f'{{"access_token": "access", "token_type": "Bearer", "expires_in": {number}}}'
    assert tokens_of(read(body.encode())).access_token == "access"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        *((value, "Bearer") for value in (MISSING, "bearer", "Bearer", "BEARER", "BearerToken")),
        *((value, "Bearer") for value in ("bearertoken", None, "", 5, "Bearer\r\nX:")),
        *((value, value) for value in ("bot", "User Access Token", "N_A")),
    ],
)
def test_checklist_29_a_token_type_that_is_missing_or_bearer_by_any_name_is_bearer(
    value: object, kept: str
) -> None:
    assert tokens_of(read(good_with("token_type", value))).token_type == kept


@pytest.mark.parametrize("value", ["mac", "MAC", "DPoP"])
def test_checklist_29_tokens_that_want_proofs_are_not_taken_for_bearer_tokens(value: str) -> None:
    assert is_unknown(read(good_with("token_type", value)))


@pytest.mark.parametrize(
    "value", ["a\nBASH_ENV=b", "a\r\nx: y", "a\0", "\x1b[2J", "a\x7f", "\x9b2J"]
)
def test_checklist_37_a_token_with_a_control_character_is_refused(value: str) -> None:
    assert is_unknown(read(good_with("access_token", value)))
    assert is_unknown(read(urlencode({"access_token": value}).encode(), content_type=FORM))


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        *(("access_token", value, value) for value in ("a b", "a~!", "жетон", "=" * 10)),
        *(("access_token", value, "access") for value in ("access\n", "access\r\n", " access ")),
        ("access_token", "\taccess", "access"),
        ("refresh_token", "refresh", "refresh"),
        *(("refresh_token", value, None) for value in ODD),
        ("scope", "read write", "read write"),
        ("scope", ["read", "write"], "read write"),
        *(("scope", value, None) for value in (*ODD, [5], {})),
    ],
)
def test_checklist_37_a_text_is_kept_and_any_other_value_ignored(
    name: str, value: object, kept: str | None
) -> None:
    assert getattr(tokens_of(read(good_with(name, value))), name) == kept


@pytest.mark.parametrize("value", [MISSING, None, "", 5, True, [], ["access"], {}])
def test_checklist_24_a_success_without_an_access_token_leaves_the_outcome_unknown(
    value: object,
) -> None:
    assert is_unknown(read(good_with("access_token", value)))


@pytest.mark.parametrize(
    "body", [{"result": "0000", "message": "OK"}, {"code": 0, "msg": "success"}, {"status": "ok"}]
)
def test_a_bare_success_leaves_the_outcome_unknown(body: object) -> None:
    assert is_unknown(read(body))


@pytest.mark.parametrize(
    "body",
    [
        {"errcode": 61023, "errmsg": "refresh_token is invalid"},
        {"code": 20026, "msg": "refresh_token is invalid"},
        {"code": 36004004, "message": "refresh_token is invalid", "data": {}},
    ],
)
def test_an_error_text_without_tokens_is_a_refusal_with_any_status(body: object) -> None:
    found = error_of(read(body))
    assert (found.description, found.status) == ("refresh_token is invalid", 200)


@pytest.mark.parametrize("text", ["error: token is expired by 23m58s", "Error: no such client"])
def test_an_error_in_the_place_of_a_token_is_a_refusal(text: str) -> None:
    error_of(read(good_with("access_token", text)))
    kept = tokens_of(read({**GOOD, "access_token": text, "refresh_token": "refresh"}))
    assert kept.refresh_token == "refresh"


@pytest.mark.parametrize("inside", [False, True])
def test_names_may_be_in_camel_case(inside: bool) -> None:  # noqa: FBT001
    body = {"accessToken": "a b", "RefreshToken": "refresh", "expireIn": 60, "tokenType": "bearer"}
    found = tokens_of(read({"data": body} if inside else body))
    assert (found.access_token, found.refresh_token, found.token_type) == (
        "a b",
        "refresh",
        "Bearer",
    )
    assert found.expires_in == timedelta(minutes=1)


def test_checklist_28_37_long_tokens_and_unknown_fields_are_accepted() -> None:
    body = {"id_token": "x", "nested": {"a": [1]}, **GOOD}
    long = {"access_token": "a" * 8192, "refresh_token": "r" * 8192}
    tokens = tokens_of(read({**body, **long}))
    assert (tokens.access_token, tokens.refresh_token) == ("a" * 8192, "r" * 8192)


@pytest.mark.parametrize("name", ["scope", "token_type", "refresh_token", "added"])
def test_half_a_character_in_another_member_costs_no_access_token(name: str) -> None:
    outcome = read(
        b'{"access_token": "access", "expires_in": 1799, "%s": "\\ud800"}' % name.encode()
    )
    assert tokens_of(outcome).access_token == "access"


# Bodies


@pytest.mark.parametrize(
    "content_type", [FORM, f"{FORM}; charset=utf-8", f"{FORM.upper()} ;charset=UTF-8"]
)
def test_checklist_26_a_form_is_understood_by_its_content_type(content_type: str) -> None:
    form = {**GOOD, "scope": "read write", "refresh_token": "a+b%/é"}
    tokens = tokens_of(read(urlencode(form).encode(), content_type=content_type))
    assert tokens.access_token == "access"
    assert tokens.expires_in == timedelta(seconds=1799)
    assert tokens.scope == "read write"
    assert tokens.refresh_token == "a+b%/é"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"name":"José",ACCESS,REFRESH}'.encode("latin-1")),
        ("application/json", b'{"name":"two\nlines\t",ACCESS,REFRESH}'),
        (FORM, b"access_token=access&refresh_token=refresh\r\n"),
        (FORM, b"access_token=access&&refresh_token=refresh&"),
        (FORM, "name=José&access_token=access&refresh_token=refresh".encode()),
        (FORM, b"name=Jos\xe9&x=%e9&access_token=access&refresh_token=refresh"),
    ],
    ids=repr,
)
def test_tokens_are_read_next_to_odd_members(content_type: str, body: bytes) -> None:
    body = body.replace(b"ACCESS", b'"access_token":"access"')
    body = body.replace(b"REFRESH", b'"refresh_token":"refresh"')
    tokens = tokens_of(read(body, content_type=content_type))
    assert (tokens.access_token, tokens.refresh_token) == ("access", "refresh")


WRAPPED = WireFormat(tokens_at="authed_user")
BOT = {"access_token": "bot", "refresh_token": "of the bot", "expires_in": 60, "scope": "bot"}
RENAMED = WireFormat(
    response_names={"access_token": "token", "expires_in": "validFor", "scope": "scopes"}
)


SWAPPED = WireFormat(
    tokens_at="error",
    response_names={"access_token": "scope", "refresh_token": "expires_in", "scope": ""},
)


@pytest.mark.parametrize(
    ("wire", "members", "expected"),
    [
        pytest.param(
            WRAPPED,
            {"ok": True, **BOT, "authed_user": {**GOOD, "token_type": "user"}},
            ("access", None, 1799, None),
            id="Slack's user token",
        ),
        pytest.param(WRAPPED, BOT, ("bot", "of the bot", 60, "bot"), id="Slack's refresh"),
        pytest.param(
            WireFormat(tokens_at="data.tokens"),
            {**BOT, "data": {"tokens": {"accessToken": "inner", "refreshToken": "r"}}},
            ("inner", "r", None, None),
            id="nested twice, in camel case",
        ),
        pytest.param(
            RENAMED,
            {"token": "t", "valid_for": 1, "validFor": 60, "scopes": ["a", "b"]},
            ("t", None, 60, "a b"),
            id="other names",
        ),
        pytest.param(RENAMED, GOOD, ("access", None, 1799, None), id="other names, not used"),
        pytest.param(
            WireFormat(response_names={"refresh_token": "", "expires_in": ""}),
            {**BOT, "expires_at": "2100-01-01T00:00:00Z"},
            ("bot", None, LONGEST_LIFETIME.total_seconds(), "bot"),
            id="ignored members",
        ),
        pytest.param(
            WireFormat(tokens_at="result", response_names={"access_token": "key"}),
            {"access_token": "outer", "result": {"key": "inner"}},
            ("inner", None, None, None),
            id="other names inside",
        ),
    ],
)
def test_tokens_are_found_where_the_provider_has_them(
    wire: WireFormat, members: dict[str, Any], expected: tuple[object, ...]
) -> None:
    found = tokens_of(read(members, provider=replace(DIGIKEY, wire=wire)))
    life = None if found.expires_in is None else found.expires_in.total_seconds()
    assert (found.access_token, found.refresh_token, life, found.scope) == expected


def test_tokens_for_another_purpose_are_not_taken() -> None:
    body = {"ok": True, **BOT, "authed_user": {"id": "U1"}}
    assert is_unknown(read(body, provider=replace(DIGIKEY, wire=WRAPPED)))


@pytest.mark.parametrize("outer", [{"ok": False}, {"error": "invalid_grant"}, {"errorCode": "E"}])
def test_an_error_outside_of_the_tokens_is_an_error(outer: dict[str, object]) -> None:
    body = {**outer, "authed_user": {"id": "U1"}}
    error_of(read(body, provider=replace(DIGIKEY, wire=WRAPPED)))


def test_a_form_may_refuse_with_status_200() -> None:
    form = {"error": "invalid_grant", "error_description": "The refresh token has expired"}
    error = error_of(read(urlencode(form).encode(), content_type=FORM))
    assert (error.error, error.description) == ("invalid_grant", "The refresh token has expired")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "text/html", "application/json;x", JSON, FORM]
)
def test_json_and_forms_are_read_with_any_content_type(content_type: str) -> None:
    assert tokens_of(read(GOOD, content_type=content_type)).access_token == "access"
    tokens = tokens_of(read(urlencode(GOOD).encode(), content_type=content_type))
    assert (tokens.access_token, tokens.expires_in) == ("access", timedelta(seconds=1799))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\xef\xbb\xbf", b""),
        (b"\xef\xbb\xbf\xef\xbb\xbf\r\n", b"\0"),
        (b")]}'\n", b""),
        (b")]}',\n", b""),
        (b"while(1);", b""),
        (b"for (;;);".replace(b" ", b""), b""),
        (b"\r\n", b"<!-- 12 ms -->"),
        (b"callback( ", b" );\n"),
    ],
    ids=repr,
)
def test_tokens_are_read_with_other_bytes_around_the_object(before: bytes, after: bytes) -> None:
    assert tokens_of(read(before + json.dumps(GOOD).encode() + after)).access_token == "access"


@pytest.mark.parametrize(
    "member",
    [
        b'"added": ' + b"9" * 5_000,
        b'"added": -' + b"9" * 5_000,
        b'"expires_in": ' + b"9" * 5_000,
        b'"added": 1e999',
        b'"added": -Infinity',
        b'"added": "\\ud800"',
        b'"added": ' + b"[" * 20_000 + b"]" * 20_000,
        b'"added": ' + b'{"a":' * 8_000 + b'"]}"' + b"}" * 8_000,
        b'"added": 1, "added": 2',
    ],
    ids=lambda member: repr(member[:24]),
)
def test_tokens_are_read_next_to_an_unreadable_member(member: bytes) -> None:
    tokens = b'"access_token": "access", "refresh_token": "refresh"'
    for body in (b"{%s, %s}" % (tokens, member), b"{%s, %s}" % (member, tokens)):
        found = tokens_of(read(body))
        assert (found.access_token, found.refresh_token) == ("access", "refresh")


@pytest.mark.parametrize("name", ["authed_user", "body", "data"])
def test_tokens_a_level_deeper_are_found(name: str) -> None:
    tokens = {**GOOD, "refresh_token": "refresh"}
    found = tokens_of(read({"ok": True, "status": 0, "team": {"id": "T1"}, name: tokens}))
    assert (found.access_token, found.refresh_token) == ("access", "refresh")
    assert found.expires_in == timedelta(seconds=1799)


def test_tokens_on_top_win_over_those_below_and_of_several_below_none_is_taken() -> None:
    below = {"access_token": "below", "expires_in": 5}
    assert tokens_of(read({**GOOD, "authed_user": below})).access_token == "access"
    assert is_unknown(read({"bot": below, "authed_user": below}))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"true",
        b"5",
        b'"access_token"',
        b"[]",
        b'[{"access_token": "access"}]',
        b'{"access_token": "acc',
        b"<html><body>Access</body></html>",
        b'{"access_token": "\xff\xfe"}',
        b"\xff\xfe\x00",
        b"[" * 60_000,
        b'{"a":' * 10_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_checklist_27_a_success_that_cannot_be_read_leaves_the_outcome_unknown(body: bytes) -> None:
    assert is_unknown(read(body))


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"a=b&c", b"access_token=\xff", b"access_token=%ff", b"=x", b"&&"]
)
def test_a_form_that_cannot_be_read_leaves_the_outcome_unknown(body: bytes) -> None:
    assert is_unknown(read(body, content_type=FORM))


@pytest.mark.parametrize("status", [502, 504])
@pytest.mark.parametrize("body", [b"", b"<html>", json.dumps({"error": "invalid_grant"}).encode()])
def test_a_gateways_answer_leaves_the_outcome_unknown(status: int, body: bytes) -> None:
    assert is_unknown(read(body, status=status))


# Errors


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429, 500, 503])
def test_an_oauth_error_is_returned_with_its_status(status: int) -> None:
    body = {"error": "invalid_grant", "error_description": "expired"}
    assert read(body, status=status) == TokenErrorResponse(
        status=status, error="invalid_grant", description="expired"
    )


@pytest.mark.parametrize(
    ("error", "body"),
    [
        pytest.param(
            "invalid_client",
            {
                "ErrorResponseVersion": "3.0.0.0",
                "StatusCode": 401,
                "RequestId": "5c9e",
                "ErrorMessage": "Invalid clientId",
                "ErrorDetails": "The clientId is not known.",
                "ValidationErrors": [],
            },
            id="v3",
        ),
        pytest.param(
            None,
            {"ErrorMessage": "Bad Request", "ErrorDetails": "Invalid Refresh Token"},
            id="v3-refresh",
        ),
        pytest.param(
            "invalid_request",
            {"ErrorCode": "invalid_request", "Error": "Refresh token expired"},
            id="code",
        ),
        pytest.param(
            "invalid_grant", {"error": "invalid_grant", "error_description": "expired"}, id="oauth"
        ),
        pytest.param(
            "Unauthorized",
            {
                "type": "about:blank",
                "title": "Unauthorized",
                "status": 401,
                "detail": "Bearer token is expired",
                "correlationId": "5c9e",
            },
            id="problem",
        ),
    ],
)
def test_checklist_43_each_of_digikeys_error_shapes_is_understood(
    error: str | None, body: dict[str, Any]
) -> None:
    found = error_of(read(body, status=400))
    assert found.error == error
    assert found.description in {text for text in body.values() if isinstance(text, str)}


@pytest.mark.parametrize("body", [{"ok": False}, {"ok": False, "error": "invalid_auth"}])
def test_checklist_25_a_success_with_ok_false_is_an_error(body: dict[str, Any]) -> None:
    outcome = read({**body, "access_token": "access"})
    assert error_of(outcome).error == body.get("error")


@pytest.mark.parametrize(
    "members", [{"error": None}, {"error": ""}, {"error": False}, {"ok": True}]
)
def test_tokens_are_read_next_to_an_empty_error(members: dict[str, object]) -> None:
    assert tokens_of(read({**GOOD, **members})).access_token == "access"


@pytest.mark.parametrize("odd", [{}, [], 5, None, True, "", {"x": "invalid_grant"}], ids=repr)
@pytest.mark.parametrize("status", [400, 401, 500])
def test_an_error_of_an_odd_type_explains_nothing(odd: object, status: int) -> None:
    body = {"error": odd, "error_description": odd, "ErrorCode": odd, "ErrorMessage": odd}
    assert read(body, status=status) == TokenErrorResponse(status=status, error=None)
    assert not isinstance(read(body), TokenResponse)


@pytest.mark.parametrize("odd", [{}, [], 5, None, True, ""], ids=repr)
def test_a_description_of_an_odd_type_does_not_hide_the_error(odd: object) -> None:
    body = {"error": "invalid_grant", "error_description": odd}
    assert error_of(read(body, status=400)).error == "invalid_grant"


@pytest.mark.parametrize("code", ["two words", "x" * 65, "<script>", "a\nb", "é"])
def test_an_error_that_is_not_a_code_is_a_description(code: str) -> None:
    found = error_of(read({"error": code}, status=400))
    assert (found.error, found.description) == (None, code)


@pytest.mark.parametrize("body", [b"", b"<a/>", b"[]", b"\xff", b"[" * 60_000, b'"a"', b"[1"])
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_checklist_42_an_error_that_cannot_be_read_explains_nothing(
    body: bytes, status: int
) -> None:
    assert read(body, status=status) == TokenErrorResponse(status=status, error=None)


# Retry-After


DATE = "Sun, 01 Mar 2026 12:00:00 GMT"
WAITS = [
    ("120", timedelta(seconds=120)),
    (" 120 ", timedelta(seconds=120)),
    ("Sun, 01 Mar 2026 12:02:00 GMT", timedelta(seconds=120)),
    ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta(0)),
    ("-1", None),
    ("1.5", None),
    ("soon", None),
    ("", None),
    ("٣", None),
]


@pytest.mark.parametrize("status", [400, 429, 503])
@pytest.mark.parametrize(("text", "wait"), WAITS, ids=[text for text, _ in WAITS])
def test_checklist_41_retry_after_is_seconds_or_a_date_against_the_answers_own(
    status: int, text: str, wait: timedelta | None
) -> None:
    headers = httpx.Headers({"date": DATE, "retry-after": text}, encoding="utf-8")
    response = httpx.Response(status, headers=headers)
    assert error_of(read_answer(response, b"", DIGIKEY)).retry_after == wait


@pytest.mark.parametrize(
    "text",
    [
        "9" * 30,
        "9" * 400,
        "9" * 5_000,
        "Sun, 01 Mar 99999999999999999999 12:00:00 GMT",
        "Sun, 01 Mar 2026 99999999999999999999:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00 +99999999999999999999",
        "Sun, 01 Mar 2026 12:00:00 -0000",
        "Sun, 31 Feb 2026 12:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2359",
    ],
    ids=lambda text: text[:48],
)
@pytest.mark.parametrize("date", [DATE, "", "never", "Sun, 01 Mar 2026 12:00:00 -0000"])
def test_no_retry_after_is_too_strange(text: str, date: str) -> None:
    error = error_of(read({}, status=503, headers={"retry-after": text, "date": date}))
    assert error.retry_after is None or error.retry_after >= timedelta(0)


def test_a_date_means_nothing_without_the_answers_own_date() -> None:
    assert error_of(read({}, status=503, headers={"retry-after": DATE})).retry_after is None


# Random responses


dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Sun", "x", ""]),
    st.integers(-1, 10**20),
    st.sampled_from(["Mar", "mar", "x", ""]),
    st.integers(-1, 10**20),
    st.integers(-1, 10**20),
    st.integers(0, 70),
    st.integers(0, 70),
    st.sampled_from(["GMT", "-0000", "+9999", "EST", ""]) | st.integers(-(10**20), 10**20).map(str),
)
header_values = (
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    | st.integers().map(str)
    | dates
)
bodies = (
    st.binary()
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries(
        {},
        optional={
            name: json_values | st.text() | st.floats() | st.integers()
            for name in (
                *("access_token", "token_type", "expires_in", "refresh_token", "scope"),
                *("refresh_token_expires_in", "error", "error_description", "ok", "ErrorCode"),
            )
        },
    ).map(lambda members: json.dumps(members).encode())
    | st.dictionaries(st.sampled_from(["access_token", "expires_in", "error", "x"]), st.text()).map(
        lambda form: urlencode(form).encode()
    )
)


@settings(max_examples=times(500))
@given(
    body=bodies,
    status=st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 429, 500, 503])
    | st.integers(200, 599),
    content_type=st.sampled_from([JSON, FORM, ""]) | header_values,
    retry_after=header_values,
    date=st.just(DATE) | header_values,
    wire=st.sampled_from([None, WireFormat(tokens_at="x.error"), RENAMED, SWAPPED]),
)
@example(
    body=b"{}",
    status=503,
    content_type=JSON,
    retry_after="Sun, 01 Mar 99999999999999999999 12:00:00 GMT",
    date=DATE,
    wire=None,
)
def test_any_response_is_an_outcome_and_never_an_empty_token(
    *,
    body: bytes,
    status: int,
    content_type: str,
    retry_after: str,
    date: str,
    wire: WireFormat | None,
) -> None:
    headers = {"retry-after": retry_after, "date": date}
    provider = replace(DIGIKEY, wire=wire, error_aliases={"1": "invalid_grant"})
    outcome = read(
        body, status=status, content_type=content_type, headers=headers, provider=provider
    )
    if isinstance(outcome, TokenResponse):
        assert outcome.access_token
        assert outcome.token_type.strip().lower() not in {"", "mac", "dpop"}
        assert outcome.refresh_token != ""
        assert outcome.expires_in is None or outcome.expires_in > timedelta(0)
        assert 200 <= status <= 299

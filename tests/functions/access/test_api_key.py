"""The API key: in a header, whole and alone."""

import base64

import pytest

from tests.functions.deployment import API_KEY, WITH_API_KEY, Deployment, Header, at
from tests.functions.expect import expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host

CHALLENGE = 'Bearer realm="oauth-callback"'
BASIC = base64.b64encode(f":{API_KEY}".encode()).decode()

ACCEPTED: dict[str, list[Header]] = {
    "x-api-key": [("x-api-key", API_KEY)],
    "the header in capitals": [("X-API-KEY", API_KEY)],
    "bearer": [("authorization", f"Bearer {API_KEY}")],
    "bearer in small letters": [("authorization", f"bearer {API_KEY}")],
    "basic": [("authorization", f"Basic {BASIC}")],
    "basic in small letters": [("authorization", f"basic {BASIC}")],
    "basic of somebody else": [
        ("x-api-key", API_KEY),
        ("authorization", f"Basic {base64.b64encode(b'me:another').decode()}"),
    ],
    "malformed basic": [("x-api-key", API_KEY), ("authorization", "Basic ?")],
    "both": [("x-api-key", API_KEY), ("authorization", f"Bearer {API_KEY}")],
}
MISSING: dict[str, list[Header]] = {
    "no header": [],
    "the key as a scheme": [("authorization", API_KEY)],
    "another scheme": [("authorization", f"Token {API_KEY}")],
    "a cookie": [("cookie", f"x-api-key={API_KEY}; api_key={API_KEY}")],
}
WRONG: dict[str, list[Header]] = {
    "another": [("x-api-key", "another")],
    "bearer": [("authorization", "Bearer another")],
    "a prefix": [("x-api-key", API_KEY[:-1])],
    "one character": [("x-api-key", API_KEY[:1])],
    "more than it": [("x-api-key", API_KEY + "x")],
    "capitals": [("x-api-key", API_KEY.upper())],
    "twice in one": [("x-api-key", f"{API_KEY}, {API_KEY}")],
    "non-ASCII bytes": [(b"x-api-key", b"\xff\xfe\x80")],
    "non-ASCII text": [("x-api-key", "ключ")],
    "bearer of non-ASCII bytes": [(b"authorization", b"Bearer \xc3\x28")],
    "8000 characters": [("x-api-key", API_KEY * 267)],
    "right, then wrong": [("x-api-key", API_KEY), ("authorization", "Bearer another")],
    "wrong, then right": [("x-api-key", "another"), ("authorization", f"Bearer {API_KEY}")],
    "right and wrong of one name": [("x-api-key", API_KEY), ("x-api-key", "another")],
    "right and empty": [("x-api-key", API_KEY), ("authorization", "Bearer")],
}
EMPTY: dict[str, list[Header]] = {
    "x-api-key": [("x-api-key", "")],
    "bearer": [("authorization", "Bearer")],
    "authorization": [("authorization", "")],
}
IN_THE_URL = ["api_key", "x-api-key", "key", "API_KEY", "access_token", "authorization"]


@on_each_host
@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
def test_key_is_accepted_in_either_header(
    deployment: Deployment, connection: str, headers: list[Header]
) -> None:
    deployment.put(connection, fresh())
    expect_token(deployment.call("GET", at("/api/token", connection=connection), *headers))


@on_each_host
@pytest.mark.parametrize("headers", MISSING.values(), ids=MISSING)
def test_checklist_51_without_a_key_the_challenge_names_no_error(
    deployment: Deployment, headers: list[Header]
) -> None:
    # RFC 6750 §3: no error code for a caller without a key, or with another scheme.
    answer = deployment.call("GET", "/api/token", *headers)
    expect_problem(answer, 401, "api-key-missing")
    assert answer.headers["www-authenticate"] == CHALLENGE


@on_each_host
@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
def test_checklist_51_wrong_key_is_refused_as_an_invalid_token(
    deployment: Deployment, headers: list[Header]
) -> None:
    answer = deployment.call("GET", "/api/token", *headers)
    expect_problem(answer, 401, "api-key-invalid")
    assert answer.headers["www-authenticate"] == f'{CHALLENGE}, error="invalid_token"'


@on_each_host
@pytest.mark.parametrize("headers", EMPTY.values(), ids=EMPTY)
def test_empty_key_is_refused(deployment: Deployment, headers: list[Header]) -> None:
    answer = deployment.call("GET", "/api/token", *headers)
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith(CHALLENGE)
    expect_problem(answer, 401, "api-key-invalid" if "error=" in challenge else "api-key-missing")


@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_key_is_checked_before_anything_else(
    deployment: Deployment, connection: str, method: str, path: str
) -> None:
    deployment.put(connection, fresh())
    before = deployment.rows()
    for query in (f"connection={connection}", "connection=/"):
        expect_problem(deployment.call(method, f"{path}?{query}"), 401, "api-key-missing")
        answer = deployment.call(method, f"{path}?{query}", ("x-api-key", "another"))
        expect_problem(answer, 401, "api-key-invalid")
        assert connection not in answer.text
    assert deployment.rows() == before


@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_checklist_50_key_in_the_url_is_ignored(
    deployment: Deployment, method: str, path: str
) -> None:
    for name in IN_THE_URL:
        answer = deployment.call(method, at(path, **{name: API_KEY}))
        expect_problem(answer, 401, "api-key-missing")
        assert API_KEY not in answer.text


def test_checklist_50_key_in_a_form_is_ignored(deployment: Deployment) -> None:
    form = f"api_key={API_KEY}&access_token={API_KEY}".encode()
    kind = ("content-type", "application/x-www-form-urlencoded")
    answer = deployment.call("POST", "/api/login", kind, content=form)
    expect_problem(answer, 401, "api-key-missing")

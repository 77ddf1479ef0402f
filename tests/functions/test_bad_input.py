"""Input that makes no sense: a clear problem for each, and nothing stored changes."""

import string
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.functions.deployment import JSON, WITH_API_KEY, Deployment, at
from tests.functions.expect import expect_common_headers, expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host

BAD_CONNECTIONS = {
    "empty": "",
    "blank": " ",
    "slash": "a/b",
    "backslash": "a\\b",
    "up": "..",
    "up and away": "../../etc/passwd",
    "dot": ".",
    "dash": "-a",
    "NUL": "a\0b",
    "only NUL": "\0",
    "newline": "a\n",
    "carriage return": "a\r\nx-injected: 1",
    "space": "a b",
    "300 characters": "a" * 300,
    "129 characters": "a" * 129,
    "unicode": "подключение",
    "full-width": "\uff41",
    "combining": "a\u0301",
    "emoji": "\U0001f600",
    "right to left": "\u202ea",
    "colon": "grants:a",
    "percent": "%2e%2e",
    "quote": "a'--",
    "markup": "<b>",
    "pattern": "*",
}
GOOD_CONNECTIONS = ["a", "0", "A.b_c-d@e", "a" * 128, "a..b", "default-2"]
BAD_TTLS = {
    "negative": "-1",
    "text": "soon",
    "float": "1.5",
    "exponent": "1e3",
    "5000 digits": "9" * 5000,
    "ten digits": "9" * 10,
    "empty": "",
    "space": " ",
    "space before": " 5",
    "plus": "+5",
    "underscore": "1_0",
    "hexadecimal": "0x10",
    "Arabic digits": "٣",
    "newline": "5\n",
    "NUL": "5\0",
    "not a number": "NaN",
    "infinity": "inf",
}
BAD_QUERIES = {
    "not UTF-8": "connection=%ff",
    "surrogate": "connection=%ed%a0%80",
    "overlong": "connection=%c0%af",
    "cut short": "connection=%e2%82",
    "not hexadecimal": "connection=%zz",
    "percent": "connection=%",
    "another parameter": "x=%ff",
    "its name": "%ff=x",
    "twice": "connection=a&connection=a",
    "another twice": "x=1&x=2",
    "twice in disguise": "connection=a&%63onnection=b",
    "min_ttl twice": "min_ttl=1&min_ttl=2",
    "no value": "connection",
    "no name": "=a&=b",
}
POSTED_TO = [path for method, path in WITH_API_KEY if method == "POST"]
SECRET = "a-secret-in-a-wrong-place"
FORM = "application/x-www-form-urlencoded"
BODIES = [
    (FORM, b"connection=alice"),
    (FORM, b"connection=alice&replace=true"),
    (FORM, b"link="),
    (FORM, f"api_key={SECRET}".encode()),
    ("application/json", b'{"connection": "alice"}'),
    ("application/json", f'{{"api_key": "{SECRET}"}}'.encode()),
    ("application/json", b"{"),
    ("application/json", b"{}{}"),
    ("application/json", b"null"),
    ("application/octet-stream", b"\0\xff"),
    ("text/plain", b"connection=alice"),
    ("text/plain", b"x" * 1000),
]


@on_each_host
@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_bad_connection_is_refused(deployment: Deployment, method: str, path: str) -> None:
    rows = deployment.rows()
    for name in BAD_CONNECTIONS.values():
        answer = deployment.call(method, at(path, connection=name), deployment.key)
        members = expect_problem(answer, 400, "invalid-request")
        assert "connection" in members["detail"]
        assert "x-injected" not in answer.headers
    assert deployment.rows() == rows


@pytest.mark.parametrize("name", GOOD_CONNECTIONS)
def test_good_connection_is_unknown_at_first(deployment: Deployment, name: str) -> None:
    members = expect_problem(deployment.token(name), 401, "authorization-required")
    assert members["cause"] == "never-authorized"
    expect_problem(deployment.verify(name), 404, "not-authorized")


def test_connections_that_differ_in_case_are_two(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, fresh())
    expect_token(deployment.token(connection))
    expect_problem(deployment.token(connection.upper()), 401, "authorization-required")


def test_bad_min_ttl_is_refused(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, fresh())
    rows = deployment.rows()
    for text in BAD_TTLS.values():
        answer = deployment.token(connection, min_ttl=text)
        members = expect_problem(answer, 400, "invalid-request")
        assert "min_ttl" in members["detail"]
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_query_that_cannot_be_read_is_refused(
    deployment: Deployment, method: str, path: str
) -> None:
    rows = deployment.rows()
    for query in BAD_QUERIES.values():
        answer = deployment.call(method, f"{path}?{query}", deployment.key)
        expect_problem(answer, 400, "invalid-request")
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize(
    ("method", "path"), [*WITH_API_KEY, ("GET", "/api/callback"), ("GET", "/api/health")]
)
@pytest.mark.parametrize("size", [8 * 1024 + 1, 60_000])
def test_query_that_is_too_long_is_refused(
    deployment: Deployment, method: str, path: str, size: int
) -> None:
    rows = deployment.rows()
    target = path + "?" + ("x=" + "a" * size)[:size]
    answer = deployment.call(method, target, deployment.key, JSON)
    expect_problem(answer, 414, "invalid-request")
    assert deployment.rows() == rows


@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_parameter_that_is_not_known_is_refused_by_its_name(
    deployment: Deployment, method: str, path: str
) -> None:
    # Misspelt it would mean the default connection, whose token is not the one that was meant.
    for name in ("conection", "Connection", "x" * 1000):
        answer = deployment.call(method, at(path, **{name: "a"}), deployment.key)
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        assert f"{name[:30]}" in detail
        assert "connection" in detail
        assert len(detail) < 200


@on_each_host
def test_query_of_many_parameters_is_read(deployment: Deployment) -> None:
    many = "&".join(f"{letter}{number}=" for letter in string.ascii_letters for number in range(30))
    expect_problem(deployment.get(f"/api/token?min_ttl=60&{many}"), 400, "invalid-request")
    # What the provider's redirect carries beside is the provider's.
    expect_problem(deployment.callback(JSON, code="a", state="b", x="1"), 400, "invalid-state")


@on_each_host
@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
def test_body_that_is_too_long_is_refused(deployment: Deployment, size: int) -> None:
    rows = deployment.rows()
    answer = deployment.post("/api/login", content=b"x" * size)
    expect_problem(answer, 413, "invalid-request")
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize("path", POSTED_TO)
@pytest.mark.parametrize(("kind", "body"), BODIES)
def test_body_beside_the_key_is_refused_and_not_repeated(
    deployment: Deployment, connection: str, path: str, kind: str, body: bytes
) -> None:
    # What it names would be passed over, and the default connection be meant.
    deployment.put(connection, fresh())
    deployment.put("default", fresh())
    rows = deployment.rows()
    for target in (path, at(path, connection=connection)):
        answer = deployment.post(target, ("content-type", kind), content=body)
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        assert "?connection=ID" in detail
        assert f"length {len(body)})" in detail
        assert SECRET not in answer.text
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize("path", POSTED_TO)
@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"{}", b"{ }\n"])
def test_body_that_says_nothing_does_not_matter(
    deployment: Deployment, connection: str, path: str, body: bytes
) -> None:
    deployment.log_in(connection)
    assert deployment.post(at(path, connection=connection), content=body).status_code == 200


@on_each_host
@pytest.mark.parametrize("path", ["/api/token", "/api/verify"])
def test_body_of_a_get_that_says_something_is_refused(
    deployment: Deployment, connection: str, path: str
) -> None:
    # It may name a connection, and the token of another one would be returned.
    deployment.put("default", fresh())
    deployment.put(connection, fresh())
    for body in (f"connection={connection}".encode(), b'{"connection": "a"}'):
        answer = deployment.call("GET", path, deployment.key, content=body)
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        assert f"length {len(body)})" in detail
    target = at(path, connection=connection)
    assert deployment.call("GET", target, deployment.key, content=b"{}").status_code == 200


def test_unreadable_request_without_the_key_is_refused_all_the_same(
    deployment: Deployment,
) -> None:
    for query in ("connection=%ff", "x=" + "a" * 9000, "connection=a&connection=b"):
        answer = deployment.call("GET", f"/api/token?{query}")
        assert answer.status_code in {400, 401, 414}
        expect_common_headers(answer)


@on_each_host
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    path=st.sampled_from(["/api/token", "/api/verify", "/api/callback"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(["connection", "min_ttl", "code", "state", "error", "x"])
            | st.text(max_size=4),
            st.text(max_size=12) | st.binary(max_size=8),
        ),
        max_size=4,
    ),
    raw=st.text(string.ascii_letters + string.digits + "%&=+;#?/.", max_size=12),
)
def test_no_query_whatever_is_more_than_a_client_error(
    deployment: Deployment, path: str, query: list[tuple[str, str | bytes]], raw: str
) -> None:
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query]
    target = f"{path}?{'&'.join([*pairs, raw])}".replace("#", "%23")
    answer = deployment.call("GET", target, deployment.key, JSON)
    assert answer.status_code in {200, 400, 401, 404}
    if answer.status_code != 200:
        name = answer.json()["type"].rpartition(":")[2]
        expect_problem(answer, answer.status_code, name)

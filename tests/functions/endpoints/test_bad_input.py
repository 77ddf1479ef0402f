"""Invalid input: a clear problem for each, and no change of the store."""

import string
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functions.deployment import JSON, WITH_API_KEY, Deployment, at
from tests.functions.expect import expect_common_headers, expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host
from tests.thorough import times

BAD_CONNECTIONS = [
    *["a/b", "a\\b", "..", "../../etc/passwd", ".", "-a", "grants:a", "%2e%2e", "a'--", "<b>", "*"],
    *["", " ", "a b", "a\0b", "\0", "a\n", "a\r\nx-injected: 1", "a" * 129, "a" * 300],
    # Letters that look alike, combine, or turn the text around.
    *["подключение", "\uff41", "a\u0301", "\U0001f600", "\u202ea"],
]
GOOD_CONNECTIONS = ["a", "0", "A.b_c-d@e", "a" * 128, "a..b", "default-2"]
BAD_TTLS = [
    *["-1", "soon", "1.5", "1e3", "+5", "1_0", "0x10", "٣", "NaN", "inf"],
    *["", " ", " 5", "5\n", "5\0", "9" * 10, "9" * 5000],
]
BAD_QUERIES = [
    # Not UTF-8, or not URL-encoded.
    *(f"connection={text}" for text in ("%ff", "%ed%a0%80", "%c0%af", "%e2%82", "%zz", "%")),
    *["x=%ff", "%ff=x", "connection", "=a&=b"],
    # A name twice, once in disguise.
    *["connection=a&connection=a", "x=1&x=2", "min_ttl=1&min_ttl=2"],
    "connection=a&%63onnection=b",
]
# An adoption has a body.
POSTED_TO = [path for method, path in WITH_API_KEY if method == "POST" and path != "/api/adopt"]
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
# Those that concern many connections.
OTHER_PARAMETERS = {"/api/connections": "after, limit", "/api/metrics": "none"}
ANY_METHOD = [("GET", "/api/token"), ("POST", "/api/login")]


@on_each_host
@pytest.mark.parametrize(("method", "path"), ANY_METHOD)
def test_bad_connection_is_refused(deployment: Deployment, method: str, path: str) -> None:
    rows = deployment.rows()
    for name in BAD_CONNECTIONS:
        answer = deployment.call(method, at(path, connection=name), deployment.key)
        members = expect_problem(answer, 400, "invalid-request")
        assert "connection" in members["detail"]
        assert "x-injected" not in answer.headers
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize(("method", "path"), ANY_METHOD)
def test_unreadable_query_is_refused(deployment: Deployment, method: str, path: str) -> None:
    rows = deployment.rows()
    for query in BAD_QUERIES:
        answer = deployment.call(method, f"{path}?{query}", deployment.key)
        expect_problem(answer, 400, "invalid-request")
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize("size", [8 * 1024 + 1, 60_000])
def test_query_that_is_too_long_is_refused(deployment: Deployment, size: int) -> None:
    target = "/api/token?" + ("x=" + "a" * size)[:size]
    expect_problem(deployment.call("GET", target, deployment.key), 414, "invalid-request")


@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_each_endpoint_reads_its_query_in_the_same_way(
    deployment: Deployment, method: str, path: str
) -> None:
    rows = deployment.rows()
    too_long = "x=" + "a" * (8 * 1024)
    for query, status in (("connection=/", 400), ("connection=%ff", 400), (too_long, 414)):
        answer = deployment.call(method, f"{path}?{query}", deployment.key)
        expect_problem(answer, status, "invalid-request")
    # A misspelt name would mean the default connection, and return another token than was meant.
    for name in ("conection", "Connection", "x" * 1000):
        answer = deployment.call(method, at(path, **{name: "a"}), deployment.key)
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        assert f"{name[:30]}" in detail
        assert f"Allowed: {OTHER_PARAMETERS.get(path, 'connection')}" in detail
        assert len(detail) < 200
    assert deployment.rows() == rows


@pytest.mark.parametrize("path", ["/api/callback", "/api/health"])
def test_query_without_a_key_is_limited_as_well(deployment: Deployment, path: str) -> None:
    answer = deployment.call("GET", f"{path}?x={'a' * 8 * 1024}", JSON)
    expect_problem(answer, 414, "invalid-request")


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
    for text in BAD_TTLS:
        members = expect_problem(deployment.token(connection, min_ttl=text), 400, "invalid-request")
        assert "min_ttl" in members["detail"]
    assert deployment.rows() == rows


@on_each_host
def test_query_of_many_parameters_is_read(deployment: Deployment) -> None:
    many = "&".join(f"{letter}{number}=" for letter in string.ascii_letters for number in range(30))
    expect_problem(deployment.get(f"/api/token?min_ttl=60&{many}"), 400, "invalid-request")
    # The provider may add parameters to its redirect.
    expect_problem(deployment.callback(JSON, code="a", state="b", x="1"), 400, "invalid-state")


@on_each_host
@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
def test_body_that_is_too_long_is_refused(deployment: Deployment, size: int) -> None:
    rows = deployment.rows()
    answer = deployment.post("/api/login", content=b"x" * size)
    expect_problem(answer, 413, "invalid-request")
    assert deployment.rows() == rows


def expect_body_refused(deployment: Deployment, path: str, kind: str, body: bytes) -> None:
    answer = deployment.post(path, ("content-type", kind), content=body)
    detail = expect_problem(answer, 400, "invalid-request")["detail"]
    assert "?connection=ID" in detail
    assert f"length {len(body)})" in detail
    assert SECRET not in answer.text


@on_each_host
@pytest.mark.parametrize(("kind", "body"), BODIES)
def test_body_with_the_key_is_refused_and_not_repeated(
    deployment: Deployment, connection: str, kind: str, body: bytes
) -> None:
    # Its connection would be ignored, and the default connection meant.
    rows = deployment.rows()
    for target in ("/api/login", at("/api/login", connection=connection)):
        expect_body_refused(deployment, target, kind, body)
    assert deployment.rows() == rows


@pytest.mark.parametrize("path", POSTED_TO)
def test_body_with_the_key_changes_nothing(
    deployment: Deployment, connection: str, path: str
) -> None:
    deployment.put(connection, fresh())
    deployment.put("default", fresh())
    rows = deployment.rows()
    for target in (path, at(path, connection=connection)):
        expect_body_refused(deployment, target, *BODIES[0])
    assert deployment.rows() == rows


@on_each_host
@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"{}", b"{ }\n"])
def test_empty_body_does_not_matter(deployment: Deployment, connection: str, body: bytes) -> None:
    target = at("/api/login", connection=connection)
    assert deployment.post(target, content=body).status_code == 200


@pytest.mark.parametrize("path", POSTED_TO)
def test_empty_body_does_not_matter_to_any_endpoint(
    deployment: Deployment, connection: str, path: str
) -> None:
    deployment.log_in(connection)
    assert deployment.post(at(path, connection=connection), content=b"{}").status_code == 200


@on_each_host
@pytest.mark.parametrize("path", ["/api/token", "/api/verify"])
def test_body_of_a_get_is_refused(deployment: Deployment, connection: str, path: str) -> None:
    # It may name a connection, and the token of another one would be returned.
    deployment.put("default", fresh())
    deployment.put(connection, fresh())
    for body in (f"connection={connection}".encode(), b'{"connection": "a"}'):
        answer = deployment.call("GET", path, deployment.key, content=body)
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        assert f"length {len(body)})" in detail
    target = at(path, connection=connection)
    assert deployment.call("GET", target, deployment.key, content=b"{}").status_code == 200


def test_unreadable_request_without_the_key_is_refused_as_well(deployment: Deployment) -> None:
    for query in ("connection=%ff", "x=" + "a" * 9000, "connection=a&connection=b"):
        answer = deployment.call("GET", f"/api/token?{query}")
        assert answer.status_code in {400, 401, 414}
        expect_common_headers(answer)


@on_each_host
@settings(
    max_examples=times(60),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
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
def test_any_query_is_at_most_a_client_error(
    deployment: Deployment, path: str, query: list[tuple[str, str | bytes]], raw: str
) -> None:
    pairs = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query]
    target = f"{path}?{'&'.join([*pairs, raw])}".replace("#", "%23")
    answer = deployment.call("GET", target, deployment.key, JSON)
    assert answer.status_code in {200, 400, 401, 404}
    if answer.status_code != 200:
        name = answer.json()["type"].rpartition(":")[2]
        expect_problem(answer, answer.status_code, name)

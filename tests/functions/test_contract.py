"""What every endpoint has in common: statuses, types, headers, methods and paths."""

import httpx
import pytest

from tests.functions.deployment import HTML, JSON, PUBLIC_URL, WITH_API_KEY, Deployment, at
from tests.functions.expect import (
    expect_common_headers,
    expect_json,
    expect_page,
    expect_problem,
)
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host

ENDPOINTS = [
    *WITH_API_KEY,
    ("GET", "/api/callback"),
    ("GET", "/api/login"),
    ("GET", "/api/health"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/refresh"),
    ("GET", "/api/sweep"),
]
PATHS = sorted({path for _, path in ENDPOINTS})
# They do something: the answer to HEAD would not show what.
WITHOUT_HEAD = {"/api/callback", "/api/refresh", "/api/sweep"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]


@on_each_host
def test_health_is_alive_to_anyone_and_tells_nothing_else(deployment: Deployment) -> None:
    assert expect_json(deployment.call("GET", "/api/health")) == {"status": "ok"}


@on_each_host
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/tokens",
        "/api/token/x",
        "//api/token",
        "/API/TOKEN",
        "/api/token.json",
        "/api%2Ftoken/x",
        "/index.html",
    ],
)
def test_unknown_path_is_not_found(deployment: Deployment, path: str) -> None:
    expect_nothing_there(deployment, deployment.get(path))


@on_each_host
@pytest.mark.parametrize("method", METHODS)
def test_unknown_path_is_not_found_whatever_the_method(deployment: Deployment, method: str) -> None:
    expect_nothing_there(deployment, deployment.call(method, "/api/nothing"))


def expect_nothing_there(deployment: Deployment, answer: httpx.Response) -> None:
    if deployment.host.routes_itself:
        # In the platform's own words; the application has not been asked.
        assert answer.status_code == 404
        assert "content-security-policy" not in answer.headers
    else:
        expect_problem(answer, 404, "not-found")


@on_each_host
@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path in PATHS for method in METHODS if (method, path) not in ENDPOINTS],
)
def test_checklist_56_other_methods_are_not_allowed_and_the_answer_says_which_are(
    deployment: Deployment, path: str, method: str
) -> None:
    answer = deployment.call(method, path, deployment.key)
    expect_problem(answer, 405, "method-not-allowed")
    assert allowed(answer.headers["allow"]) == expected_methods(path)


@on_each_host
@pytest.mark.parametrize("path", PATHS)
def test_options_names_the_methods_without_a_key(deployment: Deployment, path: str) -> None:
    answer = deployment.call("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    expect_common_headers(answer)
    assert allowed(answer.headers["allow"]) == expected_methods(path)


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "HEAD", "POST"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["https://evil.test", "null", PUBLIC_URL])
def test_no_script_of_any_origin_is_let_in(
    deployment: Deployment, path: str, method: str, origin: str
) -> None:
    # What a browser asks with before it sends a key, and what it sends without having asked.
    preflight = [
        ("origin", origin),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-api-key, authorization"),
        ("access-control-request-private-network", "true"),
    ]
    for headers in (preflight, [("origin", origin)], [("origin", origin), deployment.key]):
        answer = deployment.call(method, path, *headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", PATHS)
def test_transport_security_is_left_to_whoever_ends_the_tls(
    deployment: Deployment, path: str
) -> None:
    # RFC 6797 §7.2: not over plain HTTP, which is all that the application sees.
    assert "strict-transport-security" not in deployment.get(path).headers


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_checklist_52_no_answer_may_be_kept(
    deployment: Deployment, connection: str, method: str, path: str
) -> None:
    deployment.put(connection, fresh())
    good = deployment.call(method, at(path, connection=connection), deployment.key)
    for answer in (good, deployment.call(method, path), deployment.call("PUT", path)):
        assert answer.headers["cache-control"] == "no-store"


@on_each_host
def test_answer_without_content_announces_none(deployment: Deployment) -> None:
    # RFC 9110 §8.6: no Content-Length with 204; §8.3: a type is for content.
    answer = deployment.call("OPTIONS", "/api/token")
    assert not {"content-length", "content-type"} & set(answer.headers)


def allowed(header: str) -> set[str]:
    methods = header.split(", ")
    assert len(methods) == len(set(methods))
    return set(methods)


def expected_methods(path: str) -> set[str]:
    methods = {method for method, known in ENDPOINTS if known == path}
    has_head = "GET" in methods and path not in WITHOUT_HEAD
    return methods | {"OPTIONS"} | ({"HEAD"} if has_head else set())


@on_each_host
@pytest.mark.parametrize("path", ["/api/health", "/api/openapi.json", "/api/token", "/api/verify"])
def test_head_answers_as_get_without_the_body(
    deployment: Deployment, connection: str, path: str
) -> None:
    deployment.put(connection, fresh())
    target = at(path, connection=connection)
    get, head = deployment.get(target), deployment.call("HEAD", target, deployment.key)
    assert head.content == b""
    assert head.status_code == get.status_code
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == str(len(get.content))
    expect_common_headers(head)


@pytest.mark.parametrize("path", sorted({path for _, path in WITH_API_KEY}))
def test_head_needs_the_key_like_get(deployment: Deployment, path: str) -> None:
    answer = deployment.call("HEAD", path)
    # A link to log in with takes the place of the key.
    without_key = {"/api/login": 400, "/api/refresh": 405, "/api/revoke": 405}
    assert answer.status_code == without_key.get(path, 401)
    assert answer.content == b""


@on_each_host
@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_trailing_slash_makes_no_difference(
    deployment: Deployment, connection: str, method: str, path: str
) -> None:
    deployment.put(connection, fresh())
    query = f"?connection={connection}"
    plain = deployment.call(method, path + query, deployment.key)
    slash = deployment.call(method, f"{path}/{query}", deployment.key)
    assert slash.status_code == plain.status_code
    assert slash.headers["content-type"] == plain.headers["content-type"]
    assert slash.json().keys() == plain.json().keys()


@pytest.mark.parametrize("path", ["/api/callback", "/api/callback/"])
def test_error_is_a_page_to_a_browser_and_a_problem_to_a_program(
    deployment: Deployment, path: str
) -> None:
    expect_problem(deployment.call("GET", path, JSON), 400, "invalid-state")
    expect_page(deployment.call("GET", path, HTML), 400)


@pytest.mark.parametrize("path", sorted(set(PATHS) - {"/api/callback", "/api/login"}))
def test_what_is_for_programs_answers_no_page(deployment: Deployment, path: str) -> None:
    answer = deployment.call("DELETE", path, HTML)
    expect_problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize(("method", "path"), WITH_API_KEY)
def test_key_is_asked_for_before_anything_else_is_said(
    deployment: Deployment, method: str, path: str
) -> None:
    answer = deployment.call(method, f"{path}?connection=/")
    expect_problem(answer, 401, "api-key-missing")


def test_checklist_53_titles_are_the_same_for_the_same_type_and_details_say_more(
    deployment: Deployment,
) -> None:
    one = expect_problem(deployment.get("/api/token?min_ttl=x"), 400, "invalid-request")
    other = expect_problem(deployment.get("/api/token?connection=/"), 400, "invalid-request")
    assert one["title"] == other["title"]
    assert one["detail"] != other["detail"]

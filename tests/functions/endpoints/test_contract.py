"""The contract that every endpoint shares: statuses, types, headers, methods and paths."""

import httpx
import pytest

from functions.routes import METADATA, TOKEN_URL
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
    ("POST", TOKEN_URL),
    ("GET", METADATA),
]
PATHS = sorted({path for _, path in ENDPOINTS})
# They change something: the answer to HEAD would not show what.
WITHOUT_HEAD = {"/api/callback", "/api/refresh", "/api/sweep"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"]
NOWHERE = [
    "/api",
    "/api/tokens",
    "/api/token/x",
    "//api/token",
    "/API/TOKEN",
    "/api/token.json",
    "/api%2Ftoken/x",
    "/index.html",
]


@on_each_host
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", path) for path in NOWHERE] + [(method, "/api/nothing") for method in METHODS],
)
def test_unknown_path_is_not_found(deployment: Deployment, method: str, path: str) -> None:
    answer = deployment.call(method, path, deployment.key)
    if deployment.host.routes_itself:
        # In the platform's own words: no request reaches the application.
        assert answer.status_code == 404
        assert "content-security-policy" not in answer.headers
    else:
        expect_problem(answer, 404, "not-found")


@on_each_host
@pytest.mark.parametrize("path", PATHS)
def test_checklist_56_other_methods_are_not_allowed_and_the_answer_lists_the_allowed_ones(
    deployment: Deployment, path: str
) -> None:
    for method in METHODS:
        if (method, path) not in ENDPOINTS:
            answer = deployment.call(method, path, deployment.key)
            expect_problem(answer, 405, "method-not-allowed")
            assert allowed(answer) == expected_methods(path)


@on_each_host
@pytest.mark.parametrize("path", PATHS)
def test_options_names_the_methods_without_a_key(deployment: Deployment, path: str) -> None:
    answer = deployment.call("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    expect_common_headers(answer)
    assert allowed(answer) == expected_methods(path)
    # RFC 9110 §8.6: no Content-Length with 204; §8.3: a type is for content.
    assert not {"content-length", "content-type"} & set(answer.headers)


def allowed(answer: httpx.Response) -> set[str]:
    methods = answer.headers["allow"].split(", ")
    assert len(methods) == len(set(methods))
    return set(methods)


def expected_methods(path: str) -> set[str]:
    methods = {method for method, known in ENDPOINTS if known == path}
    has_head = "GET" in methods and path not in WITHOUT_HEAD
    return methods | {"OPTIONS"} | ({"HEAD"} if has_head else set())


@pytest.mark.parametrize("path", PATHS)
def test_scripts_of_other_origins_are_not_allowed(deployment: Deployment, path: str) -> None:
    for origin in ("https://evil.test", "null", PUBLIC_URL):
        # A browser asks with these before it sends a key.
        preflight = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "x-api-key, authorization"),
            ("access-control-request-private-network", "true"),
        ]
        for headers in (preflight, [("origin", origin)], [("origin", origin), deployment.key]):
            for method in ("OPTIONS", "GET", "HEAD", "POST"):
                answer = deployment.call(method, path, *headers)
                assert "access-control-" not in str(answer.headers)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_checklist_52_no_answer_may_be_kept(
    deployment: Deployment, connection: str, method: str, path: str
) -> None:
    deployment.put(connection, fresh())
    good = deployment.call(method, at(path, connection=connection), deployment.key)
    for answer in (good, deployment.call(method, path), deployment.call("PUT", path)):
        expect_common_headers(answer)


@on_each_host
@pytest.mark.parametrize(
    "path", ["/api/health", "/api/openapi.json", "/api/token", "/api/verify", METADATA]
)
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
    # A login link replaces the key.
    without_key = {"/api/adopt": 405, "/api/login": 400, "/api/refresh": 405, "/api/revoke": 405}
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
def test_endpoint_for_programs_answers_no_page(deployment: Deployment, path: str) -> None:
    expect_problem(deployment.call("DELETE", path, HTML), 405, "method-not-allowed")


def test_health_is_answered_without_a_key(deployment: Deployment) -> None:
    assert expect_json(deployment.call("GET", "/api/health")) == {"status": "ok"}


def test_checklist_53_titles_are_the_same_for_the_same_type_and_details_differ(
    deployment: Deployment,
) -> None:
    one = expect_problem(deployment.get("/api/token?min_ttl=x"), 400, "invalid-request")
    other = expect_problem(deployment.get("/api/token?connection=/"), 400, "invalid-request")
    assert one["title"] == other["title"]
    assert one["detail"] != other["detail"]

"""Expectations that every answer has to meet."""

from typing import Any

import httpx

PROBLEM = "urn:oauth-callback:problem:"
INSTANCE = "urn:oauth-callback:request:"
TOKEN_MEMBERS = frozenset(
    {
        *("access_token", "token_type", "expires_in", "expires_at", "scope"),
        *("generation", "ask_again_in"),
    }
)
PROBLEM_MEMBERS = frozenset({"type", "title", "status", "detail", "instance"})


def expect_problem(
    answer: httpx.Response, status: int, name: str, *, sets_cookie: bool = False
) -> dict[str, Any]:
    """Expect a problem document and return its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    expect_common_headers(answer, sets_cookie=sets_cookie)
    members: dict[str, Any] = answer.json()
    assert members["type"] == PROBLEM + name, members
    assert members["status"] == status
    assert isinstance(members["title"], str)
    assert members["title"]
    assert isinstance(members["detail"], str)
    assert members["detail"]
    assert members["instance"] == INSTANCE + answer.headers["x-request-id"]
    return members


def expect_json(
    answer: httpx.Response, status: int = 200, *, sets_cookie: bool = False
) -> dict[str, Any]:
    """Expect a JSON object and return its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    expect_common_headers(answer, sets_cookie=sets_cookie)
    members: dict[str, Any] = answer.json()
    return members


def expect_page(
    answer: httpx.Response, status: int = 200, *, sets_cookie: bool = False, has_form: bool = False
) -> str:
    """Expect a harmless page, and return its text."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    expect_common_headers(answer, sets_cookie=sets_cookie)
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["style-src"].startswith("'sha256-")
    assert (policy["form-action"] == "'none'") is not has_form
    assert ("<form" in answer.text) is has_form
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "script-src" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in answer.text
    # Its reader has no API key.
    assert "POST /api" not in answer.text
    return answer.text


def expect_common_headers(answer: httpx.Response, *, sets_cookie: bool = False) -> None:
    """Expect what every answer carries."""
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]
    # Other origins are not allowed, and TLS ends elsewhere (RFC 6797 §7.2).
    foreign = ("access-control-", "strict-transport-security")
    assert not [name for name in answer.headers if name.startswith(foreign)]
    assert ("set-cookie" in answer.headers) is sets_cookie


def expect_retry_after(answer: httpx.Response, *, at_most: int) -> None:
    """Expect a Retry-After in seconds."""
    assert 1 <= int(answer.headers["retry-after"]) <= at_most


def expect_token(answer: httpx.Response, *, extra: object = None) -> str:
    """Expect the members of a token and no others, and return the access token."""
    members = expect_json(answer)
    assert members.pop("extra", None) == extra
    assert set(members) == TOKEN_MEMBERS
    assert members["token_type"] == "Bearer"
    return str(members["access_token"])

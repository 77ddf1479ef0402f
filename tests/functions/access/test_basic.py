"""The API key as the password of HTTP Basic: for curl -u and .netrc, and only to read."""

import re
from base64 import b64encode

import pytest

from tests.functions.deployment import API_KEY, WITH_API_KEY, Deployment, Header, at
from tests.functions.expect import expect_json, expect_problem, expect_token
from tests.functions.grants import fresh
from tests.functions.hosts import on_each_host

READS = [("GET", "/api/token"), ("GET", "/api/verify")]
BEARER = 'Bearer realm="oauth-callback"'
BASIC = 'Basic realm="oauth-callback", charset="UTF-8"'


def basic(password: str, user: str = "me") -> Header:
    """Return the header of RFC 7617."""
    return ("authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}")


@on_each_host
@pytest.mark.parametrize("user", ["", "me", "ключ"])
def test_key_is_accepted_as_the_password_of_any_user(
    deployment: Deployment, connection: str, user: str
) -> None:
    deployment.put(connection, fresh())
    key = basic(API_KEY, user)
    expect_token(deployment.call("GET", at("/api/token/", connection=connection), key))
    expect_json(deployment.call("GET", at("/api/verify", connection=connection), key))
    head = deployment.call("HEAD", at("/api/token", connection=connection), key)
    assert head.status_code == 200


@pytest.mark.parametrize(("method", "path"), [each for each in WITH_API_KEY if each not in READS])
def test_key_as_a_password_changes_nothing(
    deployment: Deployment, connection: str, method: str, path: str
) -> None:
    deployment.put(connection, fresh())
    before = deployment.rows()
    answer = deployment.call(method, at(path, connection=connection), basic(API_KEY))
    expect_problem(answer, 401, "api-key-missing")
    assert answer.headers.get_list("www-authenticate") == [BEARER]
    assert deployment.rows() == before


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_browser_does_not_send_a_cached_password_for_another_site(
    deployment: Deployment, site: str
) -> None:
    answer = deployment.call("GET", "/api/token", basic(API_KEY), ("sec-fetch-site", site))
    expect_problem(answer, 401, "api-key-missing")
    assert answer.headers.get_list("www-authenticate") == [BEARER]


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_person_may_read_with_a_browser(deployment: Deployment, connection: str, site: str) -> None:
    deployment.put(connection, fresh())
    target = at("/api/token", connection=connection)
    expect_token(deployment.call("GET", target, basic(API_KEY), ("sec-fetch-site", site)))


@on_each_host
@pytest.mark.parametrize(
    "key",
    [
        pytest.param(basic("another"), id="wrong"),
        pytest.param(basic(""), id="empty"),
        pytest.param(("authorization", "Basic ?"), id="malformed"),
        pytest.param(("authorization", "Basic"), id="nothing"),
    ],
)
def test_wrong_password_is_answered_with_a_challenge_for_another(
    deployment: Deployment, key: Header
) -> None:
    answer = deployment.call("GET", "/api/token", key)
    expect_problem(answer, 401, "api-key-invalid")
    assert challenges(answer.headers.get_list("www-authenticate")) == [
        f'{BEARER}, error="invalid_token"',
        BASIC,
    ]


def challenges(values: list[str]) -> list[str]:
    """Return the challenges, which a host may join to one header."""
    return [each for value in values for each in re.split(r", ?(?=Basic)", value)]


def test_required_login_is_answered_with_a_challenge_too(
    deployment: Deployment, connection: str
) -> None:
    answer = deployment.call("GET", at("/api/token", connection=connection), basic(API_KEY))
    expect_problem(answer, 401, "authorization-required")
    assert answer.headers.get_list("www-authenticate") == [BEARER, BASIC]
    # Not to a caller that did not use it.
    answer = deployment.token(connection)
    assert answer.headers.get_list("www-authenticate") == [BEARER]


def test_another_key_wins_over_a_password_that_may_be_for_a_proxy(
    deployment: Deployment, connection: str
) -> None:
    deployment.put(connection, fresh())
    target = at("/api/token", connection=connection)
    expect_token(deployment.call("GET", target, deployment.key, basic("of-a-proxy")))
    wrong = ("x-api-key", "another")
    answer = deployment.call("GET", target, wrong, basic(API_KEY))
    expect_problem(answer, 401, "api-key-invalid")
    assert answer.headers.get_list("www-authenticate") == [f'{BEARER}, error="invalid_token"']


def test_two_passwords_are_refused(deployment: Deployment) -> None:
    answer = deployment.call("GET", "/api/token", basic(API_KEY), basic("another"))
    assert "two different" in expect_problem(answer, 401, "api-key-invalid")["detail"]

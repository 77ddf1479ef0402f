"""GET /api/token for shells: the token alone, and errors as one line."""

from datetime import UTC, datetime

import httpx
import pytest

from domain.grant import Failure, FailureState
from functions.application import Application
from functions.asgi import ROUTES
from functions.http.plain_text import prefers_text, text_response
from functions.settings.settings import SettingsError
from tests.functions.deployment import WITH_API_KEY, Deployment, Header, at
from tests.functions.expect import expect_common_headers, expect_problem, expect_token
from tests.functions.grants import MINUTE, fresh, over
from tests.functions.hosts import AsgiTransport, on_each_host

TEXT: Header = ("accept", "text/plain")
TYPE = "text/plain; charset=utf-8"
pytestmark = pytest.mark.anyio


def expect_line(answer: httpx.Response, status: int) -> str:
    """Expect one line of text, and return it without its end."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == TYPE
    expect_common_headers(answer)
    assert answer.text.endswith("\n")
    assert answer.text.count("\n") == 1
    return answer.text[:-1]


@on_each_host
def test_text_is_the_token_and_a_line_feed(deployment: Deployment, connection: str) -> None:
    grant = fresh()
    deployment.put(connection, grant)
    target = at("/api/token", connection=connection)
    assert expect_line(deployment.get(target, TEXT), 200) == grant.tokens.access_token
    head = deployment.call("HEAD", target, deployment.key, TEXT)
    assert (head.status_code, head.headers["content-type"]) == (200, TYPE)
    assert head.content == b""


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [
        ("text/plain", True),
        ("Text/Plain; charset=utf-8", True),
        ("text/*", True),
        ("text/plain, */*;q=0.1", True),
        ("application/json;q=0.5, text/plain;q=0.8", True),
        ("text/plain;q=0.001", True),
        ("text/plain, application/json;q=0", True),
        ("*/*", False),
        ("text/html", False),
        ("text/html, */*;q=0.8", False),
        # A client that likes both gets JSON, as axios does.
        ("application/json, text/plain, */*", False),
        ("text/plain;q=0.5, */*", False),
        ("text/plain;q=0", False),
        ("text/*, text/plain;q=0", False),
        ("text/plain;q=x", False),
        ("text/plain;q=2", False),
        ("text/", False),
        ("text/plain-ish", False),
        ("", False),
    ],
)
def test_text_is_for_clients_that_prefer_it_to_json(accept: str, *, is_text: bool) -> None:
    assert prefers_text(accept.lower().encode()) is is_text


def test_json_is_the_default(deployment: Deployment, connection: str) -> None:
    deployment.put(connection, fresh())
    target = at("/api/token", connection=connection)
    for headers in ([], [("accept", "*/*")], [("accept", "text/html")], [("accept", "text/")]):
        expect_token(deployment.get(target, *headers))


@on_each_host
def test_error_is_one_line_with_the_same_status_and_headers(
    deployment: Deployment, connection: str
) -> None:
    missing = deployment.call("GET", "/api/token", TEXT)
    assert expect_line(missing, 401).endswith(" (api-key-missing)")
    assert missing.headers["www-authenticate"] == 'Bearer realm="oauth-callback"'
    wrong = deployment.get(at("/api/token/", min_ttl="x"), TEXT)
    expected = "Invalid min_ttl. Use a whole number of seconds. (invalid-request)"
    assert expect_line(wrong, 400) == expected
    login = expect_line(deployment.get(at("/api/token", connection=connection), TEXT), 401)
    assert login.startswith("Nobody has logged in to this connection. To log in, send POST ")
    assert login.endswith(" (authorization-required)")
    # The link is a secret, and belongs to no log of a shell.
    assert "link=" not in login


def test_retry_after_is_that_of_the_problem(deployment: Deployment, connection: str) -> None:
    now = datetime.now(UTC)
    failed = FailureState(
        failures=1,
        failure=Failure.UNAVAILABLE,
        at=now,
        retry_at=now + 10 * MINUTE,
        in_doubt_since=None,
        quote="one\r\ntwo\tthree",
    )
    grant = over()
    deployment.put(connection, type(grant)(tokens=grant.tokens, failure_state=failed))
    answer = deployment.get(at("/api/token", connection=connection), TEXT)
    line = expect_line(answer, 503)
    assert "(one two three)" in line
    assert line.endswith(f"in {answer.headers['retry-after']} s. (provider-unavailable)")


@pytest.mark.parametrize(
    ("method", "path"), [each for each in WITH_API_KEY if each[1] != "/api/token"]
)
def test_other_endpoints_answer_problems(deployment: Deployment, method: str, path: str) -> None:
    answer = deployment.call(method, path, TEXT)
    expect_problem(answer, 401, "api-key-missing")


async def test_error_of_the_settings_is_a_line_as_well() -> None:
    def settings() -> None:
        raise SettingsError(["CLIENT_ID is not set"])

    app = Application(ROUTES, settings)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=AsgiTransport(app)) as client:
        answer = await client.get("http://keeper.test/api/token", headers=dict([TEXT]))  # type: ignore[arg-type]
    line = expect_line(answer, 500)
    assert "CLIENT_ID is not set" in line
    assert line.endswith(" (not-configured)")


def test_every_line_break_becomes_a_space() -> None:
    assert text_response(200, " a\r\nb\x0b\u2028c\n").body == b"a b c\n"

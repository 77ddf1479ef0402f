"""No request decides where the application sends one: addresses come from its environment."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from functions.asgi import ROUTES
from tests.functions.deployment import (
    CRON_SECRET,
    JSON,
    PUBLIC_URL,
    Deployment,
    Header,
    at,
    query_of,
)
from tests.functions.expect import expect_json
from tests.functions.grants import over
from tests.functions.hosts import on_each_host

# Names that some software reads an address from.
NAMES = [
    *("token_endpoint", "authorization_endpoint", "TOKEN_ENDPOINT", "redirect_uri", "issuer"),
    *("iss", "url", "uri", "next", "return_to", "callback", "webhook", "proxy", "host"),
    *("PUBLIC_URL", "jku", "request_uri", "logo_uri", "SQLITE_PATH", "KV_REST_API_URL"),
    "AWS_ENDPOINT_URL",
]
HEADERS = [
    *("x-forwarded-host", "x-forwarded-server", "x-original-host", "x-host", "forwarded"),
    *("x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-http-host-override"),
    *("referer", "origin", "proxy", "true-client-ip", "x-wap-profile", "destination"),
]


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A port that must get no call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def test_no_request_makes_the_application_call_elsewhere(
    deployment: Deployment, connection: str, elsewhere: socket.socket
) -> None:
    port = elsewhere.getsockname()[1]
    target = f"http://127.0.0.1:{port}/"
    headers: list[Header] = [deployment.key, JSON, ("host", f"127.0.0.1:{port}")]
    headers += [(name, target) for name in HEADERS]
    body = json.dumps(dict.fromkeys(NAMES, target)).encode()
    kind = ("content-type", "application/json")
    # A login that comes back and an expired token are reasons to call the provider.
    for method, path in [(method, path) for path, methods in ROUTES.items() for method in methods]:
        deployment.put(connection, over())
        state = query_of(deployment.begin_login(connection))["state"]
        for parameters in (
            {"connection": connection},
            {"code": "a", "state": state, **dict.fromkeys(NAMES, target)},
            {"connection": target},
        ):
            # A body with the key is refused; without one, more is done.
            for content in (body, b""):
                deployment.call(method, at(path, **parameters), *headers, kind, content=content)
    # An address as the path, as to a proxy.
    deployment.call("GET", f"{target}api/token?connection={connection}", *headers)
    secret = ("authorization", f"Bearer {CRON_SECRET}")
    deployment.call("GET", "/api/refresh", *headers[1:], secret, content=body)
    with pytest.raises(BlockingIOError):
        elsewhere.accept()


@on_each_host
def test_checklist_14_no_request_changes_where_a_login_goes_and_returns(
    deployment: Deployment, connection: str
) -> None:
    headers = [(name, "https://elsewhere.test/") for name in HEADERS]
    for host in ("elsewhere.test", "keeper.test.elsewhere.test"):
        answer = deployment.post(at("/api/login", connection=connection), ("host", host), *headers)
        url = expect_json(answer)["authorization_url"]
        provider = urlsplit(deployment.environ["AUTHORIZATION_ENDPOINT"])
        assert urlsplit(url)[:3] == provider[:3]
        assert query_of(url)["redirect_uri"] == f"{PUBLIC_URL}/api/callback"
        assert "elsewhere" not in answer.text

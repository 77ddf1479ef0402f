"""Raw scopes to the ASGI application, and raw bytes to a real server."""

import asyncio
import socket
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from domain.grant import Authorized
from functions.application import Application
from functions.asgi import ROUTES
from functions.http import messages
from functions.http.messages import Receive
from functions.settings.settings import Settings
from functions.wiring import Wiring
from tests.functions.conftest import environ_for
from tests.functions.deployment import API_KEY, Deployment, at
from tests.functions.expect import expect_json, expect_token
from tests.functions.grants import fresh, over
from tests.functions.hosts import on_hosts
from tests.functions.token_endpoint import TokenEndpoint
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

KEY = (b"x-api-key", API_KEY.encode())
PAGE = (b"accept", b"text/html")
MEGABYTE = b"a" * 1_000_000
# With the key and the name of the header `x`, as long as all headers may be together.
LONGEST = messages.MAX_HEADER_BYTES - len(KEY[0] + KEY[1])
Messages = list[MutableMapping[str, Any]]


@pytest.fixture
def application(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> Application:
    """The application alone."""
    environ = environ_for(running_digikey, tmp_path)
    return Application(ROUTES, partial(Settings.from_environ, environ))


def ask(application: Application, received: Messages | None = None, **scope: Any) -> Messages:
    """Hand the application a scope, of a token request by default; return what it sent."""
    waiting = list(received or [{"type": "http.request"}])

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    sent: Messages = []
    asyncio.run(respond(application, receive, sent, **scope))
    return sent


async def respond(application: Application, receive: Receive, sent: Messages, **scope: Any) -> None:
    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    request = {"type": "http", "method": "GET", "path": "/api/token", "headers": [KEY]}
    await application({**request, **scope}, receive, send)


def status_of(sent: Messages) -> int:
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    headers: Mapping[bytes, bytes] = dict(sent[0]["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert all(name == name.lower() for name in headers)
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("status", "scope"),
    [
        (414, {"query_string": b"x=" + MEGABYTE}),
        (400, {"query_string": b"connection=\xff"}),
        (400, {"query_string": b"connection=\xc3\xa9"}),
        (400, {"query_string": b"\x00=\x00"}),
        (404, {"path": "/api/token/" + MEGABYTE.decode()}),
        # ASGI demands lower case; not every adapter in front of it obeys.
        (404, {"path": "/api/verify", "headers": [(KEY[0].upper(), KEY[1])]}),
    ],
    ids=["long query", "raw bytes", "raw UTF-8", "NUL", "long path", "capitals"],
)
def test_unusual_request_is_answered_briefly(
    application: Application, status: int, scope: dict[str, Any]
) -> None:
    sent = ask(application, **scope)
    assert status_of(sent) == status
    assert len(sent[1]["body"]) < 1000


@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"\x00", b"a\x00b", b"\r\nx: y", "ключ".encode(), b"\x80" * 30_000]
)
@pytest.mark.parametrize("name", [b"x-api-key", b"authorization", b"accept", b"cookie", b"\xff"])
def test_raw_bytes_in_headers_are_refused_or_mean_nothing(
    application: Application, name: bytes, value: bytes
) -> None:
    for prefix in (b"", b"Bearer "):
        assert status_of(ask(application, headers=[(name, prefix + value)])) == 401


@pytest.mark.parametrize("value", [b" ", b"\t", b"Bearer ", b"Bearer  \t ", b"Bearer", b""])
@pytest.mark.parametrize("name", [b"x-api-key", b"authorization"])
def test_blank_key_is_refused(application: Application, name: bytes, value: bytes) -> None:
    assert status_of(ask(application, headers=[(name, value)])) == 401
    # Also with the right one.
    if value.startswith(b"Bearer") or name == b"x-api-key":
        assert status_of(ask(application, headers=[KEY, (name, value)])) == 401


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (404, [(b"x-api-key", b"  %s\t" % KEY[1])]),
        (404, [(b"authorization", b"  Bearer   %s " % KEY[1])]),
        (404, [KEY, *[(b"x", b"y")] * (messages.MAX_HEADERS - 1)]),
        (431, [KEY, *[(b"x", b"y")] * messages.MAX_HEADERS]),
        (404, [KEY, (b"x" * LONGEST, b"")]),
        (431, [KEY, (b"x" * LONGEST, b"y")]),
        (404, [KEY, (b"x", b"y" * (LONGEST - 1))]),
        (431, [KEY, (b"x", b"y" * LONGEST)]),
    ],
    ids=[
        *("space around the key", "space around the token"),
        *("most headers", "too many headers"),
        *("longest name", "too long a name", "longest value", "too long a value"),
    ],
)
def test_headers_are_read_up_to_their_limits(
    application: Application, status: int, headers: list[tuple[bytes, bytes]]
) -> None:
    assert status_of(ask(application, path="/api/verify", headers=headers)) == status


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        # As uvicorn has it since 0.26, and as Hypercorn does.
        ("/keeper", "/keeper/api/health"),
        ("/keeper/", "/keeper/api/health"),
        ("/keeper", "/api/health"),
        ("/api", "/api/api/health"),
        ("/api", "/api/health"),
        # As uvicorn has it behind a proxy that leaves the prefix in.
        ("/keeper", "/keeper/keeper/api/health"),
    ],
)
def test_prefix_that_the_server_is_mounted_under_is_not_part_of_the_path(
    application: Application, root_path: str, path: str
) -> None:
    assert status_of(ask(application, path=path, root_path=root_path)) == 200
    assert status_of(ask(application, path=f"/other{path}", root_path=root_path)) == 404


@pytest.mark.parametrize(
    ("path", "is_named"),
    [
        ("/keeper/api/callback", True),
        ("//api/token", True),
        ("/api/api/token/", True),
        ("/keeper", False),
        ("/api/tokens", False),
    ],
)
def test_prefix_that_stayed_in_the_path_is_named_with_the_option_against_it(
    application: Application, path: str, *, is_named: bool
) -> None:
    sent = ask(application, path=path)
    assert status_of(sent) == 404
    assert (b"--root-path" in sent[1]["body"]) is is_named


def test_page_below_a_prefix_is_a_page(application: Application) -> None:
    sent = ask(application, path="/k/api/callback", root_path="/k", headers=[PAGE])
    assert dict(sent[0]["headers"])[b"content-type"].startswith(b"text/html")


def test_get_of_a_client_that_has_gone_is_carried_out(application: Application) -> None:
    # A browser that is closed early must not cost a callback its code.
    gone: Messages = [{"type": "http.disconnect"}]
    assert status_of(ask(application, gone, path="/api/verify")) == 404


def test_incomplete_body_starts_no_login(application: Application) -> None:
    part = {"type": "http.request", "body": b"x", "more_body": True}
    gone = {"type": "http.disconnect"}
    sent = ask(application, [part, gone], method="POST", path="/api/login")
    assert status_of(sent) == 400


def slowly(pause: float, chunks: int) -> Receive:
    """Let a body trickle, one byte after the other."""
    left = list(range(chunks))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(pause)
        left.pop()
        return {"type": "http.request", "body": b"x", "more_body": bool(left)}

    return receive


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
async def test_endless_body_is_a_timeout(
    application: Application, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    # An open request keeps an instance busy, and a connection.
    assert timedelta(seconds=1) < messages.BODY_LIMIT < timedelta(minutes=1)
    monkeypatch.setattr(messages, "BODY_LIMIT", timedelta(milliseconds=50))
    sent: Messages = []
    receive = slowly(0.01, 2_000)
    await respond(application, receive, sent, method=method, path="/api/login")
    assert status_of(sent) == 408


@pytest.mark.anyio
async def test_slow_body_within_the_limit_is_read(application: Application) -> None:
    sent: Messages = []
    await respond(application, slowly(0.001, 20), sent, method="POST", path="/api/login")
    # To the end, and refused for its content.
    assert status_of(sent) == 400
    assert b"length 20)" in sent[1]["body"]


def test_websocket_is_closed_before_it_is_accepted(application: Application) -> None:
    assert ask(application, type="websocket") == [{"type": "websocket.close"}]


def test_head_is_answered_without_a_body(application: Application) -> None:
    # Also without a query in the scope, and by one event loop after another.
    for _ in range(3):
        sent = ask(application, method="HEAD", path="/api/health", headers=[])
        assert status_of(sent) == 200
        assert sent[1]["body"] == b""


@pytest.mark.anyio
async def test_cancelled_call_returns_when_its_refresh_is_stored(
    running_digikey: SimulatedDigiKeyPeer, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    # A platform may freeze or stop an instance as soon as its last call has returned.
    environ = environ_for(running_digikey, tmp_path) | endpoint.environ
    store = Wiring(Settings.from_environ(environ)).store
    await store.swap("default", record_of(over(), "first"), expected_etag=None)
    application = Application(ROUTES, partial(Settings.from_environ, environ))

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    call = asyncio.create_task(respond(application, receive, []))
    with endpoint.held():
        while not endpoint.seen:  # noqa: ASYNC110 - it counts in another thread
            await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait({call}, timeout=0.1)
        assert not call.done()
    await asyncio.wait({call})
    grant = (await store.load("default")).grant
    await store.close()
    await application.close()
    assert isinstance(grant, Authorized)
    assert grant.tokens.access_token == endpoint.given[0]["access_token"]


# --- raw bytes to a real server

# On Vercel and Lambda the platform parses a request.
on_a_socket = on_hosts("uvicorn")


@pytest.fixture
def address(deployment: Deployment) -> tuple[str, int]:
    """Where the server listens."""
    parts = urlsplit(deployment.running.base_url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


TOKEN = b"GET /api/token HTTP/1.1\r\nHost: x\r\n"
LOGIN = b"POST /api/login HTTP/1.1\r\nHost: x\r\n"
RAW = {
    "a query of a megabyte": TOKEN.replace(b" HTTP", b"?x=" + b"a" * 1_000_000 + b" HTTP"),
    "a header of a megabyte": TOKEN + b"x: " + b"a" * 1_000_000,
    "NUL in a header": TOKEN + b"x-api-key: a\0b\r\n\r\n",
    "NUL in the path": b"GET /api/\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the path": b"GET /api/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the query": b"GET /api/token?a=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the key": TOKEN + b"x-api-key: \xff\xfe\r\n\r\n",
    "no version": b"GET /api/token\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a line feed in a header": b"GET /api/token HTTP/1.1\r\nHost: x\nx-api-key: y\r\n\r\n",
    "two lengths": LOGIN + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "length and chunks": LOGIN
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "half a body": LOGIN + b"Content-Length: 100\r\n\r\nx",
    "another address": b"GET http://evil.test/api/token HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "a path that climbs": b"GET /api/../api/health/../token HTTP/1.1\r\nHost: x\r\n\r\n",
    "a connection to elsewhere": b"CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
}


@on_a_socket
@pytest.mark.parametrize("message", RAW.values(), ids=RAW)
def test_server_survives_invalid_bytes(
    deployment: Deployment, address: tuple[str, int], connection: str, message: bytes
) -> None:
    deployment.put(connection, fresh())
    rows = deployment.rows()
    answer = exchange(address, message)
    # Some the server refuses, and does not ask the application.
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 204"))
    assert deployment.rows() == rows
    expect_token(deployment.token(connection))


def exchange(address: tuple[str, int], message: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes and, with `half_close`, their end; return the answer until the server hangs up."""
    received = b""
    # A server may hang up before it has read all.
    with socket.create_connection(address, timeout=60) as connection, suppress(OSError):
        connection.sendall(message)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


@on_a_socket
def test_pipelined_requests_are_all_answered(
    deployment: Deployment, address: tuple[str, int], connection: str
) -> None:
    deployment.put(connection, fresh())
    target = at("/api/token", connection=connection)
    one = f"GET {target} HTTP/1.1\r\nHost: x\r\nx-api-key: {API_KEY}\r\n".encode()
    last = one + b"Connection: close\r\n"
    answer = exchange(address, (one + b"\r\n") * 3 + last + b"\r\n", half_close=False)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.lower().count(b"cache-control: no-store") == 4
    expect_json(deployment.verify(connection))

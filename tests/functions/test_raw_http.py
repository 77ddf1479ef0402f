"""What no client library sends: raw scopes to the ASGI application, raw bytes to a real server."""

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

from domain.grant import Authorized, Grant
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
from tests.functions.token_endpoint import TokenEndpoint
from tests.records import record_of
from tests.system.simulated_digikey import SimulatedDigiKeyPeer

KEY = (b"x-api-key", API_KEY.encode())
Messages = list[MutableMapping[str, Any]]


@pytest.fixture
def application(running_digikey: SimulatedDigiKeyPeer, tmp_path: Path) -> Application:
    """The application alone."""
    return Application(
        ROUTES, partial(Settings.from_environ, environ_for(running_digikey, tmp_path))
    )


def ask(application: Application, received: Messages | None = None, **scope: Any) -> Messages:
    """Hand the application a scope, and return what it sent."""
    sent: Messages = []
    asyncio.run(give(application, sent, scope_with(**scope), received))
    return sent


def scope_with(**members: Any) -> MutableMapping[str, Any]:
    """Make a scope, of a call for a token where nothing else is said."""
    return {
        "type": "http",
        "method": "GET",
        "path": "/api/token",
        "query_string": b"",
        "headers": [KEY],
        **members,
    }


async def give(
    application: Application,
    sent: Messages,
    scope: MutableMapping[str, Any],
    received: Messages | None = None,
) -> None:
    """Hand the application a scope, and note what it sends."""
    waiting = list(received or [{"type": "http.request"}])

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop(0)

    await respond(application, scope, receive, sent)


async def respond(
    application: Application, scope: MutableMapping[str, Any], receive: Receive, sent: Messages
) -> None:
    """Let the application receive a request, and note what it sends."""

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)


def status_of(sent: Messages) -> int:
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    headers: Mapping[bytes, bytes] = dict(sent[0]["headers"])
    assert headers[b"cache-control"] == b"no-store"
    assert all(name == name.lower() for name in headers)
    return int(sent[0]["status"])


def test_query_of_a_megabyte_is_refused(application: Application) -> None:
    assert status_of(ask(application, query_string=b"x=" + b"a" * 1_000_000)) == 414


@pytest.mark.parametrize("query", [b"connection=\xff", b"connection=\xc3\xa9", b"\x00=\x00"])
def test_query_of_raw_bytes_is_refused_or_means_nothing(
    application: Application, query: bytes
) -> None:
    assert status_of(ask(application, query_string=query)) in {400, 401}


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
    # Not even beside the right one.
    if value.startswith(b"Bearer") or name == b"x-api-key":
        assert status_of(ask(application, headers=[KEY, (name, value)])) == 401


def test_space_around_the_key_does_not_matter(application: Application) -> None:
    for header in ((b"x-api-key", b"  %s\t"), (b"authorization", b"  Bearer   %s ")):
        padded = (header[0], header[1] % KEY[1])
        assert status_of(ask(application, path="/api/verify", headers=[padded])) == 404


def test_header_names_in_capitals_are_understood(application: Application) -> None:
    # ASGI says lower case; not every adapter in front of it does.
    headers = [(name.upper(), value) for name, value in (KEY,)]
    assert status_of(ask(application, path="/api/verify", headers=headers)) == 404


def test_scope_without_a_query_is_one_with_an_empty_one(application: Application) -> None:
    sent: Messages = []

    async def go() -> None:
        async def receive() -> MutableMapping[str, Any]:
            return {"type": "http.request"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/api/health", "headers": []}
        await application(scope, receive, send)

    asyncio.run(go())
    assert status_of(sent) == 200


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
    ("path", "is_told"),
    [
        ("/keeper/api/callback", True),
        ("//api/token", True),
        ("/api/api/token/", True),
        ("/keeper", False),
        ("/api/tokens", False),
    ],
)
def test_a_prefix_that_nobody_takes_away_is_told_of(
    application: Application,
    path: str,
    is_told: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sent = ask(application, path=path)
    assert status_of(sent) == 404
    assert (b"--root-path" in sent[1]["body"]) is is_told


def test_page_below_a_prefix_is_a_page(application: Application) -> None:
    headers = [(b"accept", b"text/html")]
    sent = ask(application, path="/k/api/callback", root_path="/k", headers=headers)
    assert dict(sent[0]["headers"])[b"content-type"].startswith(b"text/html")


def test_get_of_a_client_that_has_gone_is_carried_out(application: Application) -> None:
    # A browser that is closed early must not cost a callback its code.
    gone: Messages = [{"type": "http.disconnect"}]
    assert status_of(ask(application, gone, path="/api/verify")) == 404


def test_body_that_ends_before_its_end_begins_no_login(application: Application) -> None:
    part = {"type": "http.request", "body": b"x", "more_body": True}
    gone = {"type": "http.disconnect"}
    sent = ask(application, [part, gone], method="POST", path="/api/login")
    assert status_of(sent) == 400


def slowly(pause: float, chunks: int) -> Receive:
    """Let a body trickle, one byte after the other, and count down what is left of it."""
    left = list(range(chunks))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(pause)
        left.pop()
        return {"type": "http.request", "body": b"x", "more_body": bool(left)}

    return receive


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_body_that_trickles_for_ever_ends_in_time(
    application: Application, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    # As long as a request is open it keeps an instance busy, and a connection.
    assert timedelta(seconds=1) < messages.BODY_LIMIT < timedelta(minutes=1)
    monkeypatch.setattr(messages, "BODY_LIMIT", timedelta(milliseconds=200))
    sent: Messages = []
    scope = scope_with(method=method, path="/api/login")
    asyncio.run(respond(application, scope, slowly(0.01, 1000), sent))
    assert status_of(sent) == 408


def test_slow_body_that_comes_in_time_is_read(application: Application) -> None:
    sent: Messages = []
    scope = scope_with(method="POST", path="/api/login")
    asyncio.run(respond(application, scope, slowly(0.001, 20), sent))
    # To the end, and refused for what it says.
    assert status_of(sent) == 400
    assert b"length 20)" in sent[1]["body"]


def test_websocket_is_closed_before_it_is_accepted(application: Application) -> None:
    assert ask(application, type="websocket") == [{"type": "websocket.close"}]


def test_more_headers_than_anybody_sends_are_refused(application: Application) -> None:
    few = [KEY, *((b"x", b"y") for _ in range(messages.MAX_HEADERS - 1))]
    assert status_of(ask(application, path="/api/verify", headers=few)) == 404
    assert status_of(ask(application, path="/api/verify", headers=[*few, (b"x", b"")])) == 431


def test_headers_that_are_too_long_together_are_refused(application: Application) -> None:
    longest = messages.MAX_HEADER_BYTES - len(KEY[0] + KEY[1])
    for name, value in ((b"x" * longest, b""), (b"x", b"y" * (longest - 1))):
        long = [KEY, (name, value)]
        assert status_of(ask(application, path="/api/verify", headers=long)) == 404
        longer = [KEY, (name, value + b"y")]
        assert status_of(ask(application, path="/api/verify", headers=longer)) == 431


def test_path_of_a_megabyte_is_not_found_and_not_repeated(application: Application) -> None:
    sent = ask(application, path="/api/token/" + "a" * 1_000_000)
    assert status_of(sent) == 404
    assert len(sent[1]["body"]) < 1000


def test_head_is_answered_without_a_body(application: Application) -> None:
    sent = ask(application, method="HEAD", path="/api/health")
    assert status_of(sent) == 200
    assert sent[1]["body"] == b""


def test_one_application_serves_one_event_loop_after_another(application: Application) -> None:
    # A serverless adapter may bring a new loop with each request.
    for _ in range(3):
        assert status_of(ask(application, path="/api/verify")) == 404


def test_call_that_is_cut_off_ends_when_what_it_began_is_stored(
    running_digikey: SimulatedDigiKeyPeer, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    # A platform may freeze or end an instance as soon as its last call has returned.
    environ = environ_for(running_digikey, tmp_path) | endpoint.environ

    async def go() -> Grant:
        store = Wiring(Settings.from_environ(environ)).store
        await store.swap("default", record_of(over(), "first"), expected_etag=None)
        call = asyncio.create_task(
            give(Application(ROUTES, partial(Settings.from_environ, environ)), [], scope_with())
        )
        with endpoint.held():
            while not endpoint.seen:  # noqa: ASYNC110 - it counts in another thread
                await asyncio.sleep(0.01)
            call.cancel()
            await asyncio.wait({call}, timeout=0.1)
            assert not call.done()
        await asyncio.wait({call})
        grant = (await store.load("default")).grant
        await store.close()
        return grant

    grant = asyncio.run(go())
    assert isinstance(grant, Authorized)
    assert grant.tokens.access_token == endpoint.given[0]["access_token"]


# --- raw bytes to a real server

# On Vercel the platform reads what comes from outside, and passes on what it has understood.
on_a_socket = pytest.mark.parametrize("host", ["uvicorn"], indirect=True)


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
def test_server_survives_what_is_no_request(
    deployment: Deployment, address: tuple[str, int], connection: str, message: bytes
) -> None:
    deployment.put(connection, fresh())
    rows = deployment.rows()
    answer = exchange(address, message)
    # Where the server itself refuses, the application has not been asked.
    assert not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 204"))
    assert deployment.rows() == rows
    expect_token(deployment.token(connection))


def exchange(address: tuple[str, int], message: bytes, *, half_close: bool = True) -> bytes:
    """Send bytes, say that no more will come, and return what comes back before the end."""
    received = b""
    # A server may hang up on what it does not want to read to the end.
    with socket.create_connection(address, timeout=10) as connection, suppress(OSError):
        connection.sendall(message)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            received += chunk
    return received


@on_a_socket
def test_requests_behind_one_another_on_one_connection_are_all_answered(
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

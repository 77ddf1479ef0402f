"""Commands to Upstash by its client library: each ends in time, and fails with one error."""

import asyncio
import socket
import ssl
import traceback
from datetime import timedelta
from threading import Event

import pytest

from adapters.upstash_writer import UpstashWriter
from ports.store import StoreUnavailableError
from tests.ports.scripted_server import Connection, answer, serving

LIMIT = timedelta(seconds=20)
IMPATIENCE = timedelta(milliseconds=300)


def write(url: str, limit: timedelta = LIMIT) -> object:
    """Send one command, and close the connections."""

    async def work() -> object:
        writer = UpstashWriter(url, "not-a-real-token", limit=limit, connect_limit=LIMIT)
        try:
            return await writer.execute("ZRANGEBYSCORE", "key", "-inf", 1.5, "LIMIT", 0, 10)
        finally:
            await writer.close()

    return asyncio.run(work())


def drip(connection: Connection) -> None:
    """Answer byte by byte, each within the limit of a step, until the client leaves."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
    while True:
        connection.send(b" ")
        Event().wait(0.01)


def test_the_limit_is_for_the_whole_of_a_command() -> None:
    with serving(drip) as server, pytest.raises(StoreUnavailableError, match="TimeoutError"):
        write(server.endpoint, IMPATIENCE)


def test_an_answer_that_is_nested_too_deep_is_unavailable() -> None:
    with (
        serving(answer("200 OK", b"[" * 100_000)) as server,
        pytest.raises(StoreUnavailableError, match="RecursionError"),
    ):
        write(server.endpoint)


def test_an_unencrypted_answer_is_unavailable(
    trusted: ssl.SSLContext,
) -> None:
    def answer_in_the_clear(connection: Connection) -> None:
        # TLS's own method would encrypt it.
        socket.socket.send(connection.socket, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        connection.wait_until_client_leaves()

    with (
        serving(answer_in_the_clear, tls=trusted) as server,
        pytest.raises(StoreUnavailableError, match="SSLError"),
    ):
        write(server.endpoint)


@pytest.mark.parametrize(
    ("proxy", "error"),
    [
        # Its library is not installed.
        ("socks5://name:pass-word@127.0.0.1:1", "ImportError"),
        ("ftp://name:pass-word@127.0.0.1:1", "ValueError"),
        ("http://name:pass-word/@127.0.0.1:1", "InvalidURL"),
    ],
)
def test_an_unusable_proxy_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, error: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(StoreUnavailableError, match=error) as raised:
        write("http://127.0.0.1:1")
    assert "pass-word" not in "".join(traceback.format_exception(raised.value))

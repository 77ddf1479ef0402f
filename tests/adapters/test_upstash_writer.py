"""Commands to Upstash by its own client library: that each ends, in time and in one error."""

import asyncio
import socket
import traceback
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from adapters.upstash_writer import UpstashWriter
from ports.store import StoreUnavailableError
from tests.ports.scripted_server import Connection, answer, serving
from tests.system.certificates import server_certificate

LIMIT = timedelta(seconds=20)
IMPATIENCE = timedelta(milliseconds=300)


def write(url: str, limit: timedelta = LIMIT) -> object:
    """Send one command, and let go of the connections."""

    async def work() -> object:
        writer = UpstashWriter(url, "not-a-real-token", limit=limit, connect_limit=limit)
        try:
            return await writer.execute("ZRANGEBYSCORE", "key", "-inf", 1.5, "LIMIT", 0, 10)
        finally:
            await writer.close()

    return asyncio.run(work())


def drip(connection: Connection) -> None:
    """Answer byte by byte, each long before a step's limit, until the client leaves."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")
    while True:
        connection.send(b" ")
        Event().wait(0.01)


def test_the_limit_is_for_the_whole_of_a_command() -> None:
    with serving(drip) as server, pytest.raises(StoreUnavailableError, match="TimeoutError"):
        write(server.endpoint, IMPATIENCE)


def test_an_answer_that_is_nested_too_deep_means_that_the_store_is_unavailable() -> None:
    with (
        serving(answer("200 OK", b"[" * 100_000)) as server,
        pytest.raises(StoreUnavailableError, match="RecursionError"),
    ):
        write(server.endpoint)


def test_an_answer_that_is_not_encrypted_means_that_the_store_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer_in_the_clear(connection: Connection) -> None:
        # Not by TLS's own, which would encrypt it.
        socket.socket.send(connection.socket, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        connection.wait_until_client_leaves()

    context = server_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with (
        serving(answer_in_the_clear, tls=context) as server,
        pytest.raises(StoreUnavailableError, match="SSLError"),
    ):
        write(server.endpoint)


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        # What this needs is not installed.
        ("socks5://name:pass-word@127.0.0.1:1", "ImportError"),
        ("ftp://name:pass-word@127.0.0.1:1", "ValueError"),
        ("http://name:pass-word/@127.0.0.1:1", "InvalidURL"),
    ],
)
def test_a_proxy_that_cannot_be_used_means_that_the_store_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, proxy: str, said: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(StoreUnavailableError, match=said) as raised:
        write("http://127.0.0.1:1")
    assert "pass-word" not in "".join(traceback.format_exception(raised.value))

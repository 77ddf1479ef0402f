"""Reads from Upstash with the standard library: requests, connections, retries and limits."""

import asyncio
import json
import socket
import ssl
from collections.abc import Callable, Coroutine
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from adapters.upstash_reader import UpstashReader, _Idle
from ports.store import StoreUnavailableError
from tests.ports.scripted_server import (
    Connection,
    Script,
    ScriptedServer,
    answer,
    raw,
    serving,
    stall,
)
from tests.system.certificates import server_certificate

TOKEN = "not-a-real-token"
LIMIT = timedelta(seconds=20)
AT_ONCE = 100
# Long enough for a busy machine to send a request.
IMPATIENCE = timedelta(seconds=1)
FOUND = b'{"result":["etag","sealed"]}'
# An answer without an announced end of its connection.
KEEPING = f"HTTP/1.1 200 OK\r\nContent-Length: {len(FOUND)}\r\n\r\n".encode() + FOUND
STALE = b'{"result":["etag of another","sealed"]}'
NONSENSE = {
    "HTML": answer("502 Bad Gateway", b"<html>502</html>", content_type="text/html"),
    "nothing": answer("200 OK"),
    "half": answer("200 OK", FOUND[:-3]),
    "an array": answer("200 OK", b"[]"),
    "text": answer("200 OK", b'"result"'),
    "null": answer("200 OK", b"null"),
    "no result": answer("200 OK", b"{}"),
    "not UTF-8": answer("200 OK", b"\xff\xfe\xff"),
    "no end of arrays": answer("200 OK", b"[" * 100_000),
    "too much": answer("200 OK", b'{"result":"' + b"x" * 1024 * 1024 + b'"}'),
    "no HTTP": raw(b"+OK\r\n"),
    "closed at once": raw(b""),
    "closed in the body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + FOUND),
}


def reading(
    url: str,
    work: Callable[[UpstashReader], Coroutine[Any, Any, object]],
    limit: timedelta = LIMIT,
) -> object:
    """Use a reader, and close it."""
    reader = UpstashReader(url, TOKEN, limit=limit, connect_limit=limit)
    try:
        return asyncio.run(work(reader))
    finally:
        reader.close()


async def read(reader: UpstashReader) -> object:
    return await reader.execute("HMGET", "key", "etag", "sealed")


async def read_twice(reader: UpstashReader) -> object:
    await read(reader)
    return await read(reader)


def failure(script: Script, limit: timedelta = LIMIT) -> str:
    with serving(script) as server, pytest.raises(StoreUnavailableError) as raised:
        reading(server.endpoint, read, limit)
    # With a short limit, a busy machine may not even send it in time.
    assert len(server.requests) == 1 or (limit == IMPATIENCE and not server.requests)
    return str(raised.value)


class KeptOpen(ThreadingHTTPServer):
    """A server that keeps its connections open, and counts them."""

    daemon_threads = True
    request_queue_size = 128
    connections = 0
    may_answer = Event()

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    """Sends one answer to all, once it may."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        assert isinstance(self.server, KeptOpen)
        self.server.may_answer.wait()
        self.send_response(200)
        self.send_header("content-length", str(len(FOUND)))
        self.end_headers()
        self.wfile.write(FOUND)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@pytest.fixture
def kept_open() -> Any:
    with KeptOpen(("127.0.0.1", 0), Handler) as server:
        server.may_answer = Event()
        server.may_answer.set()
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_of(server: KeptOpen) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def test_a_command_is_one_authorized_post_of_an_array() -> None:
    with serving(answer("200 OK", FOUND)) as server:
        assert reading(server.endpoint, read) == ["etag", "sealed"]
    (arrived,) = server.requests
    assert arrived.line == "POST /token HTTP/1.1"
    assert json.loads(arrived.body) == ["HMGET", "key", "etag", "sealed"]
    assert arrived.all("authorization") == [f"Bearer {TOKEN}"]
    assert arrived.all("content-type") == ["application/json"]
    assert arrived.all("upstash-sync-token") == [""]


def test_the_last_writes_token_is_sent() -> None:
    async def read_after_a_write(reader: UpstashReader) -> object:
        reader.sync_token = "as-of-then"
        return await read(reader)

    with serving(answer("200 OK", FOUND)) as server:
        reading(server.endpoint, read_after_a_write)
    assert server.requests[0].all("upstash-sync-token") == ["as-of-then"]


def test_a_connection_is_kept_for_the_next_read_on_any_event_loop(kept_open: KeptOpen) -> None:
    reader = UpstashReader(url_of(kept_open), TOKEN, limit=LIMIT, connect_limit=LIMIT)
    for _ in range(3):
        assert asyncio.run(read(reader)) == ["etag", "sealed"]
    assert kept_open.connections == 1
    reader.close()


def test_reads_at_one_time_do_not_wait_for_each_other(kept_open: KeptOpen) -> None:
    kept_open.may_answer.clear()

    async def all_at_once(reader: UpstashReader) -> object:
        reads = [asyncio.ensure_future(read(reader)) for _ in range(AT_ONCE)]
        while kept_open.connections < AT_ONCE:  # noqa: ASYNC110 - it counts in another thread
            await asyncio.sleep(0.01)
        kept_open.may_answer.set()
        return await asyncio.gather(*reads)

    assert reading(url_of(kept_open), all_at_once) == [["etag", "sealed"]] * AT_ONCE


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    # The server closes after each answer.
    with serving(answer("200 OK", FOUND)) as server:
        assert reading(server.endpoint, read_twice) == ["etag", "sealed"]
    assert server.connections == 2


def test_a_kept_connection_that_closes_during_a_request_is_replaced() -> None:
    def answer_once(connection: Connection) -> None:
        answer("200 OK", FOUND)(connection)
        connection.socket.recv(1)

    with serving(answer_once) as server:
        assert reading(server.endpoint, read_twice) == ["etag", "sealed"]
    assert server.connections == 2


def test_an_unrequested_answer_is_not_taken_for_the_next_one() -> None:
    may_send, is_sent = Event(), Event()

    def answer_once_too_often(connection: Connection) -> None:
        answer("200 OK", FOUND)(connection)
        may_send.wait()
        answer("200 OK", STALE)(connection)
        is_sent.set()
        connection.wait_until_client_leaves()

    async def read_on(reader: UpstashReader) -> object:
        await read(reader)
        may_send.set()
        is_sent.wait()
        return await read(reader)

    with serving(answer_once_too_often) as server:
        assert reading(server.endpoint, read_on) == ["etag", "sealed"]
    assert server.connections == 2


def test_an_answer_after_early_hints_is_not_taken_for_the_next_one() -> None:
    def hint_and_answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.socket.recv(1)
        answer("200 OK", STALE)(connection)

    async def read_on(reader: UpstashReader) -> object:
        with pytest.raises(StoreUnavailableError):
            await read(reader)
        return await read(reader)

    with serving(hint_and_answer) as server, pytest.raises(StoreUnavailableError):
        reading(server.endpoint, read_on)


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    kept_open: KeptOpen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_much_later(reader: UpstashReader) -> object:
        await read(reader)
        monkeypatch.setattr("adapters.upstash_reader._MAX_IDLE", timedelta(0))
        return await read(reader)

    reading(url_of(kept_open), read_much_later)
    assert kept_open.connections == 2


def test_a_read_closes_old_connections_and_keeps_the_rest() -> None:
    all_asked, has_left = Barrier(3), Event()

    def answer_until_client_leaves(connection: Connection) -> None:
        all_asked.wait()
        while True:
            connection.send(KEEPING)
            if not connection.socket.recv(65536):
                break
        has_left.set()

    async def read_after_a_burst(reader: UpstashReader) -> None:
        await asyncio.gather(*(read(reader) for _ in range(3)))
        # The oldest.
        reader._idle[0] = _Idle(reader._idle[0].connection, since=-inf)
        await read(reader)
        assert await asyncio.to_thread(has_left.wait, LIMIT.total_seconds())
        assert len(reader._idle) == 2

    with serving(answer_until_client_leaves) as server:
        reading(server.endpoint, read_after_a_burst)
    assert server.connections == 3


def test_a_read_without_an_answer_is_not_repeated(
    kept_open: KeptOpen,
) -> None:
    async def read_in_vain(reader: UpstashReader) -> object:
        await read(reader)
        kept_open.may_answer.clear()
        try:
            return await read(reader)
        finally:
            kept_open.may_answer.set()

    with pytest.raises(StoreUnavailableError, match="does not answer"):
        reading(url_of(kept_open), read_in_vain, IMPATIENCE)
    assert kept_open.connections == 1


def drip(connection: Connection) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200:
        connection.send(bytes([byte]))
        Event().wait(0.05)


@pytest.mark.parametrize("script", [stall, drip], ids=["nothing", "byte by byte"])
def test_the_limit_is_for_the_whole_of_a_read(script: Script) -> None:
    assert failure(script, IMPATIENCE) == "Upstash does not answer"


def test_a_read_whose_answer_ends_the_connection_has_its_limit() -> None:
    has_left = Event()
    script = drip_until_client_leaves(has_left, b"Connection: close\r\n")
    assert failure(script, IMPATIENCE) == "Upstash does not answer"
    assert has_left.is_set()


def drip_until_client_leaves(has_left: Event, headers: bytes = b"") -> Script:
    def script(connection: Connection) -> None:
        try:
            connection.send(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 400\r\n\r\n")
            for _ in range(400):
                connection.send(b" ")
                has_left.wait(0.05)
        except OSError:
            has_left.set()

    return script


async def begin(reader: UpstashReader, server: ScriptedServer) -> "asyncio.Task[object]":
    """Start a read, and wait until its request has arrived."""
    task = asyncio.ensure_future(read(reader))
    while not server.requests:  # noqa: ASYNC110 - it counts in another thread
        await asyncio.sleep(0.01)
    return task


def test_a_cancelled_read_ends() -> None:
    has_ended = Event()

    def watch(connection: Connection) -> None:
        connection.wait_until_client_leaves()
        has_ended.set()

    with serving(watch) as server:

        async def read_and_leave(reader: UpstashReader) -> None:
            task = await begin(reader, server)
            task.cancel()
            await asyncio.wait([task])

        # Longer than the limit of the server.
        reading(server.endpoint, read_and_leave, 3 * LIMIT)
    assert has_ended.is_set()


def test_a_read_that_was_given_up_while_it_connected_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_connect, look_up = Event(), socket.getaddrinfo

    def look_up_slowly(*arguments: Any, **options: Any) -> Any:
        may_connect.wait()
        return look_up(*arguments, **options)

    async def read_in_vain(reader: UpstashReader) -> object:
        try:
            return await read(reader)
        finally:
            may_connect.set()

    with serving(answer("200 OK", FOUND)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", look_up_slowly)
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            reading(server.endpoint, read_in_vain, IMPATIENCE)
    assert server.requests == []


def test_a_read_without_a_thread_fails_and_the_next_one_succeeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read_and_read_on(reader: UpstashReader) -> object:
        with monkeypatch.context() as patch:
            patch.setattr(Thread, "start", start_in_vain)
            with pytest.raises(StoreUnavailableError, match="can't start new thread"):
                await read(reader)
        return await read(reader)

    with serving(answer("200 OK", FOUND)) as server:
        assert reading(server.endpoint, read_and_read_on) == ["etag", "sealed"]
    assert server.connections == 1


def start_in_vain(_: Thread) -> None:
    """Fail like a system without more threads."""
    raise RuntimeError("can't start new thread")


def test_close_ends_the_reads_without_waiting() -> None:
    has_left = Event()
    with serving(drip_until_client_leaves(has_left)) as server:

        async def read_and_close(reader: UpstashReader) -> None:
            task = await begin(reader, server)
            reader.close()
            assert not has_left.is_set()
            with pytest.raises(StoreUnavailableError):
                await task

        # Longer than the server sends.
        reading(server.endpoint, read_and_close, 3 * LIMIT)
    assert has_left.is_set()


def test_a_read_that_waits_for_a_thread_sends_nothing_after_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.upstash_reader._MAX_CONCURRENCY", 1)
    with serving(stall) as server:

        async def read_twice_and_close(reader: UpstashReader) -> None:
            tasks = [await begin(reader, server), asyncio.ensure_future(read(reader))]
            await asyncio.sleep(0)
            reader.close()
            for task in tasks:
                with pytest.raises(StoreUnavailableError):
                    await task

        # Longer than the limit of the server.
        reading(server.endpoint, read_twice_and_close, 3 * LIMIT)
    assert server.connections == 1


@pytest.mark.parametrize("is_in_flight", [False, True], ids=["idle", "in flight"])
def test_close_closes_every_connection(
    kept_open: KeptOpen, monkeypatch: pytest.MonkeyPatch, *, is_in_flight: bool
) -> None:
    may_put_back, is_answered = Event(), Event()
    connect, opened = socket.create_connection, list[socket.socket]()

    def note(*arguments: Any, **options: Any) -> Any:
        opened.append(connect(*arguments, **options))
        return opened[0]

    def put_back_slowly(connection: HTTPConnection, since: float) -> _Idle:
        is_answered.set()
        assert may_put_back.wait(LIMIT.total_seconds())
        return _Idle(connection, since=since)

    async def read_and_close(reader: UpstashReader) -> None:
        task = asyncio.ensure_future(read(reader))
        await asyncio.to_thread(is_answered.wait)
        if not is_in_flight:
            may_put_back.set()
            await task
        reader.close()
        may_put_back.set()
        await task
        reader._threads.shutdown()
        assert [sock.fileno() for sock in opened] == [-1]

    monkeypatch.setattr(socket, "create_connection", note)
    monkeypatch.setattr("adapters.upstash_reader._Idle", put_back_slowly)
    reading(url_of(kept_open), read_and_close)


def test_a_read_after_close_raises_runtime_error() -> None:
    async def read_too_late(reader: UpstashReader) -> None:
        reader.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await read(reader)

    reading("http://127.0.0.1:1", read_too_late)


@pytest.mark.parametrize("script", NONSENSE.values(), ids=NONSENSE)
def test_an_invalid_answer_is_unavailable(script: Script) -> None:
    assert failure(script).startswith("Upstash: ")


def test_an_error_of_upstash_is_quoted() -> None:
    error = failure(answer("401 Unauthorized", b'{"error":"WRONGPASS invalid auth token"}'))
    assert error == "Upstash: WRONGPASS invalid auth token"


def test_an_unreachable_server_is_unavailable() -> None:
    with serving(stall) as server:
        pass
    with pytest.raises(StoreUnavailableError, match="ConnectionRefusedError"):
        reading(server.endpoint, read)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_trusted_server_is_asked_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    context = certified(tmp_path, monkeypatch, host)
    with serving(answer("200 OK", FOUND), tls=context) as server:
        endpoint = server.endpoint.replace("127.0.0.1", host)
        assert reading(endpoint, read) == ["etag", "sealed"]


def test_a_connection_is_kept_over_tls_too(trusted: ssl.SSLContext) -> None:
    def answer_twice(connection: Connection) -> None:
        connection.send(KEEPING)
        connection.socket.recv(65536)
        connection.send(KEEPING)

    with serving(answer_twice, tls=trusted) as server:
        assert reading(server.endpoint, read_twice) == ["etag", "sealed"]
    assert server.connections == 1


def test_a_read_that_is_given_up_stays_encrypted(
    trusted: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutdown, versions = socket.socket.shutdown, list[str | None]()

    def note(ended: socket.socket, how: int) -> None:
        if isinstance(ended, ssl.SSLSocket):
            # Whether its thread would still encrypt.
            versions.append(ended.version())
        shutdown(ended, how)

    with serving(stall, tls=trusted) as server:
        monkeypatch.setattr(socket.socket, "shutdown", note)
        # One that was given up before its handshake was over proves nothing.
        while not any(versions):
            with pytest.raises(StoreUnavailableError, match="does not answer"):
                reading(server.endpoint, read, IMPATIENCE)
    assert versions[-1] == "TLSv1.3"


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost"])
def test_another_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    context = certified(tmp_path, monkeypatch, host)
    with serving(answer("200 OK", FOUND), tls=context) as server:
        with pytest.raises(StoreUnavailableError, match="SSLCertVerificationError"):
            reading(server.endpoint, read)
        assert server.requests == []


def certified(folder: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> ssl.SSLContext:
    """Make a certificate for the host that clients trust."""
    context = server_certificate(folder, host)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "certificate.pem"))
    return context

"""One exchange over a connection: the answers that it reads, and those that it refuses.

`http.client` reads each answer of the first table as well, and has to agree.
"""

import socket
import time
from contextlib import closing
from http.client import HTTPResponse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauth_callback.http11 import HttpAnswer, exchange, open_tunnel

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_DIGIT = b"1\r\n.\r\n"


def ask(answer: bytes, *, method: str = "GET", target: str = "/", **headers: str) -> HttpAnswer:
    """Send a request to a peer that has answered already, and closed its side."""
    ours, its = socket.socketpair()
    with closing(ours), closing(its):
        its.sendall(answer)
        its.shutdown(socket.SHUT_WR)
        return exchange(ours, method, target, headers, None, deadline=time.monotonic() + 20)


def read_by_library(answer: bytes) -> tuple[int, bytes]:
    """Let the standard library read an answer."""
    ours, its = socket.socketpair()
    with closing(ours), closing(its), HTTPResponse(ours, method="GET") as response:
        its.sendall(answer)
        its.shutdown(socket.SHUT_WR)
        response.begin()
        return response.status, response.read()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(OK + b"Content-Length: 2\r\n\r\nabc", b"ab", id="length"),
        pytest.param(OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", b"a", id="twice"),
        pytest.param(OK + b"\r\nuntil the end", b"until the end", id="until the end"),
        pytest.param(b"HTTP/1.0 200 OK\n\nold", b"old", id="line feeds alone"),
        pytest.param(b"HTTP/1.1 200\r\n\r\n", b"", id="no reason"),
        pytest.param(
            CHUNKED + b"2\r\nab\r\nA ; x=y\r\n0123456789\r\n0\r\n\r\n", b"ab0123456789", id="chunks"
        ),
        pytest.param(CHUNKED + b"1\r\na\r\n00\r\nTrailer: x\r\n\r\n", b"a", id="trailers"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\na", b"a", id="continue"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", b"", id="no content"),
        pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", id="304"),
        pytest.param(OK + b"X: \xff\r\nContent-Length:1\r\n\r\na", b"a", id="not ASCII"),
    ],
)
def test_an_answer_is_read_as_the_standard_library_reads_it(answer: bytes, body: bytes) -> None:
    assert ask(answer).body == body
    assert read_by_library(answer) == (ask(answer).status, body)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(b"", "sent no answer", id="closed"),
        pytest.param(b"HTTP/1.1 200", "cut off", id="in the status"),
        pytest.param(OK, "cut off", id="in the head"),
        pytest.param(OK + b"Content-Length: 3\r\n\r\nab", "cut off", id="in the body"),
        pytest.param(CHUNKED + b"3\r\nab", "cut off", id="in a chunk"),
        pytest.param(CHUNKED + b"2\r\nab\r\n", "cut off", id="before the last chunk"),
        pytest.param(CHUNKED + b"2\r\nab\r\n0\r\n", "cut off", id="before the trailers"),
        pytest.param(CHUNKED + b"2\r\nabc\r\n", "malformed", id="longer than its chunk"),
        pytest.param(CHUNKED + b"\r\n", "malformed", id="no size"),
        pytest.param(CHUNKED + b"-1\r\n", "malformed", id="negative size"),
        pytest.param(CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", "malformed", id="prefixed size"),
        pytest.param(CHUNKED + b"1_0\r\n", "malformed", id="underscore in a size"),
        pytest.param(CHUNKED + b"0" * 17 + b"\r\n", "malformed", id="long size"),
        pytest.param(CHUNKED + b"FFFFFFFFFFFF\r\n", "larger than", id="huge chunk"),
        pytest.param(CHUNKED + _DIGIT * 300_000, "larger than", id="many chunks"),
        pytest.param(
            OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "malformed", id="two lengths"
        ),
        pytest.param(OK + b"Content-Length: +1\r\n\r\na", "malformed", id="signed length"),
        pytest.param(OK + b"Content-Length: \xb2\r\n\r\nab", "malformed", id="superscript length"),
        pytest.param(OK + b"Content-Length: 2000000\r\n\r\n", "larger than", id="huge length"),
        pytest.param(
            OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "malformed", id="compressed"
        ),
        pytest.param(OK + b"X: y\r\n continued\r\n\r\n", "malformed", id="continued line"),
        pytest.param(OK + b"X : y\r\n\r\n", "malformed", id="space before the colon"),
        pytest.param(OK + b"no colon\r\n\r\n", "malformed", id="no colon"),
        pytest.param(OK + b"X: y\r\n" * 101 + b"\r\n", "too many headers", id="many headers"),
        pytest.param(OK + b"X: " + b"y" * 200_000, "line that is too long", id="long line"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, "larger than", id="only interim"),
        pytest.param(b"HTTP/2 200\r\n\r\n", "malformed", id="another version"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", "malformed", id="long status"),
        pytest.param(b"HTTP/1.1 20\xb2 OK\r\n\r\n", "malformed", id="superscript status"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "malformed", id="another protocol"),
    ],
)
def test_an_answer_that_is_refused(answer: bytes, message: str) -> None:
    with pytest.raises(OSError, match=message):
        _ask_slow_reader(answer)


def _ask_slow_reader(answer: bytes) -> HttpAnswer:
    """As `ask`, for an answer that is larger than the buffer of a connection."""
    from threading import Thread

    ours, its = socket.socketpair()

    def send() -> None:
        try:
            its.sendall(answer)
        except OSError:
            return
        its.shutdown(socket.SHUT_WR)

    with closing(its):
        sending = Thread(target=send)
        sending.start()
        try:
            with closing(ours):
                return exchange(ours, "GET", "/", {}, None, deadline=time.monotonic() + 20)
        finally:
            sending.join()


@given(st.binary(max_size=200).map(lambda data: OK + data))
def test_any_bytes_are_an_answer_or_an_error(answer: bytes) -> None:
    try:
        ask(answer)
    except OSError:
        return


@given(st.lists(st.binary(min_size=1, max_size=20)), st.integers(1, 7))
def test_chunks_are_joined_however_they_arrive(chunks: list[bytes], step: int) -> None:
    text = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\n\r\n"
    ours = _Pieces([text[start : start + step] for start in range(0, len(text), step)])
    answer = exchange(ours, "GET", "/", {}, None, deadline=time.monotonic() + 20)  # type: ignore[arg-type]
    assert answer.body == b"".join(chunks)


class _Pieces:
    """A connection whose data arrives in these pieces, however TCP would join them."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter([*pieces, b""])

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def sendall(self, data: bytes) -> None:
        assert data

    def recv(self, size: int) -> bytes:
        piece = next(self._pieces)
        assert len(piece) <= size
        return piece


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        pytest.param("/a b", {}, id="space"),
        pytest.param("/\r\nX: y", {}, id="line feed in the target"),
        pytest.param("/", {"X": "y\r\nZ: w"}, id="line feed in a header"),
        pytest.param("/", {"X": "ä"}, id="not ASCII"),
    ],
)
def test_a_request_that_would_have_more_lines_is_not_sent(
    target: str, headers: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="characters"):
        ask(OK + b"\r\n", target=target, **headers)


def test_the_request_ends_the_connection_and_has_its_length() -> None:
    ours, its = socket.socketpair()
    with closing(ours), closing(its):
        its.sendall(OK + b"\r\n")
        its.shutdown(socket.SHUT_WR)
        exchange(ours, "POST", "/x", {"Host": "h"}, b"{}", deadline=time.monotonic() + 20)
        head, _, body = its.recv(65536).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        *(b"POST /x HTTP/1.1", b"Host: h", b"Accept-Encoding: identity", b"Connection: close"),
        b"Content-Length: 2",
    ]
    assert body == b"{}"


def test_the_time_is_up_before_the_request() -> None:
    ours, its = socket.socketpair()
    with closing(ours), closing(its):
        with pytest.raises(TimeoutError):
            exchange(ours, "GET", "/", {}, None, deadline=time.monotonic() - 1)
        its.settimeout(0)
        with pytest.raises(BlockingIOError):
            its.recv(1)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(b"HTTP/1.1 407 Login\r\n\r\n", "proxy answers with status 407", id="refused"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nx", "malformed", id="more than the head"),
    ],
)
def test_a_proxy_that_does_not_connect(answer: bytes, message: str) -> None:
    ours, its = socket.socketpair()
    with closing(ours), closing(its):
        its.sendall(answer)
        with pytest.raises(OSError, match=message):
            open_tunnel(ours, "keeper.test:443", {}, deadline=time.monotonic() + 20)

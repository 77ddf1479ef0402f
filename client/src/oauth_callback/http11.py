"""One HTTP/1.1 exchange over a connection: a request, and its bounded answer.

`http.client` would do it, but imports `email` and `ssl`: a third of a short command's start. This
reads what RFC 9112 requires of a client that asks once: no pipelining, no compression, no upgrade.
"""

from __future__ import annotations

import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

LARGEST_ANSWER = 1024 * 1024
"""Bytes, with the head. A token's answer has some 2,000."""

_PIECE = 64 * 1024
_LONGEST_LINE = 64 * 1024
_MOST_HEADERS = 100
_INFORMATIONAL = range(100, 200)
_WITHOUT_BODY = frozenset({204, 304})
_LONGEST_NUMBER = 16
_DIGITS = {10: b"0123456789", 16: b"0123456789abcdefABCDEF"}


class HttpAnswer:
    """A status, the headers in lower case, and the body. The repr does not contain the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f"<HttpAnswer {self.status}>"


def exchange(
    connection: socket.socket,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    deadline: float,
) -> HttpAnswer:
    """Send a request, and return its answer. The server closes the connection after it.

    `deadline` is a time of `time.monotonic`, for all of it.

    Raises OSError, ValueError for a request with control characters.
    """
    head = _request_head(method, target, _with_length(headers, body))
    _limit(connection, deadline)
    connection.sendall(head + (body or b""))
    reader = _Reader(connection, deadline)
    status, received = _read_head(reader)
    return HttpAnswer(status, received, _read_body(reader, status, received))


def open_tunnel(
    connection: socket.socket, authority: str, headers: Mapping[str, str], *, deadline: float
) -> None:
    """Let a proxy connect to HOST:PORT (RFC 9110 §9.3.6). Raises OSError, ValueError."""
    _limit(connection, deadline)
    connection.sendall(_request_head("CONNECT", authority, {"Host": authority, **headers}))
    reader = _Reader(connection, deadline)
    status, _ = _read_head(reader)
    if status not in range(200, 300):
        raise OSError(errno.ECONNREFUSED, f"the proxy answers with status {status}")
    if reader.has_more():
        # The server waits for the client, so that these bytes are the proxy's.
        raise _malformed()


def _with_length(headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
    length = {} if body is None else {"Content-Length": str(len(body))}
    return {**headers, "Accept-Encoding": "identity", "Connection": "close", **length}


def _request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    # A line feed would begin another header.
    if " " in target or not all(line.isascii() and line.isprintable() for line in lines):
        raise ValueError("the request has characters that no header has")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")


def _read_head(reader: _Reader) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of the final answer."""
    while True:
        status = _status(reader.line())
        headers = _read_headers(reader)
        # RFC 9110 §15.2: a client has to be able to pass over any number of these.
        if status not in _INFORMATIONAL:
            return status, headers


def _status(line: bytes) -> int:
    """Read a status line, whose reason may be missing."""
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit() or rest[3:4] not in {b"", b" "}:
        raise _malformed()
    return int(code)


def _read_headers(reader: _Reader) -> dict[str, str]:
    """Read the lines up to the empty one. Of a repeated header the last one counts."""
    headers: dict[str, str] = {}
    for _ in range(_MOST_HEADERS + 1):
        line = reader.line()
        if not line:
            return headers
        name, colon, text = line.decode("latin-1").partition(":")
        # RFC 9112 §5.1 and §5.2: no space before the colon, and no line that continues another.
        if not colon or not name or name != name.strip():
            raise _malformed()
        name, text = name.lower(), text.strip()
        if name == "content-length" and headers.get(name, text) != text:
            raise _malformed()
        headers[name] = text
    raise OSError(errno.EMSGSIZE, "the answer has too many headers")


def _read_body(reader: _Reader, status: int, headers: Mapping[str, str]) -> bytes:
    """Read the body by the rules of RFC 9112 §6.3."""
    if status in _WITHOUT_BODY:
        return b""
    coding = headers.get("transfer-encoding")
    if coding is not None:
        if coding.lower() != "chunked":
            raise _malformed()
        return _read_chunks(reader)
    length = headers.get("content-length")
    return (
        reader.rest() if length is None else reader.exactly(_number(length.encode("latin-1"), 10))
    )


def _read_chunks(reader: _Reader) -> bytes:
    """Read the chunks of RFC 9112 §7.1, and drop the trailers."""
    content = bytearray()
    while size := _number(reader.line().partition(b";")[0].rstrip(b" \t"), 16):
        content += reader.exactly(size)
        if reader.line():
            raise _malformed()
    _read_headers(reader)
    return bytes(content)


def _number(digits: bytes, base: int) -> int:
    """Read a size. `int` alone takes signs, spaces and underscores as well."""
    if not digits or len(digits) > _LONGEST_NUMBER or digits.strip(_DIGITS[base]):
        raise _malformed()
    return int(digits, base)


class _Reader:
    """Reads from a connection until a deadline, at most the largest answer."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = bytearray()
        self._received = 0

    def line(self) -> bytes:
        """Return a line without its end, which may be a line feed alone."""
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > _LONGEST_LINE:
                raise OSError(errno.EMSGSIZE, "the answer has a line that is too long")
            self._fill_or_fail()
        line = self._take(end + 1)[:-1]
        return line[:-1] if line.endswith(b"\r") else line

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        if size > LARGEST_ANSWER:
            raise _too_large()
        while len(self._buffer) < size:
            self._fill_or_fail()
        return self._take(size)

    def rest(self) -> bytes:
        """Return all bytes until the server closes the connection."""
        while self._fill():
            pass
        return self._take(len(self._buffer))

    def has_more(self) -> bool:
        """Whether more bytes have come than were taken."""
        return bool(self._buffer)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill_or_fail(self) -> None:
        if not self._fill():
            what = "the answer is cut off" if self._received else "it sent no answer"
            raise OSError(errno.ECONNRESET, what)

    def _fill(self) -> bool:
        """Wait for more bytes. Return False at the end of the connection."""
        _limit(self._connection, self._deadline)
        piece = self._connection.recv(_PIECE)
        self._buffer += piece
        self._received += len(piece)
        if self._received > LARGEST_ANSWER:
            raise _too_large()
        return bool(piece)


def _limit(connection: socket.socket, deadline: float) -> None:
    """Limit the next wait to the rest of the time."""
    rest = deadline - time.monotonic()
    if rest <= 0:
        raise TimeoutError("timed out")
    connection.settimeout(rest)


def _malformed() -> OSError:
    return OSError(errno.EBADMSG, "the answer is malformed")


def _too_large() -> OSError:
    return OSError(errno.EMSGSIZE, "the answer is larger than 1 MiB")

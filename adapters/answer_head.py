"""Repair of HTTP response heads, so that h11 accepts what curl and browsers accept.

A refused response may hold the only valid refresh token. Lenient parsing is safe here: each
connection carries one request, so a response cannot be mistaken for another request's.
"""

import re
from collections.abc import Iterator

# The limit of curl.
_LONGEST_HEAD = 300 * 1024
_PROTOCOL = b"HTTP/"
_STATUS = re.compile(rb"HTTP/[0-9.]{1,8}[ \t]+([0-9]{3})(?![0-9])", re.IGNORECASE)
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_END = re.compile(rb"\n\r?\n")
# RFC 9110 §5.6.2, §5.5.
_NAME = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]+")
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_LENGTH = re.compile(rb"[0-9]{1,18}")


class AnswerHead:
    """A buffer that holds received bytes back until a head is complete, and repairs it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self._is_done = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes that can be read now. Empty `data` is the end of the connection."""
        if self._is_done:
            return data
        self._held += data
        ready = b""
        while head := self._take_head():
            ready += head
        if not data or not self._may_become_a_head():
            self._is_done = True
        if self._is_done:
            ready += self._held
            self._held.clear()
        return ready

    def _may_become_a_head(self) -> bool:
        prefix = self._held[: len(_PROTOCOL)].upper()
        return prefix == _PROTOCOL[: len(prefix)] and len(self._held) <= _LONGEST_HEAD

    def _take_head(self) -> bytes:
        """Remove a complete head from the buffer and return it repaired; else return b""."""
        if self._is_done:
            return b""
        if self._held[:1].isspace():
            self._held, self._searched = self._held.lstrip(), 0
        end = _END.search(self._held, self._searched)
        self._searched = max(len(self._held) - 2, 0)
        if end is None or end.start() > _LONGEST_HEAD:
            return b""
        head = bytes(self._held[: end.start()])
        if (found := _STATUS.match(head)) is None:
            self._is_done = True
            return b""
        del self._held[: end.end()]
        self._searched = 0
        status = int(found[1])
        # RFC 9110 §15.2: another head follows an interim response.
        self._is_done = status >= _FIRST_FINAL or status == _SWITCHING_PROTOCOLS
        return _repair(status, head)


def _repair(status: int, head: bytes) -> bytes:
    _, _, rest = head.partition(b"\n")
    # RFC 9112 §5.2: a line that begins with a space continues the one before.
    lines = re.sub(rb"\r?\n[ \t]+", b" ", rest.lstrip()).split(b"\n")
    fields = list(_fields(lines))
    others = [field for field in fields if field[0].lower() not in _FRAMING]
    repaired = [b"%s: %s" % field for field in (*others, *_framing(fields))]
    return b"\r\n".join([b"HTTP/1.1 %d" % status, *repaired, b"", b""])


def _fields(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(name := name.strip()):
            yield name, _CONTROLS.sub(b" ", value).strip()


def _framing(fields: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Return the framing fields (RFC 9112 §6.3). Without one, the body ends with the connection."""
    if b"chunked" in _parts(fields, b"transfer-encoding"):
        yield b"Transfer-Encoding", b"chunked"
    elif len(lengths := _parts(fields, b"content-length")) == 1:
        (length,) = lengths
        if _LENGTH.fullmatch(length):
            yield b"Content-Length", length


def _parts(fields: list[tuple[bytes, bytes]], wanted: bytes) -> set[bytes]:
    values = [value for name, value in fields if name.lower() == wanted]
    return {part.strip().lower() for value in values for part in value.split(b",")}

"""The head of an HTTP answer, written anew as h11 wants it.

curl and browsers read heads that h11 refuses. The request was sent by then, and what stands behind
the head may be the only living refresh token. A connection carries one request, so nothing that is
understood too kindly here can be taken for the answer to another one.
"""

import re
from collections.abc import Iterator

# As much as curl reads.
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
    """Hold back what comes on a connection until a head is whole, and repair that."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._searched = 0
        self._is_over = False

    def pass_on(self, data: bytes) -> bytes:
        """Return what can be read now, b"" where the head goes on; no `data` is the end."""
        if self._is_over:
            return data
        self._held += data
        passed = b""
        while head := self._take_head():
            passed += head
        if not data or not self._may_become_a_head():
            self._is_over = True
        if self._is_over:
            passed += self._held
            self._held.clear()
        return passed

    def _may_become_a_head(self) -> bool:
        begins = self._held[: len(_PROTOCOL)].upper()
        return begins == _PROTOCOL[: len(begins)] and len(self._held) <= _LONGEST_HEAD

    def _take_head(self) -> bytes:
        """Cut off a head that is whole and return it repaired; b"" where there is none."""
        if self._is_over:
            return b""
        if self._held[:1].isspace():
            self._held, self._searched = self._held.lstrip(), 0
        end = _END.search(self._held, self._searched)
        self._searched = max(len(self._held) - 2, 0)
        if end is None or end.start() > _LONGEST_HEAD:
            return b""
        head = bytes(self._held[: end.start()])
        if (found := _STATUS.match(head)) is None:
            self._is_over = True
            return b""
        del self._held[: end.end()]
        self._searched = 0
        status = int(found[1])
        # RFC 9110 §15.2: behind each of the others comes another one.
        self._is_over = status >= _FIRST_FINAL or status == _SWITCHING_PROTOCOLS
        return _repaired(status, head)


def _repaired(status: int, head: bytes) -> bytes:
    _, _, rest = head.partition(b"\n")
    # RFC 9112 §5.2: a line that begins with a space goes on with the one before.
    lines = re.sub(rb"\r?\n[ \t]+", b" ", rest.lstrip()).split(b"\n")
    fields = list(_fields(lines))
    told = [field for field in fields if field[0].lower() not in _FRAMING]
    repaired = [b"%s: %s" % field for field in (*told, *_framing(fields))]
    return b"\r\n".join([b"HTTP/1.1 %d" % status, *repaired, b"", b""])


def _fields(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon and _NAME.fullmatch(name := name.strip()):
            yield name, _CONTROLS.sub(b" ", value).strip()


def _framing(fields: list[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Say how long the body is (RFC 9112 §6.3); where that is unclear, it ends with the answer."""
    if b"chunked" in _parts(fields, b"transfer-encoding"):
        yield b"Transfer-Encoding", b"chunked"
    elif len(lengths := _parts(fields, b"content-length")) == 1:
        (length,) = lengths
        if _LENGTH.fullmatch(length):
            yield b"Content-Length", length


def _parts(fields: list[tuple[bytes, bytes]], wanted: bytes) -> set[bytes]:
    values = [value for name, value in fields if name.lower() == wanted]
    return {part.strip().lower() for value in values for part in value.split(b",")}

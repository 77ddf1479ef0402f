"""Decompression of response bodies whose content coding no request asked for (RFC 9110 §8.4).

`Content-Encoding` is often wrong: gzip under another name, zlib called deflate, a plain body with
a name, a compressed one without. The first bytes of gzip and zlib are reliable.
"""

import zlib

from adapters.body_members import json_object

_GZIP = b"\x1f\x8b"
_DEFLATE = 8
# Proxies compress bodies that are compressed already.
_MAX_LAYERS = 3


def decompress(body: bytes, content_encoding: str, *, most: int) -> bytes:
    """Return the body decompressed, or unchanged if it is plain. Longer than `most`: b""."""
    for _ in range(_MAX_LAYERS):
        bits = _window_bits(body)
        found = None if bits is None else _inflate(body, bits, most)
        if found is None:
            break
        body = found
    if "deflate" in content_encoding.lower() and json_object(body) is None:
        # Some servers send deflate without zlib's header and checksum.
        return _inflate(body, -zlib.MAX_WBITS, most) or body
    return body


def _window_bits(body: bytes) -> int | None:
    if body.startswith(_GZIP):
        return zlib.MAX_WBITS | 16
    # RFC 1950 §2.2.
    is_zlib = len(body) > 1 and body[0] & 15 == _DEFLATE and int.from_bytes(body[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else None


def _inflate(body: bytes, bits: int, most: int) -> bytes | None:
    """Decompress a complete stream, or a complete JSON object. Return None for other bytes."""
    inflating = zlib.decompressobj(bits)
    try:
        text = inflating.decompress(body, most + 1)
    except zlib.error:
        return None
    if len(text) > most:
        return b""
    return text if inflating.eof or json_object(text) is not None else None

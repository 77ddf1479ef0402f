"""A body out of its content codings, which no request asks for (RFC 9110 §8.4).

What `Content-Encoding` says is wrong as often as it is right: gzip by another name, deflate that is
zlib's, a name over a body that was never packed, none over one that was. What gzip and zlib have
written says so itself.
"""

import zlib

from adapters.body_members import json_object

_GZIP = b"\x1f\x8b"
_DEFLATE = 8
# Proxies pack what is packed already.
_MOST_LAYERS = 3


def unpacked(body: bytes, content_encoding: str, *, most: int) -> bytes:
    """Return what was packed, and b"" where it is longer than `most`; what was not as it is."""
    for _ in range(_MOST_LAYERS):
        bits = _window_bits(body)
        found = None if bits is None else _inflated(body, bits, most)
        if found is None:
            break
        body = found
    if "deflate" in content_encoding.lower() and json_object(body) is None:
        # Without zlib's head and end, as some have understood the name.
        return _inflated(body, -zlib.MAX_WBITS, most) or body
    return body


def _window_bits(body: bytes) -> int | None:
    if body.startswith(_GZIP):
        return zlib.MAX_WBITS | 16
    # RFC 1950 §2.2.
    is_zlib = len(body) > 1 and body[0] & 15 == _DEFLATE and int.from_bytes(body[:2]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else None


def _inflated(body: bytes, bits: int, most: int) -> bytes | None:
    """Return what is whole by its own account, or by its braces; None where nothing is."""
    inflating = zlib.decompressobj(bits)
    try:
        text = inflating.decompress(body, most + 1)
    except zlib.error:
        return None
    if len(text) > most:
        return b""
    return text if inflating.eof or json_object(text) is not None else None

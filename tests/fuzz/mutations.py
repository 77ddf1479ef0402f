"""Strategies that spoil real bodies: cut, doubled, and joined with parts that broke parsers."""

import re
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

_NESTED = 3000
# Parts to insert. Each has broken some parser.
HOSTILE: tuple[bytes, ...] = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\xaf", b"%ed%a0%80", b"%00"),
    *(b"%", b"%zz", b"%d0%ba%f0%9f%98%80", b"%e2%80%ae", b"%0d%0ax-injected:%201", b"&", b"="),
    *(b";", b"+", b"\r\n", b"\\ud800", b'"\\udfff\\ud800"', b"\\u0000", b'"', b"\\", b"NaN"),
    *(b"-Infinity", b"null", b"true", b"[]", b"{}", b'""', b"0", b"-1", b"-0.0", b"1e999"),
    *(b"1e-999", b"9" * 400, b"9" * 5000, b"[" * _NESTED, b'{"a":' * _NESTED),
    *(b'"access_token":"another",', b'"access_token":"",', b'"access_token":null,'),
    *(b'"error":["invalid_grant"],', b'"expires_in":{"a":1},', b'"version":1,'),
    *(b'"state":"refreshing",', b'"generation":"x",', b"2026-11-24T10:19:48"),
    *(b"9999-12-31T23:59:59+23:59", b"0000-00-00", "\u202eключ\U0001f600".encode()),
    *(b"&state=another", b"&error=x", b"v1.", b"<script>", b"${jndi:ldap://x}", b"' OR 1=1 --"),
)

_Spoil = Callable[[bytes, int, int, bytes], bytes]
# A body, two places in order, and a hostile part.
_WAYS: tuple[_Spoil, ...] = (
    # Cut short, and beheaded.
    lambda body, first, _second, _part: body[:first],
    lambda body, first, _second, _part: body[first:],
    # With something more in it, in the place of something, or around it.
    lambda body, first, _second, part: body[:first] + part + body[first:],
    lambda body, first, second, part: body[:first] + part + body[second:],
    lambda body, _first, _second, part: part + body + part,
    # Without a piece, with one twice, with one turned round.
    lambda body, first, second, _part: body[:first] + body[second:],
    lambda body, first, second, _part: body[:second] + body[first:],
    lambda body, first, second, _part: body[:first] + body[first:second][::-1] + body[second:],
    # With a byte that is none of ASCII's.
    lambda body, first, _second, _part: (
        body[:first] + bytes(byte ^ 0x80 for byte in body[first : first + 1]) + body[first + 1 :]
    ),
)

# One draw for each way: which one it is, which part, and two places, of two bytes each.
_CHOICES = st.lists(st.binary(min_size=6, max_size=6), max_size=4)


def spoilt(bodies: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw one of the bodies, spoilt in up to four ways, one after the other."""
    parts = (*HOSTILE, *bodies)

    def spoil(body: bytes, choices: Sequence[bytes]) -> bytes:
        for choice in choices:
            way, part, *places = choice
            first, second = sorted(_places(body, bytes(places)))
            body = _WAYS[way % len(_WAYS)](body, first, second, parts[part % len(parts)])
        return body

    return st.builds(spoil, st.sampled_from(bodies), _CHOICES)


def _places(body: bytes, chosen: bytes) -> tuple[int, int]:
    halves = chosen[:2], chosen[2:]
    # The end more often than any other place: numbers and names go on there.
    beyond = len(body) // 8 + 2
    first, second = (int.from_bytes(half) % (len(body) + beyond) for half in halves)
    return min(first, len(body)), min(second, len(body))


# JSON texts in the place of what belongs there.
_ODD_VALUES: tuple[bytes, ...] = (
    *(b'"\\ud800"', b'"\\udc00 and more"', b'"a\\u0000b"', b'""', b'" "', b'"1e400"', b'"0"'),
    *(b'"-1"', b'"NaN"', b'"2026-11-24T10:19:48"', b'"9999-12-31T23:59:59-23:59"'),
    *(b'"refreshing"', b'"invalid_grant"', b'"DPoP"', b"0", b"-1", b"0.5", b"1e999", b"-1e999"),
    *(b"NaN", b"9" * 400, b"true", b"false", b"null", b"[]", b'["a","b"]', b'["a",1]', b"{}"),
    b'{"access_token":"x"}',
)
_MEMBER = re.compile(rb'"([a-zA-Z_-]+)": ?')


def with_odd_members(bodies: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw one of the bodies, with members set again at the end of some of its JSON objects.

    Their names are those of all the bodies. Of two members with one name, parsers read the last.
    """
    names = sorted({name for body in bodies for name in _MEMBER.findall(body)})
    members = st.tuples(st.integers(0, 3), st.sampled_from(names), st.sampled_from(_ODD_VALUES))

    def add(body: bytes, added: Sequence[tuple[int, bytes, bytes]]) -> bytes:
        for place, name, value in added:
            objects = body.split(b"}")
            inner = place % max(1, len(objects) - 1)
            objects[inner] += b',"%b":%b' % (name, value)
            body = b"}".join(objects)
        return body

    holding = [body for body in bodies if body.endswith(b"}")]
    return st.builds(add, st.sampled_from(holding), st.lists(members, min_size=1, max_size=4))

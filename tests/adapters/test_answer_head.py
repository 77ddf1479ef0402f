"""Heads of any lines: h11 can read the output, and the bytes after a head stay unchanged."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.answer_head import AnswerHead

LINES = st.lists(
    st.sampled_from(
        [
            *(b"X: y", b"X : y", b" folded: z", b"nothing", b": y", b"X: \0\xff", b"\xe9: y"),
            *(b"Content-Length: 2", b"Content-Length: 2, 2", b"Content-Length: 5"),
            b"Transfer-Encoding: identity",
        ]
    ),
    max_size=5,
)
STATUS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200", b"http/1.1  200 \xe9", b"HTTP/2 200"]
)
LINE_END = st.sampled_from([b"\r\n", b"\n"])


def passed(data: bytes, pieces: list[int]) -> bytes:
    head, out, start = AnswerHead(), b"", 0
    for end in [*sorted(pieces), len(data)]:
        if end > start:
            out, start = out + head.feed(data[start:end]), end
    return out + head.feed(b"")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_other_bytes_pass_unchanged(data: bytes, pieces: list[int]) -> None:
    if not data.lstrip()[:5].upper().startswith(b"HTTP/"):
        assert passed(data, pieces) in {data, data.lstrip()}


@given(STATUS, LINES, LINE_END, st.binary(max_size=20), st.lists(st.integers(0, 120), max_size=6))
def test_h11_reads_any_head_that_has_a_status(
    status: bytes, lines: list[bytes], end: bytes, body: bytes, pieces: list[int]
) -> None:
    data = end.join([status, *lines, b"", b""]) + body
    out = passed(data, pieces)
    assert out == passed(data, [])
    assert out.endswith(b"\r\n\r\n" + body)
    reader = h11.Connection(h11.CLIENT)
    reader.send(
        h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")])
    )
    reader.send(h11.EndOfMessage())
    reader.receive_data(out)
    event = reader.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == 200


@pytest.mark.parametrize("promise", [b"100 Continue", b"103 Early Hints"])
def test_interim_heads_pass_before_the_final_one(promise: bytes) -> None:
    head = AnswerHead()
    assert head.feed(b"HTTP/1.1 %s\nLink: x\n\nHTTP" % promise).startswith(b"HTTP/1.1 1")
    assert head.feed(b"/1.1 200 OK\n\nbody") == b"HTTP/1.1 200\r\n\r\nbody"
    assert head.feed(b"\nHTTP/1.1 500\n\n") == b"\nHTTP/1.1 500\n\n"


@example(b"220 mail.example ESMTP\r\n")
@example(b"\x05\x00")
@given(st.binary(min_size=1, max_size=8))
def test_bytes_that_cannot_become_a_head_are_not_held_back(data: bytes) -> None:
    if not b"HTTP/".startswith(data.lstrip().upper()[:5]):
        assert AnswerHead().feed(data) == data.lstrip()

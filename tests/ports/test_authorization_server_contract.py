"""What came of a token request is said, never raised: tokens, a refusal, not sent, or unknown."""

import asyncio
import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from adapters.network import Outside
from domain.metadata import ServerMetadata
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
)
from tests.ports.asking import ADAPTERS, CODE, IMPATIENCE, PATIENCE, PROVIDER, REFRESH, Adapter, ask
from tests.ports.scripted_server import Connection, Script, answer, raw, serving, stall
from tests.system.certificates import server_certificate

TOKENS = json.dumps({"access_token": "access", "token_type": "Bearer", "expires_in": 1799}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CAP = 64 * 1024

requests = pytest.mark.parametrize("request_", [REFRESH, CODE], ids=["refresh", "code"])


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=[adapter for _, adapter in ADAPTERS], ids=[name for name, _ in ADAPTERS])
def adapter(request: pytest.FixtureRequest) -> Adapter:
    chosen: Adapter = request.param
    return chosen


def delivery_of(outcome: Outcome) -> Delivery:
    assert isinstance(outcome, NoAnswer), outcome
    return outcome.delivery


def chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 8192] for start in range(0, len(body), 8192)]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + coded + b"0\r\n\r\n"


def padded(length: int) -> bytes:
    members = json.loads(TOKENS)
    empty = json.dumps({**members, "padding": ""}).encode()
    return json.dumps({**members, "padding": "x" * (length - len(empty))}).encode()


# Answered


@requests
def test_tokens_that_came_are_told(adapter: Adapter, request_: TokenRequest) -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        outcome = ask(server.endpoint, request_, adapter=adapter)
    assert outcome == TokenResponse(
        access_token="access",
        token_type="Bearer",
        expires_in=timedelta(seconds=1799),
        refresh_token=None,
        refresh_token_expires_in=None,
        scope=None,
    )
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "503 Away"])
def test_a_refusal_is_told_with_its_status(adapter: Adapter, status: str) -> None:
    with serving(answer(status, b'{"error": "invalid_grant"}')) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    assert isinstance(outcome, TokenErrorResponse)
    assert (outcome.status, outcome.error) == (int(status[:3]), "invalid_grant")


def in_one_piece(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("encode", [in_one_piece, chunked], ids=["plain", "chunked"])
def test_a_body_of_64_kib_is_still_read(adapter: Adapter, encode: Callable[[bytes], bytes]) -> None:
    with serving(raw(encode(padded(CAP)))) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


def test_an_answer_in_small_pieces_is_put_together(adapter: Adapter) -> None:
    def script(connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HEAD + b"Content-Length: %d\r\n\r\n" % len(TOKENS) + TOKENS:
            connection.send(bytes([byte]))

    with serving(script) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Temp", "308 Perm"])
def test_checklist_21_a_redirect_is_not_followed(adapter: Adapter, status: str) -> None:
    with (
        serving(answer("200 OK", TOKENS)) as target,
        serving(answer(status, b"", f"Location: {target.endpoint}")) as server,
    ):
        outcome = ask(server.endpoint, adapter=adapter)
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.status == int(status[:3])
    assert (target.connections, server.connections) == (0, 1)


@pytest.mark.parametrize(
    "location",
    ["https:login", "data:x/y", "//xn--a-", "//xn--a..", ":javascript://]@http", "//[", "\xff"],
)
def test_a_redirect_to_what_is_no_address_is_an_answer_all_the_same(
    adapter: Adapter, location: str
) -> None:
    found = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    with serving(raw(found.encode("latin-1"))) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    assert isinstance(outcome, TokenErrorResponse)
    assert (outcome.status, len(server.requests)) == (302, 1)


DATE = "Date: Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize("status", ["503 Away", "429 Slow down"])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (["Retry-After: 120"], timedelta(seconds=120)),
        ([DATE, "Retry-After: Sun, 01 Mar 2026 12:02:00 GMT"], timedelta(seconds=120)),
        ([DATE, "Retry-After: Sun, 01 Mar 2026 11:00:00 GMT"], timedelta(0)),
        (["Retry-After: soon"], None),
        (["Retry-After: -1"], None),
        (["Retry-After: \xff"], None),
        ([], None),
    ],
    ids=repr,
)
def test_a_wish_to_be_left_alone_is_told(
    adapter: Adapter, status: str, headers: list[str], wait: timedelta | None
) -> None:
    with serving(answer(status, b"", *headers)) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    assert outcome == TokenErrorResponse(status=int(status[:3]), error=None, retry_after=wait)


@pytest.mark.parametrize(
    "wish", ["9" * 400, "Sun, 01 Mar 99999999999999999999 12:00:00 GMT"], ids=["seconds", "year"]
)
def test_a_huge_wish_to_be_left_alone_is_no_reason_to_fail(adapter: Adapter, wish: str) -> None:
    with serving(answer("503 Away", b"", DATE, f"Retry-After: {wish}")) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenErrorResponse)


# Unknown


def stall_after(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.send(data)
        connection.wait_until_client_leaves()

    return script


def drip(start: bytes, again: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.send(start)
        connection.socket.settimeout(0.01)
        while True:
            connection.send(again)
            try:
                if not connection.socket.recv(1):
                    return
            except TimeoutError:
                continue

    return script


def reset_after(data: bytes) -> Script:
    def script(connection: Connection) -> None:
        connection.send(data)
        connection.reset()

    return script


def of_length(length: int, body: bytes, *more: bytes) -> bytes:
    return HEAD + b"".join(more) + b"Content-Length: %d\r\n\r\n" % length + body


UNKNOWN: dict[str, Script] = {
    "closed at once": raw(b""),
    "closed in the status line": raw(b"HTTP/1.1 20"),
    "closed in the headers": raw(HEAD),
    "closed before the body": raw(of_length(len(TOKENS), b"")),
    "closed in the body": raw(of_length(len(TOKENS), TOKENS[:-1])),
    "closed in a chunk": raw(chunked(TOKENS)[:-10]),
    "reset at once": reset_after(b""),
    "reset in the headers": reset_after(HEAD),
    "reset in the body": reset_after(of_length(len(TOKENS), TOKENS[:-1])),
    "502": answer("502 Bad Gateway", TOKENS),
    "504": answer("504 Gateway Timeout", b'{"error": "invalid_grant"}'),
    "HTML": answer("200 OK", b"<html>Please log in</html>", content_type="text/html"),
    "empty": answer("200 OK", b""),
    "no content": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "an array": answer("200 OK", b"[" + TOKENS + b"]"),
    "too long": answer("200 OK", padded(CAP + 1)),
    "too long in chunks": raw(chunked(padded(CAP + 1))),
    "deep": answer("200 OK", b"[" * 60_000),
    "not HTTP": raw(b"220 mail.example ESMTP\r\n"),
    "a header too long": raw(HEAD + b"X: " + b"x" * 400_000 + b"\r\n\r\n" + TOKENS),
    "no status": raw(b"HTTP/1.1 OK\r\n\r\n" + TOKENS),
    "gzip that is none": raw(of_length(5, b"[]   ", b"Content-Encoding: gzip\r\n")),
}
SLOW: dict[str, Script] = {
    "never": stall,
    "never after the status line": stall_after(b"HTTP/1.1 200 OK\r\n"),
    "never after the headers": stall_after(of_length(len(TOKENS), b"")),
    "never the last byte": stall_after(of_length(len(TOKENS), TOKENS[:-1])),
    "headers byte by byte": drip(HEAD + b"X: ", b"x"),
    "body byte by byte": drip(of_length(10**6, b""), b" "),
    "chunks byte by byte": drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "only promises": drip(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
}


@pytest.mark.parametrize("script", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_checklist_27_an_answer_that_is_none_leaves_the_outcome_unknown(
    adapter: Adapter, script: Script
) -> None:
    with serving(script) as server:
        assert delivery_of(ask(server.endpoint, adapter=adapter)) is Delivery.UNKNOWN
    assert len(server.requests) == 1


WHOLE_WITHOUT_AN_END: dict[str, Script] = {
    "longer by its own account": raw(of_length(len(TOKENS) + 1, TOKENS)),
    "closed before the last chunk": raw(chunked(TOKENS)[:-5]),
    "reset after it": reset_after(of_length(len(TOKENS) + 1, TOKENS)),
    "longer, and open": stall_after(of_length(len(TOKENS) + 1, TOKENS)),
    "no last chunk, and open": stall_after(chunked(TOKENS)[:-5]),
    "no length, and open": stall_after(HEAD + b"\r\n" + TOKENS),
    "endless": drip(HEAD + b"\r\n" + TOKENS, b" " * CAP),
}


@pytest.mark.parametrize("script", WHOLE_WITHOUT_AN_END.values(), ids=WHOLE_WITHOUT_AN_END.keys())
def test_tokens_that_came_whole_are_heard_though_the_answer_does_not_end(
    adapter: Adapter, script: Script
) -> None:
    with serving(script) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)
    assert len(server.requests) == 1


def headed(head: bytes) -> Script:
    """Send the tokens behind a head of these lines, and close."""
    return raw(head + b"\r\n" + TOKENS)


LENGTH = b"Content-Length: %d\r\n" % len(TOKENS)
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(TOKENS), TOKENS)
HALF_BROKEN: dict[str, Script] = {
    "bare line feeds": raw((HEAD + LENGTH).replace(b"\r", b"") + b"\n" + TOKENS),
    "mixed line ends": raw(HEAD + LENGTH + b"\n" + TOKENS),
    "an empty line first": headed(b"\r\n" + HEAD + LENGTH),
    "no reason": headed(b"HTTP/1.1 200\r\n" + LENGTH),
    "a reason in latin-1": headed(b"HTTP/1.1 200 D\xe9j\xe0 \x01\r\n" + LENGTH),
    "two spaces": headed(b"HTTP/1.1  200  OK\r\n" + LENGTH),
    "small letters": headed(b"http/1.1 200 OK\r\n" + LENGTH),
    "another version": headed(b"HTTP/2 200 OK\r\n" + LENGTH),
    "no headers": headed(b"HTTP/1.1 200\r\n"),
    "a name with spaces around it": headed(HEAD + b"Content-Length : %d\r\n" % len(TOKENS)),
    "a name with spaces in it": headed(HEAD + b"X Powered By: Perl\r\n" + LENGTH),
    "no name": headed(HEAD + b": nothing\r\n" + LENGTH),
    "no colon": headed(HEAD + b"nothing\r\n" + LENGTH),
    "a control character": headed(HEAD + b"X: a\0b\x1b\r\n" + LENGTH),
    "bytes of no encoding": headed(HEAD + b"X: \xff\xfe\r\nX-\xe9: y\r\n" + LENGTH),
    "a folded header": headed(HEAD + b"X: one,\r\n\ttwo: 2\r\n" + LENGTH),
    "a header folded at the start": headed(b"HTTP/1.1 200 OK\r\n X: y\r\n" + LENGTH),
    "a header of 200 KB": headed(HEAD + b"X: " + b"x" * 200_000 + b"\r\n" + LENGTH),
    "a thousand headers": headed(HEAD + b"Set-Cookie: a=b; Path=/\r\n" * 1_000 + LENGTH),
    "its length twice": headed(HEAD + LENGTH * 2),
    "its length twice in one": headed(HEAD + LENGTH.replace(b"\r", b", %d\r" % len(TOKENS))),
    "two lengths": headed(HEAD + LENGTH + b"Content-Length: 5\r\n"),
    "a length that is none": headed(HEAD + b"Content-Length: -1\r\n"),
    "identity": headed(HEAD + b"Transfer-Encoding: identity\r\n" + LENGTH),
    "chunked, identity": raw(HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS),
    "chunked twice": raw(HEAD + b"Transfer-Encoding: Chunked\r\n" * 2 + b"\r\n" + CHUNKS),
    "chunked, and a length": raw(HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS),
    "a broken promise first": headed(b"HTTP/1.1 100\nnothing\n\n" + HEAD + LENGTH),
}


@pytest.mark.parametrize("script", HALF_BROKEN.values(), ids=HALF_BROKEN.keys())
def test_tokens_behind_a_head_that_curl_accepts_are_heard(adapter: Adapter, script: Script) -> None:
    with serving(script) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)
    assert len(server.requests) == 1


def test_tokens_behind_a_broken_head_are_heard_over_tls_too(
    adapter: Adapter, trusted: ssl.SSLContext
) -> None:
    with serving(HALF_BROKEN["no colon"], tls=trusted) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


def deflated(body: bytes, bits: int) -> bytes:
    packing = zlib.compressobj(wbits=bits)
    return packing.compress(body) + packing.flush()


RAW, ZLIB, GZIP = -15, 15, 31
PACKED = {
    "gzip": ("gzip", deflated(TOKENS, GZIP)),
    "x-gzip": ("x-gzip", deflated(TOKENS, GZIP)),
    "a list": ("gzip, identity", deflated(TOKENS, GZIP)),
    "packed twice": ("gzip, gzip", deflated(deflated(TOKENS, GZIP), GZIP)),
    "deflate and gzip": ("deflate, gzip", deflated(deflated(TOKENS, ZLIB), GZIP)),
    "gzip called deflate": ("deflate", deflated(TOKENS, GZIP)),
    "deflate": ("deflate", deflated(TOKENS, ZLIB)),
    "deflate without zlib": ("deflate", deflated(TOKENS, RAW)),
    "gzip that is not told": ("identity", deflated(TOKENS, GZIP)),
    "gzip without its end": ("gzip", deflated(TOKENS, GZIP)[:-8]),
    "plain, called gzip": ("gzip", TOKENS),
    "plain, called deflate": ("deflate", TOKENS),
    "plain, called br": ("br", TOKENS),
    "plain, by an unknown name": ("aws-chunked, UTF-8", TOKENS),
}


@pytest.mark.parametrize(("name", "body"), PACKED.values(), ids=PACKED.keys())
@pytest.mark.parametrize("end", [raw, stall_after], ids=["closed", "open"])
def test_tokens_that_came_packed_are_heard_whatever_it_is_called(
    adapter: Adapter, name: str, body: bytes, end: Callable[[bytes], Script]
) -> None:
    # By its own account it is longer than what comes, as where it was packed after that was said.
    head = of_length(len(body) + 100, body, b"Content-Encoding: %s\r\n" % name.encode())
    with serving(end(head)) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


def test_a_form_that_is_packed_and_cut_off_leaves_the_outcome_unknown(adapter: Adapter) -> None:
    body = deflated(b"token_type=bearer&access_token=" + b"abcdefghij" * 20, GZIP)[:-12]
    with serving(raw(of_length(len(body), body, b"Content-Encoding: gzip\r\n"))) as server:
        assert delivery_of(ask(server.endpoint, adapter=adapter)) is Delivery.UNKNOWN


def test_a_body_that_unpacks_to_too_much_is_none(adapter: Adapter) -> None:
    bomb = deflated(deflated(b" " * 10**8 + TOKENS, GZIP), GZIP)
    with serving(raw(of_length(len(bomb), bomb))) as server:
        assert delivery_of(ask(server.endpoint, adapter=adapter)) is Delivery.UNKNOWN


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_an_answer_that_does_not_end_in_time_leaves_the_outcome_unknown(
    adapter: Adapter, script: Script
) -> None:
    with serving(script) as server:
        outcome = ask(server.endpoint, adapter=adapter, timeout=IMPATIENCE)
    assert delivery_of(outcome) is Delivery.UNKNOWN
    assert len(server.requests) == 1


def test_an_answer_that_came_while_the_process_was_frozen_is_heard_after_its_time(
    adapter: Adapter,
) -> None:
    arrived, frozen = threading.Event(), threading.Event()

    def answer_while_it_is_frozen(connection: Connection) -> None:
        arrived.set()
        frozen.wait()
        connection.send(of_length(len(TOKENS), TOKENS))

    async def freeze() -> None:
        await asyncio.to_thread(arrived.wait)
        frozen.set()
        # Nothing else of this process runs meanwhile, as where a platform stops its clock.
        time.sleep(3 * IMPATIENCE.total_seconds())  # noqa: ASYNC251 - that is the point

    async def ask_and_freeze(endpoint: str) -> Outcome:
        server = adapter(replace(PROVIDER, token_endpoint=endpoint), IMPATIENCE)
        outcome, _ = await asyncio.gather(server.request_tokens(REFRESH), freeze())
        return outcome

    with serving(answer_while_it_is_frozen) as server:
        assert isinstance(asyncio.run(ask_and_freeze(server.endpoint)), TokenResponse)


@pytest.mark.parametrize("body", [TOKENS, b"[]", padded(CAP + 1)], ids=["tokens", "array", "long"])
def test_a_compressed_answer_is_understood_or_leaves_the_outcome_unknown(
    adapter: Adapter, body: bytes
) -> None:
    packed = gzip.compress(body)
    script = raw(of_length(len(packed), packed, b"Content-Encoding: gzip\r\n"))
    with serving(script) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    if isinstance(outcome, TokenResponse):
        assert body == TOKENS
    else:
        assert delivery_of(outcome) is Delivery.UNKNOWN


# Not sent


def test_a_refused_connection_means_not_sent(adapter: Adapter) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    outcome = ask(f"http://127.0.0.1:{port}/token", adapter=adapter)
    assert delivery_of(outcome) is Delivery.NOT_SENT


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_does_not_exist_means_not_sent(adapter: Adapter, scheme: str) -> None:
    outcome = ask(f"{scheme}://nonexistent.invalid/token", adapter=adapter)
    assert delivery_of(outcome) is Delivery.NOT_SENT


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://127.0.0.1/token",
        "/token",
        "http://[/token",
        f"http://{'a' * 64}.invalid/token",
        "http://a..invalid/token",
    ],
)
def test_an_endpoint_that_is_no_address_means_not_sent(adapter: Adapter, endpoint: str) -> None:
    assert delivery_of(ask(endpoint, adapter=adapter)) is Delivery.NOT_SENT


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    context = server_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    return context


def test_a_trusted_server_is_asked_over_tls(adapter: Adapter, trusted: ssl.SSLContext) -> None:
    with serving(answer("200 OK", TOKENS), tls=trusted) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


def test_checklist_17_a_certificate_that_nobody_trusts_means_not_sent(
    adapter: Adapter, tmp_path: Path
) -> None:
    context = server_certificate(tmp_path, "127.0.0.1")
    with serving(answer("200 OK", TOKENS), tls=context) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert (server.connections, server.requests) == (1, [])


def test_a_certificate_of_another_host_means_not_sent(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = server_certificate(tmp_path, "127.0.0.2")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with serving(answer("200 OK", TOKENS), tls=context) as server:
        outcome = ask(server.endpoint, adapter=adapter)
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert server.requests == []


@pytest.mark.parametrize(
    "script", [raw(b""), raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reset_after(b"")],
    ids=["closed", "no TLS", "reset"],
)  # fmt: skip
def test_a_handshake_that_fails_means_not_sent(adapter: Adapter, script: Script) -> None:
    def after_hello(connection: Connection) -> None:
        connection.socket.recv(65536)
        script(connection)

    with serving(after_hello, reads=False) as server:
        endpoint = server.endpoint.replace("http:", "https:")
        assert delivery_of(ask(endpoint, adapter=adapter)) is Delivery.NOT_SENT


def under_tls(data: bytes) -> Script:
    """Write to the connection beneath TLS, once the request is there."""

    def script(connection: Connection) -> None:
        with socket.socket(fileno=connection.socket.detach()) as plain:
            plain.sendall(data)

    return script


@pytest.mark.parametrize(
    "script",
    [
        raw(of_length(len(TOKENS), TOKENS[:-1])),
        under_tls(b""),
        under_tls(b"this is no TLS record at all"),
        under_tls(b"\x17\x03\x03\x00\x20" + bytes(32)),
        under_tls(b"\x15\x03\x03\x00\x02\x02\x28"),
    ],
    ids=["truncated", "closed", "garbage", "forged record", "forged alert"],
)
def test_tls_that_breaks_after_the_request_leaves_the_outcome_unknown(
    adapter: Adapter, trusted: ssl.SSLContext, script: Script
) -> None:
    with serving(script, tls=trusted) as server:
        assert delivery_of(ask(server.endpoint, adapter=adapter)) is Delivery.UNKNOWN
    assert len(server.requests) == 1


def test_a_client_certificate_that_is_demanded_leaves_the_outcome_unknown(
    adapter: Adapter, trusted: ssl.SSLContext, tmp_path: Path
) -> None:
    # TLS 1.3 says so only after the client has finished its part, and may have sent its request.
    trusted.verify_mode = ssl.CERT_REQUIRED
    trusted.load_verify_locations(tmp_path / "certificate.pem")
    with serving(answer("200 OK", TOKENS), tls=trusted) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), NoAnswer)
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SSL_CERT_FILE", "nowhere.pem"),
        ("SSL_CERT_DIR", "nowhere"),
        ("ALL_PROXY", "socks5h://name:pass-word@127.0.0.1:9"),
        ("HTTPS_PROXY", "proxy.test:port"),
    ],
)
def test_a_variable_that_leaves_no_way_out_means_not_sent_and_is_named(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "fd00::/8,[::1]")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(name, value)
    outcome = ask("https://provider.test/token", adapter=adapter)
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert isinstance(outcome, NoAnswer)
    assert outcome.reason.startswith(f"{name} ")
    assert "pass-word" not in outcome.reason
    with serving(answer("200 OK", TOKENS)) as server:
        assert isinstance(ask(server.endpoint, adapter=adapter), TokenResponse)


def reason_of(outcome: Outcome) -> str:
    assert isinstance(outcome, NoAnswer), outcome
    return outcome.reason


def test_the_reason_names_what_is_wrong_with_a_certificate(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer("200 OK"), tls=server_certificate(tmp_path, "127.0.0.2")) as server:
        assert "self-signed certificate" in reason_of(ask(server.endpoint, adapter=adapter))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        outcome = ask(server.endpoint, adapter=adapter)
    assert "not valid for '127.0.0.1'" in reason_of(outcome)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (raw(b"HTTP/1.1 407 Who is pass-word\r\n\r\n"), "the proxy answered 407"),
        (raw(b"HTTP/1.1 502 \r\n\r\n"), "the proxy answered 502"),
        (raw(b""), "RemoteProtocolError"),
    ],
    ids=["407", "502", "closed"],
)
def test_the_reason_names_what_a_proxy_refuses(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch, script: Script, told: str
) -> None:
    with serving(script) as proxy:
        where = proxy.endpoint.removeprefix("http://").removesuffix("/token")
        monkeypatch.setenv("HTTPS_PROXY", f"http://name:pass-word@{where}")
        reason = reason_of(ask("https://provider.test/token", adapter=adapter))
    assert told in reason
    assert "pass-word" not in reason
    (arrived,) = proxy.requests
    assert arrived.line == "CONNECT provider.test:443 HTTP/1.1"
    assert arrived.all("proxy-authorization") == ["Basic bmFtZTpwYXNzLXdvcmQ="]


def test_tokens_are_heard_through_a_proxy(
    adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = server_certificate(tmp_path, "provider.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    arrived: list[bytes] = []

    def lead_on(connection: Connection) -> None:
        connection.send(b"HTTP/1.0 200 Connection established\nVia nothing\n\n")
        with context.wrap_socket(connection.socket, server_side=True) as inner:
            # Whole: what is left unread at the end makes the system reset the connection.
            arrived.append(inner.recv(65536))
            while not arrived[0].partition(b"\r\n\r\n")[2]:
                arrived[0] += inner.recv(65536)
            inner.sendall(of_length(len(TOKENS), TOKENS, b"no colon\r\n"))

    with serving(lead_on) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.endpoint.removesuffix("/token"))
        outcome = ask("https://provider.test/token", adapter=adapter)
    assert isinstance(outcome, TokenResponse)
    assert proxy.requests[0].line == "CONNECT provider.test:443 HTTP/1.1"
    assert arrived[0].startswith(b"POST /token HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("issuer", "is_asked"), [("8.8.8.8", False), ("10.0.0.1", False), ("127.0.0.1", True)]
)
def test_a_name_that_only_an_issuer_elsewhere_has_named_leads_to_no_connection_in_here(
    issuer: str, *, is_asked: bool
) -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        endpoint = server.endpoint.replace("127.0.0.1", "localhost")
        provider = replace(PROVIDER, token_endpoint=endpoint)
        told = ServerMetadata(issuer=f"https://{issuer}")
        asked = HttpxAuthorizationServer(
            provider,
            client_id="client",
            client_secret="secret",
            timeout=PATIENCE,
            outside=Outside.from_metadata(provider, told),
        )
        outcome = asyncio.run(asked.request_tokens(REFRESH))
    assert (server.connections == 1) is is_asked
    if not is_asked:
        assert delivery_of(outcome) is Delivery.NOT_SENT
        assert "set TOKEN_ENDPOINT" in reason_of(outcome)


def test_what_a_name_has_led_to_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up again may lead elsewhere: what checked it would be no check."""
    look_up, names = socket.getaddrinfo, list[object]()

    def count(host: object, *arguments: Any, **options: Any) -> Any:
        names.append(host)
        return look_up(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", count)
    with serving(answer("200 OK", TOKENS)) as server:
        endpoint = server.endpoint.replace("127.0.0.1", "localhost")
        provider = replace(PROVIDER, token_endpoint=endpoint)
        asked = HttpxAuthorizationServer(
            provider,
            client_id="client",
            client_secret="secret",
            timeout=PATIENCE,
            outside=Outside.from_metadata(provider, ServerMetadata(issuer="https://127.0.0.1")),
        )
        assert isinstance(asyncio.run(asked.request_tokens(REFRESH)), TokenResponse)
    # anyio encodes a name before it looks it up.
    assert len([name for name in names if name in {"localhost", b"localhost"}]) == 1


def test_hosts_that_whoever_deploys_has_named_may_be_anywhere() -> None:
    provider = replace(
        PROVIDER, token_endpoint="https://a.test/", revocation_endpoint="https://b.test/"
    )
    told = ServerMetadata(issuer="https://a.test", revocation_endpoint="https://b.test/")
    assert Outside.from_metadata(provider, replace(told, issuer=None)) is None
    assert Outside.from_metadata(provider, told) == Outside(issuer="a.test", hosts=frozenset())

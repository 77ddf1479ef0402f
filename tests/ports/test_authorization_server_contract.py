"""The outcome of a token request: tokens, a refusal, not sent, or unknown. Never raised."""

import asyncio
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.authorization_server_httpx import HttpxAuthorizationServer
from adapters.network import MetadataHosts
from domain.metadata import ServerMetadata
from domain.token_endpoint import (
    Delivery,
    NoAnswer,
    Outcome,
    TokenErrorResponse,
    TokenRequest,
    TokenResponse,
)
from domain.wire_format import WireFormat
from tests.ports.asking import (
    CODE,
    IMPATIENCE,
    PATIENCE,
    PROVIDER,
    REFRESH,
    answered,
    ask,
    httpx_adapter,
)
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

TOKENS = json.dumps({"access_token": "access", "token_type": "Bearer", "expires_in": 1799}).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CAP = 64 * 1024


def reason_of(outcome: Outcome) -> str:
    assert isinstance(outcome, NoAnswer), outcome
    return outcome.reason


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


@pytest.mark.parametrize("request_", [REFRESH, CODE], ids=["refresh", "code"])
def test_tokens_are_returned(request_: TokenRequest) -> None:
    assert answered(answer("200 OK", TOKENS), request_) == TokenResponse(
        access_token="access",
        token_type="Bearer",
        expires_in=timedelta(seconds=1799),
        refresh_token=None,
        refresh_token_expires_in=None,
        scope=None,
    )


def test_a_refusal_is_returned_with_its_status() -> None:
    outcome = answered(answer("401 Unauthorized", b'{"error": "invalid_grant"}'))
    assert isinstance(outcome, TokenErrorResponse)
    assert (outcome.status, outcome.error) == (401, "invalid_grant")


def in_one_piece(body: bytes) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("encode", [in_one_piece, chunked], ids=["plain", "chunked"])
def test_a_body_of_64_kib_is_still_read(encode: Callable[[bytes], bytes]) -> None:
    assert isinstance(answered(raw(encode(padded(CAP)))), TokenResponse)


def test_an_answer_in_small_pieces_is_joined() -> None:
    def script(connection: Connection) -> None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in in_one_piece(TOKENS):
            connection.send(bytes([byte]))

    assert isinstance(answered(script), TokenResponse)


@pytest.mark.parametrize("status", ["302 Found", "307 Temp"])
def test_checklist_21_a_redirect_is_not_followed(status: str) -> None:
    with serving(answer("200 OK", TOKENS)) as target:
        outcome = answered(answer(status, b"", f"Location: {target.endpoint}"))
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.status == int(status[:3])
    assert target.connections == 0


@pytest.mark.parametrize(
    "location",
    ["https:login", "data:x/y", "//xn--a-", "//xn--a..", ":javascript://]@http", "//[", "\xff"],
)
def test_a_redirect_to_an_invalid_address_is_an_answer(location: str) -> None:
    found = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    outcome = answered(raw(found.encode("latin-1")))
    assert isinstance(outcome, TokenErrorResponse)
    assert outcome.status == 302


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (["Retry-After: 120"], timedelta(seconds=120)),
        (
            ["Date: Sun, 01 Mar 2026 12:00:00 GMT", "Retry-After: Sun, 01 Mar 2026 12:02:00 GMT"],
            timedelta(seconds=120),
        ),
        (["Retry-After: \xff"], None),
    ],
    ids=repr,
)
def test_retry_after_is_returned(headers: list[str], wait: timedelta | None) -> None:
    outcome = answered(answer("503 Away", b"", *headers))
    assert outcome == TokenErrorResponse(status=503, error=None, retry_after=wait)


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
    "HTML": answer("200 OK", b"<html>Please log in</html>", content_type="text/html"),
    "no content": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "too long": answer("200 OK", padded(CAP + 1)),
    "too long in chunks": raw(chunked(padded(CAP + 1))),
    "not HTTP": raw(b"220 mail.example ESMTP\r\n"),
    "a header too long": raw(HEAD + b"X: " + b"x" * 400_000 + b"\r\n\r\n" + TOKENS),
    "no status": raw(b"HTTP/1.1 OK\r\n\r\n" + TOKENS),
    "invalid gzip": raw(of_length(5, b"[]   ", b"Content-Encoding: gzip\r\n")),
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
def test_checklist_27_an_unusable_answer_leaves_the_outcome_unknown(script: Script) -> None:
    assert delivery_of(answered(script)) is Delivery.UNKNOWN


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
def test_complete_tokens_are_read_though_the_answer_does_not_end(script: Script) -> None:
    assert isinstance(answered(script), TokenResponse)


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
    "an invalid length": headed(HEAD + b"Content-Length: -1\r\n"),
    "identity": headed(HEAD + b"Transfer-Encoding: identity\r\n" + LENGTH),
    "chunked, identity": raw(HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS),
    "chunked twice": raw(HEAD + b"Transfer-Encoding: Chunked\r\n" * 2 + b"\r\n" + CHUNKS),
    "chunked, and a length": raw(HEAD + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS),
    "a broken promise first": headed(b"HTTP/1.1 100\nnothing\n\n" + HEAD + LENGTH),
}


@pytest.mark.parametrize("script", HALF_BROKEN.values(), ids=HALF_BROKEN.keys())
def test_tokens_behind_a_head_that_curl_accepts_are_read(script: Script) -> None:
    assert isinstance(answered(script), TokenResponse)


def test_tokens_behind_a_broken_head_are_read_over_tls_too(trusted: ssl.SSLContext) -> None:
    assert isinstance(answered(HALF_BROKEN["no colon"], tls=trusted), TokenResponse)


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
    "gzip without a name": ("identity", deflated(TOKENS, GZIP)),
    "gzip without its end": ("gzip", deflated(TOKENS, GZIP)[:-8]),
    "plain, called gzip": ("gzip", TOKENS),
    "plain, called deflate": ("deflate", TOKENS),
    "plain, called br": ("br", TOKENS),
    "plain, by an unknown name": ("aws-chunked, UTF-8", TOKENS),
}


@pytest.mark.parametrize(("name", "body"), PACKED.values(), ids=PACKED.keys())
def test_compressed_tokens_are_read_under_any_name(name: str, body: bytes) -> None:
    # The declared length is longer than the body, as if it was compressed after the declaration.
    head = of_length(len(body) + 100, body, b"Content-Encoding: %s\r\n" % name.encode())
    assert isinstance(answered(stall_after(head)), TokenResponse)


def test_a_compressed_form_that_is_cut_off_leaves_the_outcome_unknown() -> None:
    body = deflated(b"token_type=bearer&access_token=" + b"abcdefghij" * 20, GZIP)[:-12]
    script = raw(of_length(len(body), body, b"Content-Encoding: gzip\r\n"))
    assert delivery_of(answered(script)) is Delivery.UNKNOWN


def test_a_body_that_decompresses_to_too_much_is_ignored() -> None:
    bomb = deflated(deflated(b" " * 10**7 + TOKENS, GZIP), GZIP)
    assert delivery_of(answered(raw(of_length(len(bomb), bomb)))) is Delivery.UNKNOWN


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_an_answer_that_does_not_end_in_time_leaves_the_outcome_unknown(script: Script) -> None:
    with serving(script) as server:
        outcome = ask(server.endpoint, timeout=IMPATIENCE)
    assert delivery_of(outcome) is Delivery.UNKNOWN
    # A busy machine may not even send it in time.
    assert len(server.requests) <= 1


def test_an_answer_that_arrived_in_a_frozen_process_is_read_after_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("adapters.provider_http._GRACE", PATIENCE)
    limit = timedelta(seconds=2)
    arrived, frozen = threading.Event(), threading.Event()

    def answer_while_it_is_frozen(connection: Connection) -> None:
        arrived.set()
        frozen.wait()
        connection.send(of_length(len(TOKENS), TOKENS))

    async def freeze() -> None:
        await asyncio.to_thread(arrived.wait)
        frozen.set()
        # Stops the whole process, as a serverless platform does.
        time.sleep(1.5 * limit.total_seconds())  # noqa: ASYNC251 - a freeze

    async def ask_and_freeze(endpoint: str) -> Outcome:
        server = httpx_adapter(replace(PROVIDER, token_endpoint=endpoint), limit)
        outcome, _ = await asyncio.gather(server.request_tokens(REFRESH), freeze())
        return outcome

    with serving(answer_while_it_is_frozen) as server:
        assert isinstance(asyncio.run(ask_and_freeze(server.endpoint)), TokenResponse)


@pytest.mark.parametrize("body", [b"[]", padded(CAP + 1)], ids=["array", "long"])
def test_a_compressed_body_without_tokens_leaves_the_outcome_unknown(body: bytes) -> None:
    compressed = deflated(body, GZIP)
    script = raw(of_length(len(compressed), compressed, b"Content-Encoding: gzip\r\n"))
    assert delivery_of(answered(script)) is Delivery.UNKNOWN


# Not sent


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.9:9/token",
        "http://nonexistent.invalid/token",
        "https://nonexistent.invalid/token",
        "ftp://127.0.0.1/token",
        "/token",
        "http://[/token",
        f"http://{'a' * 64}.invalid/token",
        "http://a..invalid/token",
    ],
)
def test_an_endpoint_that_cannot_be_reached_means_not_sent(endpoint: str) -> None:
    assert delivery_of(ask(endpoint)) is Delivery.NOT_SENT


def test_a_trusted_server_is_asked_over_tls(trusted: ssl.SSLContext) -> None:
    assert isinstance(answered(answer("200 OK", TOKENS), tls=trusted), TokenResponse)


@pytest.mark.parametrize(
    ("host", "trusts", "reason"),
    [
        ("127.0.0.1", False, "self-signed certificate"),
        ("127.0.0.2", True, "not valid for '127.0.0.1'"),
    ],
    ids=["untrusted", "of another host"],
)
def test_checklist_17_a_certificate_that_does_not_verify_means_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, reason: str, *, trusts: bool
) -> None:
    context = server_certificate(tmp_path, host)
    if trusts:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    outcome = answered(answer("200 OK", TOKENS), tls=context, arrivals=0)
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert reason in reason_of(outcome)


@pytest.mark.parametrize(
    "script", [raw(b""), raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), reset_after(b"")],
    ids=["closed", "no TLS", "reset"],
)  # fmt: skip
def test_a_handshake_that_fails_means_not_sent(script: Script) -> None:
    def after_hello(connection: Connection) -> None:
        connection.socket.recv(65536)
        script(connection)

    with serving(after_hello, reads=False) as server:
        endpoint = server.endpoint.replace("http:", "https:")
        assert delivery_of(ask(endpoint)) is Delivery.NOT_SENT


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
    trusted: ssl.SSLContext, script: Script
) -> None:
    assert delivery_of(answered(script, tls=trusted)) is Delivery.UNKNOWN


def test_a_client_certificate_that_is_demanded_leaves_the_outcome_unknown(
    trusted: ssl.SSLContext, tmp_path: Path
) -> None:
    # TLS 1.3 refuses only after the client's part, and the request may have been sent by then.
    trusted.verify_mode = ssl.CERT_REQUIRED
    trusted.load_verify_locations(tmp_path / "certificate.pem")
    outcome = answered(answer("200 OK", TOKENS), tls=trusted, arrivals=0)
    assert isinstance(outcome, NoAnswer)


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
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("NO_PROXY", "fd00::/8,[::1]")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(name, value)
    outcome = ask("https://provider.test/token")
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert reason_of(outcome).startswith(f"{name} ")
    assert "pass-word" not in reason_of(outcome)
    assert isinstance(answered(answer("200 OK", TOKENS)), TokenResponse)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (raw(b"HTTP/1.1 407 Who is pass-word\r\n\r\n"), "the proxy answered 407"),
        (raw(b"HTTP/1.1 502 \r\n\r\n"), "the proxy answered 502"),
        (raw(b""), "RemoteProtocolError"),
    ],
    ids=["407", "502", "closed"],
)
def test_the_reason_names_what_a_proxy_refuses(
    monkeypatch: pytest.MonkeyPatch, script: Script, named: str
) -> None:
    with serving(script) as proxy:
        where = proxy.endpoint.removeprefix("http://").removesuffix("/token")
        monkeypatch.setenv("HTTPS_PROXY", f"http://name:pass-word@{where}")
        reason = reason_of(ask("https://provider.test/token"))
    assert named in reason
    assert "pass-word" not in reason
    (arrived,) = proxy.requests
    assert arrived.line == "CONNECT provider.test:443 HTTP/1.1"
    assert arrived.all("proxy-authorization") == ["Basic bmFtZTpwYXNzLXdvcmQ="]


def test_tokens_are_read_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = server_certificate(tmp_path, "provider.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    arrived: list[bytes] = []

    def lead_on(connection: Connection) -> None:
        connection.send(b"HTTP/1.0 200 Connection established\nVia nothing\n\n")
        with context.wrap_socket(connection.socket, server_side=True) as inner:
            # All of it: the system resets a connection that is closed with unread bytes.
            arrived.append(inner.recv(65536))
            while not arrived[0].partition(b"\r\n\r\n")[2]:
                arrived[0] += inner.recv(65536)
            inner.sendall(of_length(len(TOKENS), TOKENS, b"no colon\r\n"))

    with serving(lead_on) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.endpoint.removesuffix("/token"))
        outcome = ask("https://provider.test/token")
    assert isinstance(outcome, TokenResponse)
    assert proxy.requests[0].line == "CONNECT provider.test:443 HTTP/1.1"
    assert arrived[0].startswith(b"POST /token HTTP/1.1\r\n")


# Hosts that only metadata has named


def ask_outside(server: ScriptedServer, issuer: str) -> Outcome:
    """Ask at `localhost`, which only the metadata of an issuer has named."""
    endpoint = server.endpoint.replace("127.0.0.1", "localhost")
    provider = replace(PROVIDER, token_endpoint=endpoint)
    hosts = MetadataHosts.from_metadata(provider, ServerMetadata(issuer=f"https://{issuer}"))
    asked = HttpxAuthorizationServer(
        provider, client_id="client", client_secret="secret", timeout=PATIENCE, metadata_hosts=hosts
    )
    return asyncio.run(asked.request_tokens(REFRESH))


@pytest.mark.parametrize("issuer", ["8.8.8.8", "10.0.0.1"])
def test_a_local_name_that_only_a_remote_issuer_has_named_is_not_connected_to(issuer: str) -> None:
    with serving(answer("200 OK", TOKENS)) as server:
        outcome = ask_outside(server, issuer)
    assert server.connections == 0
    assert delivery_of(outcome) is Delivery.NOT_SENT
    assert "set TOKEN_ENDPOINT" in reason_of(outcome)


def test_the_address_that_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look-up may return another address, which nothing has checked."""
    look_up, names = socket.getaddrinfo, list[object]()

    def count(host: object, *arguments: Any, **options: Any) -> Any:
        names.append(host)
        return look_up(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", count)
    with serving(answer("200 OK", TOKENS)) as server:
        assert isinstance(ask_outside(server, "127.0.0.1"), TokenResponse)
    # anyio encodes a name before it looks it up.
    assert len([name for name in names if name in {"localhost", b"localhost"}]) == 1


def test_hosts_of_the_deployments_settings_may_be_anywhere() -> None:
    provider = replace(
        PROVIDER, token_endpoint="https://a.test/", revocation_endpoint="https://b.test/"
    )
    set_by_hand = ServerMetadata(issuer="https://a.test", revocation_endpoint="https://b.test/")
    assert MetadataHosts.from_metadata(provider, set_by_hand._replace(issuer=None)) is None
    nowhere = MetadataHosts(issuer="a.test", hosts=frozenset())
    assert MetadataHosts.from_metadata(provider, set_by_hand) == nowhere
    wire = WireFormat(refresh_endpoint="https://c.test/refresh")
    elsewhere = replace(provider, token_endpoint="https://c.test/", wire=wire)
    assert MetadataHosts.from_metadata(elsewhere, set_by_hand) == nowhere

"""TLS and proxies: the variables of the standard library, and the key for the keeper alone."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from oauth_callback import Keeper, NotConfigured, Settings, TryLater
from oauth_callback.testing.server import FakeAnswer, LoopbackServer, SeenRequest
from tests.system.certificates import server_certificate

KEY = "not-a-real-key-of-anything"
_MANY = 65536


@contextmanager
def tls_keeper(folder: Path, host: str) -> Iterator[tuple[int, list[SeenRequest]]]:
    """Serve a token over TLS with a certificate for the host. Yield the port, and the requests."""
    seen: list[SeenRequest] = []

    def answer(request: SeenRequest) -> FakeAnswer:
        seen.append(request)
        return FakeAnswer(200, {"access_token": "token-1"})

    with LoopbackServer(answer) as server:
        context = server_certificate(folder, host)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], seen
        server.shutdown()


@contextmanager
def proxy(target: int) -> Iterator[tuple[int, list[bytes]]]:
    """Run a proxy that connects every tunnel to one port. Yield its port, and what it reads."""
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection(("127.0.0.1", target)) as server:
                heads.append(client.recv(_MANY))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = Thread(target=_pipe, args=(server, client))
                back.start()
                _pipe(client, server)
                back.join()

        serving = Thread(target=serve)
        serving.start()
        yield listener.getsockname()[1], heads
        serving.join()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(_MANY):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_a_certificate_authority_of_ones_own_is_trusted_by_the_usual_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_keeper(tmp_path, "127.0.0.1") as (port, seen):
        settings = Settings(f"https://127.0.0.1:{port}", KEY)
        with pytest.raises(NotConfigured, match="Set SSL_CERT_FILE"):
            Keeper(settings).token()
        assert not seen
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        assert Keeper(settings).token().token.access_token == "token-1"


def test_a_certificate_of_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_keeper(tmp_path, "other.test") as (port, seen):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with pytest.raises(NotConfigured, match="not trusted"):
            Keeper(Settings(f"https://127.0.0.1:{port}", KEY)).token()
        assert not seen


def test_a_proxy_gets_its_password_and_not_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tls_keeper(tmp_path, "keeper.test") as (port, seen), proxy(port) as (proxy_port, heads):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        monkeypatch.setenv("https_proxy", f"http://me:pass%20word@127.0.0.1:{proxy_port}")
        token = Keeper(Settings("https://keeper.test", KEY)).token().token
        assert token.access_token == "token-1"
    (head,) = heads
    assert head.startswith(b"CONNECT keeper.test:443 HTTP/1.")
    # base64 of `me:pass word`
    assert b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n" in head
    assert KEY.encode() not in head
    assert seen[0].headers["x-api-key"] == KEY
    assert seen[0].headers["host"] == "keeper.test"
    assert "proxy-authorization" not in seen[0].headers


def test_a_proxy_without_tls_gets_the_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        heads: list[bytes] = []

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                heads.append(client.recv(_MANY))
                client.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"access_token": "token-1"}')

        serving = Thread(target=serve)
        serving.start()
        monkeypatch.setenv("http_proxy", f"http://me:x@127.0.0.1:{listener.getsockname()[1]}")
        settings = Settings("http://keeper.test:8080/below", KEY, allow_http=True)
        assert Keeper(settings).token().token.access_token == "token-1"
        serving.join()
    line, *headers = heads[0].decode().split("\r\n")
    assert line == "GET http://keeper.test:8080/below/api/token HTTP/1.1"
    assert "Host: keeper.test:8080" in headers
    assert "Proxy-Authorization: Basic bWU6eA==" in headers  # base64 of `me:x`


@pytest.mark.parametrize(
    "value", ["socks5://me:pass-word@127.0.0.1:9", "http://", "http://[::1", "http://x:port"]
)
def test_an_unusable_proxy_is_named_and_not_quoted(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(NotConfigured, match="https_proxy") as raised:
        Keeper(Settings("https://keeper.test", KEY)).token()
    assert "pass-word" not in str(raised.value)


def test_no_proxy_leads_past_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://x:port")
    monkeypatch.setenv("no_proxy", "keeper.invalid")
    with pytest.raises(TryLater, match=r"keeper\.invalid"):
        Keeper(Settings("https://keeper.invalid", KEY)).token()

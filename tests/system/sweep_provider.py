"""A token endpoint that counts the requests for each refresh token: for sweeps of hundreds."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import parse_qs


class SweepProvider(ThreadingHTTPServer):
    """Grants each refresh, once `may_answer` is set."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.may_answer = Event()
        self.asked: Counter[str] = Counter()
        self._lock = Lock()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self, refresh_token: str) -> None:
        """Count a request, and wait until it may be answered."""
        with self._lock:
            self.asked[refresh_token] += 1
        self.may_answer.wait()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that was killed."""


class _Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        form = parse_qs(self.rfile.read(length).decode())
        [refresh_token] = form["refresh_token"]
        assert isinstance(self.server, SweepProvider)
        self.server.count(refresh_token)
        tokens = {
            "access_token": f"access-{refresh_token}",
            "token_type": "Bearer",
            "expires_in": 1800,
            "refresh_token": f"{refresh_token}-next",
            "refresh_token_expires_in": 7_776_000,
        }
        body = json.dumps(tokens).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def sweep_provider() -> Iterator[SweepProvider]:
    """Run a provider on a loopback port."""
    with SweepProvider() as provider:
        Thread(target=provider.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield provider
        finally:
            provider.may_answer.set()
            provider.shutdown()

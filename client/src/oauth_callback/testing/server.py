"""The HTTP side of the fake keeper: one handler that passes requests on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable, Optional
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class SeenRequest:
    """A request that arrived. The repr does not contain the headers, which have the key."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True)
class FakeAnswer:
    """The answer to a request."""

    status: int
    members: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)


# None closes the connection without an answer.
Answerer = Callable[[SeenRequest], Optional[FakeAnswer]]


class LoopbackServer(ThreadingHTTPServer):
    """Listens on a free port of this machine, with a thread for each request."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Answerer) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without a look-up of this machine's name, which may take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        seen = SeenRequest(
            method=self.command,
            path=parts.path,
            params=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        answer = self.server.answer(seen)
        if answer is None:
            return
        body = json.dumps(answer.members).encode()
        is_problem = answer.status >= 400  # noqa: PLR2004 - RFC 9110 §15
        self.send_response(answer.status)
        self.send_header(
            "content-type", "application/problem+json" if is_problem else "application/json"
        )
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

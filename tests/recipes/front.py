"""`https://api.digikey.com` on this machine: passes requests on to the simulated Digi-Key."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.system.certificates import server_certificate
from tests.system.local_server import LocalServer
from tests.system.loopback import http

ROOT = Path(__file__).resolve().parents[2]
MACHINE = Path(__file__).parent / "machine"
_PASSED_ON = ("authorization", "x-digikey-client-id", "content-type")


@dataclass
class Front:
    """The requests of a tool. Each answer comes `delay` seconds later, as from a slow API."""

    provider: str
    delay: float = 0.0
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    """The path, the token and the status of each request."""
    after_answer: Callable[[], None] = lambda: None
    environ: Mapping[str, str] = field(default_factory=dict)
    """The variables by which a tool's Python finds the front."""

    @property
    def tokens(self) -> list[str]:
        """The tokens in the order of their first use."""
        return list(dict.fromkeys(token for _, token, _ in self.seen))

    @property
    def statuses(self) -> set[int]:
        """The statuses of all answers."""
        return {status for _, _, status in self.seen}

    def pass_on(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes, str]:
        """Return the status, the body and the media type of the simulation's answer."""
        answer = http.request(method, f"{self.provider}{path}", headers=headers, content=body)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        self.seen.append((path, token, answer.status_code))
        self.after_answer()
        time.sleep(self.delay)
        return answer.status_code, answer.content, answer.headers["content-type"]


class _Handler(BaseHTTPRequestHandler):
    front: Front

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name: value for name in _PASSED_ON if (value := self.headers[name])}
        status, content, kind = self.front.pass_on(self.command, self.path, headers, body)
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""


@contextmanager
def digikey_front(server: LocalServer, folder: Path, delay: float = 0.0) -> Iterator[Front]:
    """Run a front of the server's simulated Digi-Key."""
    folder.mkdir(exist_ok=True)
    context = server_certificate(folder, "api.digikey.com")
    front = Front(f"{server.address}/simulated-digikey", delay)
    handler = type("Handler", (_Handler,), {"front": front})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        front.environ = {
            "DIGIKEY_FRONT_PORT": str(listening.server_address[1]),
            "DIGIKEY_FRONT_CA": str(folder / "certificate.pem"),
            "PYTHONPATH": f"{MACHINE}{os.pathsep}{ROOT / 'client/src'}",
        }
        Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield front
        listening.shutdown()

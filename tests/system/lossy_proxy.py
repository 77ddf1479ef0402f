"""A proxy in front of a service of AWS that has calls carried out, and loses their answers."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TypeAlias

import httpx

from tests.system.loopback import http

# Whether to lose the answer to an operation at this attempt of its client, of which 1 is the first.
Loses: TypeAlias = Callable[[str, int], bool]


@dataclass(slots=True)
class LossyProxy:
    """Where it is, and how many answers to each operation it has lost."""

    url: str
    lost: Counter[str] = field(default_factory=Counter)
    is_lossy: bool = True

    def lose(self) -> None:
        """Lose answers from now on."""
        self.is_lossy = True

    def stop_losing(self) -> None:
        """Let all answers pass from now on."""
        self.is_lossy = False


@contextmanager
def lossy_proxy(upstream: str, loses: Loses) -> Iterator[LossyProxy]:
    """Run it on a loopback port."""
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            # However long it takes: the one who asked may have gone, and what was asked goes on.
            headers = dict(self.headers)
            answer = http.post(upstream, content=body, headers=headers, timeout=None)
            if self._is_lost():
                self.close_connection = True
                return
            with suppress(ConnectionError):
                self._pass_on(answer)

        def _pass_on(self, answer: httpx.Response) -> None:
            self.send_response(answer.status_code)
            for name in ("content-type", "content-length", "x-amzn-requestid"):
                self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.content)

        def _is_lost(self) -> bool:
            operation = self.headers["x-amz-target"].rpartition(".")[2]
            attempt = re.search(r"attempt=(\d+)", self.headers["amz-sdk-request"])
            assert attempt is not None
            is_lost = proxy.is_lossy and loses(operation, int(attempt[1]))
            with lock:
                proxy.lost[operation] += is_lost
            return is_lost

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy = LossyProxy(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()

"""An Upstash of our own as a process: its REST protocol in front of a real Redis."""

import argparse
import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import uvicorn

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port, http
from tests.system.redis_connections import Connections
from tests.system.redis_peer import RedisPeer
from tests.system.upstash_rest import FAULT, UpstashRest

TOKEN = "not-a-real-token"
# All callers of a stampede may knock before the first is let in.
_BACKLOG = 1024
# Longer than any test, so that none meets a connection that is just being closed.
_KEEP_ALIVE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Counts since the front started, or since `UpstashPeer.reset_stats`.

    `executed` commands were sent to Redis. Requests in flight count without their client too.
    """

    requests: int
    executed: int
    in_flight: int
    faults: Sequence[str]
    """Those that no request has met yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstashPeer:
    """A running Upstash of our own."""

    url: str
    token: str = field(repr=False)
    _process: GuardedProcess = field(repr=False)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that lead the application to it."""
        return {"KV_REST_API_URL": self.url, "KV_REST_API_TOKEN": self.token}

    def plan_fault(self, name: str, *, matching: str = "") -> None:
        """Plan a fault for the next command whose name or script contains a text.

        ``drop-request``: not executed. ``drop-answer``, ``html-502-after``,
        ``delay-answer:SECONDS``: executed. ``delay:SECONDS``: executed late, even if the client has
        gone. One that ends in ``*`` stays until `clear_faults`. Refused requests meet none. Raises
        ValueError.
        """
        if not FAULT.fullmatch(name.removesuffix("*")):
            raise ValueError(f"no such fault: {name!r}")
        self._control("POST", "faults", [name, matching])

    def clear_faults(self) -> None:
        """Forget the planned faults."""
        self._control("DELETE", "faults")

    def stats(self) -> Stats:
        """Return the counts, which include every answered request."""
        return Stats(**self._control("GET", "stats").json())

    def reset_stats(self) -> None:
        """Count from zero. Requests in flight stay so."""
        self._control("DELETE", "stats")

    def stop(self) -> None:
        """End it; connections are refused until `start`."""
        self._process.stop()

    def start(self) -> None:
        """Start it again at the same address, without faults. Raises ServerDidNotStartError."""
        self._process.start()

    def _control(self, method: str, path: str, content: object = None) -> httpx.Response:
        answer = http.request(method, f"{self.url}/_control/{path}", json=content)
        return answer.raise_for_status()


@contextlib.contextmanager
def upstash_front(redis: RedisPeer, *, token: str = TOKEN) -> Iterator[UpstashPeer]:
    """Run an Upstash in front of this Redis. Raises ServerDidNotStartError."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", __name__, "--port", str(port)]
    command += ["--redis-port", str(redis.port), "--token", token]
    with guarded_process(command, is_ready=lambda _pid: _answers(url)) as process:
        yield UpstashPeer(url=url, token=token, _process=process)


def _answers(url: str) -> bool:
    try:
        return http.get(f"{url}/_control/stats").is_success
    except httpx.TransportError:
        return False


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on a loopback port until interrupted."""
    parser = argparse.ArgumentParser(description="Upstash's REST protocol, for tests only.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--redis-port", type=int, required=True)
    parser.add_argument("--token", required=True)
    options = parser.parse_args(arguments)
    config = uvicorn.Config(
        UpstashRest(redis=Connections(port=options.redis_port), token=options.token),
        lifespan="off",
        log_level="warning",
        access_log=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    with socket.create_server(("127.0.0.1", options.port), backlog=_BACKLOG) as listener:
        # For each connection; asyncio does so only for listeners of its own. Without it the body of
        # an answer waits 40 ms for its head to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

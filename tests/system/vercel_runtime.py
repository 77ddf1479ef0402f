"""Vercel's own runtime, with one function in a process of its own, as the platform starts it.

The runtime sends its port and its log to the platform over a unix socket, as JSON messages that end
with a NUL.
"""

import json
import socket
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.vercel_artifact import Function

_CPUCLOCK_SCHED = 2


class _Platform:
    """Our end of the socket: it listens from the start, and reads until the function is gone."""

    def __init__(self, path: Path) -> None:
        self.port: int | None = None
        self._said: list[str] = []
        self._connection: socket.socket | None = None
        self._rest = b""
        self._turn = Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        """Stop listening, once the function has ended."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._listener.close()
        if (connection := self._connection) is not None:
            self._connection = None
            connection.close()

    def said(self) -> list[str]:
        """Return its log, which is complete for answered requests."""
        if self._connection is not None:
            self._take_what_has_come(self._connection)
        return self._said

    def _read(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            self._connection = connection
            while self._take_what_has_come(connection):
                # Wait until there is something, and leave it there.
                connection.recv(1, socket.MSG_PEEK)

    def _take_what_has_come(self, connection: socket.socket) -> bool:
        """Read without waiting; return whether more may come."""
        with self._turn, suppress(BlockingIOError):
            while chunk := connection.recv(65536, socket.MSG_DONTWAIT):
                *messages, self._rest = (self._rest + chunk).split(b"\0")
                for message in messages:
                    self._take(json.loads(message))
            return False
        return True

    def _take(self, message: Mapping[str, object]) -> None:
        match message:
            case {"type": "server-started", "payload": {"httpPort": int(port)}}:
                self.port = port
            case {"type": "log", "payload": {"message": str(text)}}:
                self._said.append(b64decode(text).decode())
            case {"type": "unrecoverable-error", "payload": {"message": str(text)}}:
                self._said.append(text)
            case _:
                # When requests begin and end.
                pass


class FunctionProcess:
    """A function that serves."""

    def __init__(self, process: GuardedProcess, platform: _Platform) -> None:
        self._process = process
        self._platform = platform

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._platform.port}"

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has neither been stopped nor crashed."""
        return self._process.is_running

    def stop(self) -> None:
        """End it as the platform does, with SIGTERM, and wait until it is gone."""
        self._process.close()

    def log(self) -> str:
        """Return what it has logged, and printed."""
        return "\n".join([*self._platform.said(), self._process.log()])

    def cpu_seconds(self) -> float:
        """Return the processor time, user and system, that all its threads have used."""
        # Linux: clock_getcpuclockid(3) of another process.
        return time.clock_gettime((~self.pid << 3) | _CPUCLOCK_SCHED)


@contextmanager
def function_process(function: Function, environ: Mapping[str, str]) -> Iterator[FunctionProcess]:
    """Run a function with these variables. Raises ServerDidNotStartError."""
    with TemporaryDirectory() as name:
        path = Path(name) / "ipc"
        platform = _Platform(path)
        given = {"PATH": "/usr/bin:/bin", "VERCEL": "1", **function.environment, **environ}
        try:
            with guarded_process(
                _command(function),
                is_ready=lambda _pid: platform.port is not None,
                folder=function.folder,
                environ={**given, "VERCEL_IPC_PATH": str(path)},
            ) as process:
                yield FunctionProcess(process, platform)
        finally:
            platform.close()


def _command(function: Function) -> list[str]:
    # Without the packages of this Python: its bundle has all that a function needs.
    return [str(function.python), "-S", "-c", f"import {function.handler.partition('.')[0]}"]

"""The application as processes: started over one store, stopped, killed, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlsplit

from tests.patience import PATIENCE

APP = "functions.asgi:app"
PATIENT = "tests.system.patient:app"

_REPOSITORY = Path(__file__).parents[2]
_LIMIT = PATIENCE.total_seconds()
_POLL_INTERVAL = 0.02
# A guard in the worker's process group ends the group when the tests end, however they end: then
# the pipe closes that it reads, and that nobody writes to.
_GUARDED = '{ cat > /dev/null; kill -KILL 0; } < "/dev/fd/$0" & exec "$@"'
# All callers of a stampede may knock before the first is let in.
_BACKLOG = 1024
# Without it the application's own account of its attempts would not be printed.
_LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(name)s %(levelname)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}


class WorkerDidNotStartError(Exception):
    """A worker ended, or said nothing in time; the message is what it printed."""


class WorkerDidNotStopError(Exception):
    """A worker was asked to end and did not; the message is what it printed."""


@dataclass(kw_only=True)
class _Worker:
    """One address, what was printed there, and the process that serves there now."""

    door: socket.socket
    output: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    pids: list[int] = field(default_factory=list)


class Workers:
    """Processes of ``uvicorn functions.asgi:app`` with one environment, each at its own address.

    A worker keeps its address. A caller waits there while no process serves.
    """

    def __init__(
        self,
        workers: Sequence[_Worker],
        environment: Mapping[str, str],
        arguments: Sequence[str],
        lifeline: int,
        app: str,
    ) -> None:
        self._workers = workers
        self._arguments = arguments
        self._lifeline = lifeline
        self._app = app
        module = "tests.system.patient" if app == PATIENT else "functions.admin"
        self._admin = (sys.executable, "-m", module)
        self.environment = environment
        self.urls = [_url(worker.door) for worker in workers]
        self.api_key = environment["API_KEY"]

    def start(self, index: int) -> None:
        """Start a worker that does not run. Raises WorkerDidNotStartError."""
        self._launch(self._workers[index])
        self._wait_for_an_answer(index)

    def start_all(self) -> None:
        """Start every worker at once. Raises WorkerDidNotStartError."""
        for worker in self._workers:
            self._launch(worker)
        for index in range(len(self._workers)):
            self._wait_for_an_answer(index)

    def kill(self, index: int) -> None:
        """End a worker as a crash would."""
        _kill(self._workers[index])

    def terminate(self, index: int) -> None:
        """Ask a worker to end; see `wait`."""
        _running(self._workers[index]).terminate()

    def wait(self, index: int) -> None:
        """Wait until a worker has ended by itself. Raises WorkerDidNotStopError."""
        worker = self._workers[index]
        try:
            _running(worker).wait(_LIMIT)
        except subprocess.TimeoutExpired as error:
            raise WorkerDidNotStopError(self.log(index)) from error
        worker.process = None

    def stop_all(self) -> None:
        """End every worker that runs, gracefully. Raises WorkerDidNotStopError."""
        running = [index for index, worker in enumerate(self._workers) if worker.process]
        for index in running:
            self.terminate(index)
        for index in running:
            self.wait(index)

    def kill_all(self) -> None:
        """Leave nothing behind."""
        for worker in self._workers:
            if worker.process:
                _kill(worker)

    def administer(self, *arguments: str, text: str = "") -> list[str]:
        """Let ``python -m functions.admin`` read a text in their environment; return its lines."""
        done = subprocess.run(
            [*self._admin, *arguments],
            cwd=_REPOSITORY,
            env={"PATH": os.environ["PATH"], **self.environment},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LIMIT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    def kill_administrator(self, *arguments: str, once: Callable[[], bool]) -> None:
        """Begin the same, and end it as a crash would, once something has come true."""
        with subprocess.Popen(
            [*self._admin, *arguments],
            cwd=_REPOSITORY,
            env={"PATH": os.environ["PATH"], **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            while process.poll() is None:
                if once():
                    process.kill()
                    return
                time.sleep(_POLL_INTERVAL)

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        return [worker.process.pid for worker in self._workers if worker.process]

    def log(self, index: int) -> str:
        """Return all that was printed at this address."""
        worker = self._workers[index]
        return os.pread(worker.output.fileno(), 1 << 24, 0).decode(errors="replace")

    def began(self, index: int, port: int) -> bool:
        """Whether the application may have begun a request from this port. `PATIENT` is sure."""
        return self._app != PATIENT or f"begun {port}\n" in self.log(index)

    def describe(self) -> str:
        """Return every log with the processes that wrote it."""
        return "\n".join(
            f"--- worker {index} at {url}, processes {self._workers[index].pids}\n{self.log(index)}"
            for index, url in enumerate(self.urls)
        )

    def _launch(self, worker: _Worker) -> None:
        command = [sys.executable, "-m", "uvicorn", self._app]
        command += ["--fd", str(worker.door.fileno()), *self._arguments]
        worker.process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDED, str(self._lifeline), *command],
            cwd=_REPOSITORY,
            # Nothing of the developer's own environment: no proxy, no other store.
            env={"PATH": os.environ["PATH"], **self.environment},
            pass_fds=[worker.door.fileno(), self._lifeline],
            # A group of its own, so that its children can be killed with it.
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=worker.output,
            stderr=subprocess.STDOUT,
        )
        worker.pids.append(worker.process.pid)

    def _wait_for_an_answer(self, index: int) -> None:
        process = _running(self._workers[index])
        deadline = time.monotonic() + _LIMIT
        while not _is_healthy(self.urls[index], timeout=0.5):
            if time.monotonic() > deadline or process.poll() is not None:
                raise WorkerDidNotStartError(self.log(index))


@contextmanager
def doors(count: int) -> Iterator[list[socket.socket]]:
    """Open listening loopback sockets: addresses that exist before their servers."""
    with ExitStack() as stack:
        opened = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG))
            for _ in range(count)
        ]
        for door in opened:
            # Without it the body of an answer can wait 40 ms for its head to be acknowledged.
            door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield opened


def public_url(opened: Sequence[socket.socket]) -> str:
    """Return the address of the first worker."""
    return _url(opened[0])


@contextmanager
def running(
    opened: Sequence[socket.socket],
    environment: Mapping[str, str],
    directory: Path,
    *,
    arguments: Sequence[str] = (),
    app: str = APP,
) -> Iterator[Workers]:
    """Run a worker behind each door; `arguments` are more for uvicorn, as ``--workers 4``.

    They are to stop in time, and without a traceback in a log. Raises WorkerDidNotStartError,
    WorkerDidNotStopError.
    """
    log_config = directory / "logging.json"
    log_config.write_text(json.dumps(_LOGGING))
    more = ["--no-access-log", "--log-config", str(log_config), *arguments]
    with ExitStack() as stack, _lifeline() as lifeline:
        places = [
            _Worker(door=door, output=stack.enter_context(TemporaryFile())) for door in opened
        ]
        workers = Workers(places, environment, more, lifeline, app)
        stack.callback(workers.kill_all)
        workers.start_all()
        yield workers
        workers.stop_all()
        assert "Traceback" not in workers.describe(), workers.describe()


@contextmanager
def _lifeline() -> Iterator[int]:
    """Make a pipe whose other end is this process's alone; return the end to inherit."""
    end, ours = os.pipe()
    try:
        yield end
    finally:
        os.close(end)
        os.close(ours)


def _running(worker: _Worker) -> subprocess.Popen[bytes]:
    assert worker.process is not None, "this worker does not run"
    return worker.process


def _kill(worker: _Worker) -> None:
    process = _running(worker)
    # The leader may be gone, and its group with it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    worker.process = None


def _url(door: socket.socket) -> str:
    return f"http://127.0.0.1:{door.getsockname()[1]}"


def _is_healthy(url: str, *, timeout: float) -> bool:
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=timeout)) as connection:
        try:
            connection.request("GET", "/api/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False

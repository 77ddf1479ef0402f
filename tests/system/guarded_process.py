"""A server of our own as a process: started, paused, stopped, killed, and started again."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.patience import PATIENCE

_REPOSITORY = Path(__file__).parents[2]
_START_LIMIT = PATIENCE.total_seconds()
_STOP_LIMIT = 10.0
_POLL_INTERVAL = 0.02
# A guard in the server's process group ends the group when the tests end, however they end: then
# the pipe closes that it reads, and that nobody writes to. Descriptor 3, because a shell gives what
# runs in the background an empty standard input.
_GUARDED = 'exec 3<&0 < /dev/null; { cat; kill -KILL 0; } <&3 > /dev/null & exec "$@" 3<&-'


class ServerDidNotStartError(Exception):
    """A server ended, or was not ready in time; the message is what it printed."""


class GuardedProcess:
    """One command, and the process that runs it now; `is_ready` asks the server with that pid."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        is_ready: Callable[[int], bool],
        output: IO[bytes],
        folder: Path,
        environ: Mapping[str, str] | None,
    ) -> None:
        self._command = command
        self._is_ready = is_ready
        self._output = output
        self._folder = folder
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._running().pid

    @property
    def is_running(self) -> bool:
        """Whether the server has been started, and neither ended nor crashed since."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Run the command and wait until the server is ready. Raises ServerDidNotStartError."""
        assert self._process is None, "it runs already"
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDED, "guarded", *self._command],
            cwd=self._folder,
            env=self._environ,
            # A group of its own, so that the guard can be ended with it.
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + _START_LIMIT
        while not self._is_ready(self._process.pid):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerDidNotStartError(self.log())
            time.sleep(_POLL_INTERVAL)

    def stop(self) -> None:
        """End the server in its own good order, even if it is paused."""
        process = self._running()
        process.terminate()
        process.send_signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT)
        self.kill()

    def kill(self) -> None:
        """End the server as a crash would."""
        process, self._process = self._running(), None
        # The leader may be gone, and its group with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def pause(self) -> None:
        """Let the server hang: it keeps its connections, and does nothing until `resume`."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._process:
            self.stop()

    def log(self) -> str:
        """Return all that the server has printed."""
        return os.pread(self._output.fileno(), 1 << 24, 0).decode(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it does not run"
        return self._process


@contextmanager
def guarded_process(
    command: Sequence[str],
    *,
    is_ready: Callable[[int], bool],
    folder: Path = _REPOSITORY,
    environ: Mapping[str, str] | None = None,
) -> Iterator[GuardedProcess]:
    """Run a server until the end of the block, or of the tests. Raises ServerDidNotStartError.

    Without an environment it has ours.
    """
    with TemporaryFile() as output:
        process = GuardedProcess(
            command, is_ready=is_ready, output=output, folder=folder, environ=environ
        )
        try:
            process.start()
            yield process
        finally:
            process.close()

"""Lambda's own runtime with one function in a process of its own, behind AWS's emulator.

The emulator starts the function at the first event, and gives it one at a time. It ends a function
that takes too long.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.system.guarded_process import GuardedProcess, guarded_process
from tests.system.lambda_artifact import LambdaArtifact
from tests.system.loopback import free_port, http

TIME_LIMIT = 60
"""Seconds for an event, by default."""

_INVOKE = "2015-03-31/functions/function/invocations"
_INIT = re.compile(r"INIT REPORT\(durationMs: (?P<milliseconds>[\d.]+)\)")


class FunctionError(Exception):
    """A function raised, or Lambda ended it, which repeats an asynchronous call."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class LambdaProcess:
    """An instance of a function: a process that begins with the first event."""

    def __init__(self, process: GuardedProcess, port: int) -> None:
        self._process = process
        self._url = f"http://127.0.0.1:{port}/{_INVOKE}"

    def __call__(self, event: object, _context: object = None) -> Any:
        """Hand over an event, and return what the function answers. Raises FunctionError."""
        return self.invoke(json.dumps(event).encode())

    def invoke(self, payload: bytes) -> Any:
        """Send a payload, valid or not. Return the answer. Raises FunctionError."""
        answer = http.post(self._url, content=payload, timeout=None)
        try:
            told = answer.json()
        except ValueError:
            raise FunctionError("Sandbox.Timedout", answer.text) from None
        match told:
            case {"errorType": str(kind), "errorMessage": str(text)}:
                raise FunctionError(kind, text)
            case _:
                return told

    def stop(self) -> None:
        """End it as Lambda does when it has not been used for long."""
        self._process.close()

    def log(self) -> str:
        """Return its log and output, with the emulator's."""
        return self._process.log()

    def init_seconds(self) -> float:
        """Return how long it took from the start of its process until it was ready for an event."""
        [found] = _INIT.finditer(self.log())
        return float(found["milliseconds"]) / 1000


@contextmanager
def lambda_process(
    artifact: LambdaArtifact,
    handler: str,
    environ: Mapping[str, str],
    *,
    time_limit: int = TIME_LIMIT,
) -> Iterator[LambdaProcess]:
    """Run a function with these variables. Raises ServerDidNotStartError."""
    port = free_port()
    command = [str(artifact.emulator)]
    command += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    # Without the packages of this Python: its artifact has all that a function needs.
    command += [str(artifact.python), "-S", "-m", "awslambdaric", handler]
    given = {
        "PATH": "/usr/bin:/bin",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(time_limit),
        "PYTHONPATH": str(artifact.runtime),
        # The file system is not to be written there.
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with guarded_process(
        command,
        is_ready=lambda _pid: _listens(port),
        folder=artifact.task,
        environ={**given, **environ},
    ) as process:
        yield LambdaProcess(process, port)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

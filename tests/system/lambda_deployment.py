"""The built application with one environment, as Lambda runs it: a process a request at a time.

Each request comes as an event of the next kind, so that all kinds carry a part of what is asked.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import cycle
from urllib.parse import unquote_to_bytes

import httpx

from tests.system.lambda_artifact import LambdaArtifact, lambda_artifact
from tests.system.lambda_events import HTTP_EVENTS, Event
from tests.system.lambda_instances import Handler, LambdaTransport
from tests.system.lambda_runtime import LambdaProcess, lambda_process

HANDLER = "functions.aws.api.handler"
# The reserved concurrency of the function. More requests wait. A start takes a third of a second of
# a processor, and 60 MB.
_AT_MOST = 6


class EveryKind:
    """Make events of all kinds by turns, without those that cannot express the request."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self._turns = cycle(HTTP_EVENTS)

    def __call__(self, request: httpx.Request) -> Event:
        """Make an event of the next kind."""
        kind = next(kind for kind in self._turns if _can_express(kind, request))
        self.made[kind] += 1
        return HTTP_EVENTS[kind](request)


def _can_express(kind: str, request: httpx.Request) -> bool:
    """Whether such an event has all that is in the request."""
    query = bytes(request.extensions["target"]).partition(b"?")[2]
    match kind:
        case "REST API":
            # It decodes queries, into text.
            return _is_text(unquote_to_bytes(query))
        case "load balancer, single values":
            names = [part.partition(b"=")[0] for part in query.split(b"&")]
            headers = [name.lower() for name, _ in request.headers.raw]
            return len(names) == len(set(names)) and len(headers) == len(set(headers))
        case _:
            return True


def _is_text(content: bytes) -> bool:
    """Whether this is UTF-8."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


class LambdaDeployment:
    """The function behind HTTP, of which instances are started as requests need them."""

    def __init__(
        self, artifact: LambdaArtifact, environ: Mapping[str, str], stack: ExitStack
    ) -> None:
        self._artifact = artifact
        self._environ = environ
        self._stack = stack
        self._processes: list[LambdaProcess] = []
        self.transport = LambdaTransport(
            self._start, event_of=EveryKind(), close=_stop, at_most=_AT_MOST
        )

    def stop(self) -> None:
        """End all that runs, once it has answered."""
        self.transport.stop()

    def log(self) -> str:
        """Return what all instances have logged."""
        return "\n".join(process.log() for process in self._processes)

    def _start(self) -> Handler:
        started = lambda_process(self._artifact, HANDLER, self._environ)
        self._processes.append(process := self._stack.enter_context(started))
        return process


def _stop(handler: Handler) -> None:
    assert isinstance(handler, LambdaProcess)
    handler.stop()


@contextmanager
def lambda_deployment(environ: Mapping[str, str]) -> Iterator[LambdaDeployment]:
    """Deploy what was built of this tree; skips the test where it cannot be."""
    artifact = lambda_artifact()
    with ExitStack() as stack:
        deployment = LambdaDeployment(artifact, environ, stack)
        stack.callback(deployment.stop)
        yield deployment

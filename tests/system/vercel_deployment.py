"""The built application with one environment, as Vercel runs it: a process for each function."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.system.vercel_artifact import ROOT, Artifact, Function, artifact
from tests.system.vercel_router import VercelTransport, routes_of
from tests.system.vercel_runtime import FunctionProcess, function_process

# The transport knows the real addresses.
BASE_URL = "http://vercel"


class VercelDeployment:
    """Functions that are started at the first request to them."""

    def __init__(self, built: Artifact, environ: Mapping[str, str], stack: ExitStack) -> None:
        self._environ = environ
        self._stack = stack
        self.processes: dict[str, FunctionProcess] = {}
        self.transport = VercelTransport(
            routes_of((ROOT / "vercel.json").read_text()),
            {
                f"functions/vercel/{name}.py": partial(self._start, function)
                for name, function in built.functions.items()
            },
        )

    def stop(self) -> None:
        """End all that runs, each with SIGTERM, and wait."""
        for process in self.processes.values():
            process.stop()

    def log(self) -> str:
        """Return what all of them have logged."""
        return "\n".join(process.log() for process in self.processes.values())

    def _start(self, function: Function) -> str:
        process = self._stack.enter_context(function_process(function, self._environ))
        self.processes[function.name] = process
        return process.address


@contextmanager
def vercel_deployment(environ: Mapping[str, str]) -> Iterator[VercelDeployment]:
    """Deploy what was built of this tree; skips the test where it cannot be."""
    built = artifact()
    with ExitStack() as stack:
        yield VercelDeployment(built, environ, stack)

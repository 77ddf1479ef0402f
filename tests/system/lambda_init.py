"""INIT of a Lambda function without the emulator: its processor time, and what it imports.

The clock of the emulator counts what else runs on this machine. This does not.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.system.lambda_artifact import LambdaArtifact

# The runtime imports the module of the handler, which makes all that events need.
_PROGRAM = """
import json, sys, time
import awslambdaric.bootstrap
before = set(sys.modules)
__import__(sys.argv[1])
used = time.process_time()
print(json.dumps([used, sorted(set(sys.modules) - before)]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """Processor time from the start of the process, in seconds; modules beyond the runtime's."""

    seconds: float
    modules: frozenset[str]


def lambda_init(artifact: LambdaArtifact, module: str, environ: Mapping[str, str]) -> Init:
    """Start a process, import a handler's module as the runtime does, and end it."""
    given = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{artifact.runtime}:{artifact.task}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(artifact.python), "-S", "-c", _PROGRAM, module]
    printed = subprocess.check_output(command, env={**given, **environ}, cwd=artifact.task)
    seconds, modules = json.loads(printed.splitlines()[-1])
    return Init(seconds=seconds, modules=frozenset(modules))

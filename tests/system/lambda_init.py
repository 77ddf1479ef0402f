"""INIT of a Lambda function without the emulator: its processor time, and what it imports.

The clock of the emulator counts what else runs on this machine. This does not.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from tests.system.lambda_artifact import LambdaArtifact

# The runtime imports the module of the handler, which makes all that events need.
_PROGRAM = """
import json, sys, time
import awslambdaric.bootstrap
before = set(sys.modules)
used = [time.process_time()]
for name in sys.argv[1:]:
    __import__(name)
    used.append(time.process_time())
print(json.dumps([used, sorted(set(sys.modules) - before)]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """Processor time of each step, in seconds; the modules beyond the runtime's.

    The first step is from the start of the process to the end of the runtime's imports.
    """

    steps: tuple[float, ...]
    modules: frozenset[str]

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(self.steps)


def lambda_init(artifact: LambdaArtifact, environ: Mapping[str, str], *modules: str) -> Init:
    """Start a process, import these modules as the runtime does, a step each, and end it."""
    given = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": f"{artifact.runtime}:{artifact.task}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(artifact.python), "-S", "-c", _PROGRAM, *modules]
    printed = subprocess.check_output(command, env={**given, **environ}, cwd=artifact.task)
    used, imported = json.loads(printed.splitlines()[-1])
    steps = (used[0], *(after - before for before, after in pairwise(used)))
    return Init(steps=steps, modules=frozenset(imported))

"""Cold start on Lambda: the time of INIT and of the first event.

`python -m tests.bench.lambda_start` prints these rows alone. It runs the deployed artifact on
Lambda's own runtime, with and without bytecode, over a table on this machine. It is measured by
turns with a function that does nothing. AWS's emulator reports the time of INIT as Lambda does.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.figures import Row, table, time_row
from tests.bench.stage import API_KEY
from tests.functions.deployment import Call
from tests.functions.stores import dynamodb_store
from tests.system.lambda_artifact import LambdaArtifact, lambda_artifact
from tests.system.lambda_deployment import HANDLER
from tests.system.lambda_events import function_url_event
from tests.system.lambda_init import lambda_init
from tests.system.lambda_runtime import lambda_process

_NOTHING = "def handler(event, context):\n    return {}\n"
_CREDENTIALS = {"CLIENT_ID": "not-a-real-id", "CLIENT_SECRET": "not-a-real-secret"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start, in seconds: processor time of INIT, its time, and that of the first answer."""

    used: float
    init: float
    answer: float


def lambda_start_rows(*, starts: int) -> list[Row]:
    """Start each function so many times."""
    built = lambda_artifact()
    with _without_bytecode(built) as plain, dynamodb_store() as store:
        environ = {**store.environ, **_CREDENTIALS, "API_KEY": API_KEY["x-api-key"]}
        functions = {
            "nothing": (plain, "nothing.handler"),
            "compiled": (built, HANDLER),
            "plain": (plain, HANDLER),
        }
        rounds = [
            {name: _start(*function, environ) for name, function in functions.items()}
            for _ in range(starts)
        ]
    return [
        *_rows("Lambda", "compiled", rounds),
        *_rows("Lambda without bytecode", "plain", rounds),
    ]


def _rows(what: str, name: str, rounds: Sequence[Mapping[str, Start]]) -> Iterator[Row]:
    ours, its = ([one[which] for one in rounds] for which in (name, "nothing"))
    base = "a function that does nothing"
    yield time_row(
        f"{what}, INIT: processor time",
        [[start.used] for start in ours],
        base=base,
        base_rounds=[[start.used] for start in its],
    )
    yield time_row(
        f"{what}, INIT: time",
        [[start.init] for start in ours],
        base=base,
        base_rounds=[[start.init] for start in its],
    )
    yield time_row(
        f"{what}, INIT and first answer from the table: time",
        [[start.answer] for start in ours],
        base=base,
        base_rounds=[[start.answer] for start in its],
    )


def _start(artifact: LambdaArtifact, handler: str, environ: Mapping[str, str]) -> Start:
    # Nobody has logged in: the table is asked, and has nothing.
    call = Call(method="GET", target="/api/token", headers=tuple(API_KEY.items()))
    event = function_url_event(call.build("https://lambda"))
    used = lambda_init(artifact, handler.rpartition(".")[0], environ).seconds
    with lambda_process(artifact, handler, environ) as process:
        begun = time.perf_counter()
        answer = process(event)
        elapsed = time.perf_counter() - begun
        assert "authorization-required" in answer.get("body", "authorization-required"), answer
        return Start(used=used, init=process.init_seconds(), answer=elapsed)


@contextmanager
def _without_bytecode(artifact: LambdaArtifact) -> Iterator[LambdaArtifact]:
    """Copy the modules alone, and add one with a handler that does nothing."""
    with TemporaryDirectory() as folder:
        task = Path(folder, "task")
        shutil.copytree(artifact.task, task, ignore=shutil.ignore_patterns("__pycache__"))
        (task / "nothing.py").write_text(_NOTHING)
        yield replace(artifact, task=task)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--starts", type=int, default=15, help="%(default)s")
    rows = lambda_start_rows(starts=parser.parse_args().starts)
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()

"""Cold start on Lambda: the time of INIT and of the first event.

`python -m tests.bench.lambda_start` prints these rows alone, and the parts of INIT. It runs the
deployed artifact on Lambda's own runtime, with and without bytecode, over a table on this machine.
It is measured by turns with a function that does nothing. AWS's emulator reports the time of INIT
as Lambda does.
"""

import argparse
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
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

AIM = 4.5
_NOTHING = "def handler(event, context):\n    return {}\n"
_CREDENTIALS = {"CLIENT_ID": "not-a-real-id", "CLIENT_SECRET": "not-a-real-secret"}
# The imports of INIT, in steps. The last makes all that a token needs, and reads the table once.
_STEPS = {
    "asyncio, with sockets and TLS": "asyncio",
    "the library's HTTP client": "http.client",
    "hashes": "hmac",
    "AES": "cryptography.hazmat.primitives.ciphers.aead",
    "Mangum": "mangum",
    "states, events and rules": "domain.decide",
    "stored formats": "adapters.sealed_records",
    "calls to AWS": "adapters.aws_client",
    "the store": "adapters.store_dynamodb",
    "settings": "functions.settings.settings",
    "the application": "functions.application",
    "its parts, and one read": HANDLER.rpartition(".")[0],
}
# Not imported: botocore's signer, and the rest that its client needs.
_BOTOCORE = (
    *("asyncio", "http.client", "hmac"),
    *("botocore.auth", "botocore.awsrequest", "botocore.session"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start, in seconds: processor time of INIT, its time, and that of the first answer."""

    used: float
    init: float
    answer: float


def lambda_start_rows(*, starts: int) -> list[Row]:
    """Start each function so many times."""
    built = lambda_artifact()
    with _without_bytecode(built) as plain, _environ() as environ:
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
        *_rows("Lambda", "compiled", rounds, aim=AIM),
        *_rows("Lambda without bytecode", "plain", rounds),
    ]


def parts_of_init(*, starts: int) -> list[str]:
    """Return a line for each part of INIT: the median of its processor time."""
    built = lambda_artifact()
    with _environ() as environ:
        parts = _steps(built, environ, tuple(_STEPS.values()), starts)
        *_, signer, request, session = _steps(built, {}, _BOTOCORE, starts)
    named = zip(("the interpreter and AWS's runtime", *_STEPS), parts, strict=True)
    signing, client = signer + request, signer + request + session
    return [
        *(f"{seconds * 1000:7.1f} ms  {name}" for name, seconds in named),
        f"{sum(parts) * 1000:7.1f} ms  all",
        f"{signing * 1000:7.1f} ms  botocore's signer, after the library's modules (not imported)",
        f"{client * 1000:7.1f} ms  botocore's session, without a client (not imported)",
    ]


def _steps(
    artifact: LambdaArtifact, environ: Mapping[str, str], modules: Sequence[str], starts: int
) -> list[float]:
    runs = [lambda_init(artifact, environ, *modules).steps for _ in range(starts)]
    return [median(times) for times in zip(*runs, strict=True)]


@contextmanager
def _environ() -> Iterator[Mapping[str, str]]:
    with dynamodb_store() as store:
        yield {**store.environ, **_CREDENTIALS, "API_KEY": API_KEY["x-api-key"]}


def _module_of(handler: str) -> str:
    return handler.rpartition(".")[0]


def _rows(
    what: str, name: str, rounds: Sequence[Mapping[str, Start]], *, aim: float | None = None
) -> Iterator[Row]:
    ours, its = ([one[which] for one in rounds] for which in (name, "nothing"))
    base = "a function that does nothing"
    yield time_row(
        f"{what}, INIT: processor time",
        [[start.used] for start in ours],
        base=base,
        base_rounds=[[start.used] for start in its],
        aim=aim,
    )
    yield time_row(
        f"{what}, INIT: time",
        [[start.init] for start in ours],
        base=base,
        base_rounds=[[start.init] for start in its],
        aim=aim,
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
    used = lambda_init(artifact, environ, _module_of(handler)).seconds
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
    starts = parser.parse_args().starts
    print(table(lambda_start_rows(starts=starts)), *parts_of_init(starts=starts), sep="\n")  # noqa: T201 - a command prints


if __name__ == "__main__":
    main()

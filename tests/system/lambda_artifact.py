"""Lambda's functions as they are deployed, and what stands for Lambda: its runtime and an emulator.

The runtime is AWS's own, and so is the emulator, which gives it events and takes its answers as
Lambda does. It is one program in the wheel of AWS's command line for SAM, of which nothing else is
taken. All is built for this machine's processor, and kept in `.venv` until what it is built of is
another.
"""

import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from zipfile import ZipFile

from infra.aws.artifact import ARCHITECTURES, LOCK, MINOR_VERSION, make_artifact
from infra.interpreters import interpreter
from tests.needs import cannot_run
from tests.system.built_once import built_once, digest_of
from tests.system.vercel_artifact import ROOT, repository

_KEPT = ROOT / ".venv/lambda"
_RUNTIME_LOCK = ROOT / "infra/locks/lambda-runtime.txt"
_EMULATOR_LOCK = ROOT / "infra/locks/lambda-emulator.txt"
_BUILT_OF = ("adapters/", "domain/", "functions/", "ports/", "infra/aws/artifact.py")
_PROCESSORS = {in_wheels: architecture for architecture, in_wheels in ARCHITECTURES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LambdaArtifact:
    """All that a function runs with: `task` is its /var/task, `runtime` a folder of packages."""

    python: Path
    emulator: Path
    runtime: Path
    task: Path


def require_lambda() -> None:
    """Skip the test where Lambda's Python or its emulator cannot be; in CI, fail it."""
    if reason := _missing():
        cannot_run(reason)


def _missing() -> str | None:
    if sys.platform != "linux" or platform.machine() not in _PROCESSORS:
        return "Lambda's emulator needs Linux on x86_64 or arm64"
    if interpreter(MINOR_VERSION) is None:
        return f"Lambda's runtime needs Python 3.{MINOR_VERSION}, on the PATH or in pyenv"
    return None


@cache
def lambda_artifact() -> LambdaArtifact:
    """Build the functions of this repository. Skips the test where that cannot be; in CI, fails it.

    Raises ArtifactError where the functions cannot be built.
    """
    require_lambda()
    python, architecture = interpreter(MINOR_VERSION), _PROCESSORS[platform.machine()]
    assert python is not None
    tree = {name: file for name, file in repository().items() if name.startswith(_BUILT_OF)}
    key = digest_of(tree, LOCK.read_bytes(), architecture, python)
    build = partial(make_artifact, architecture=architecture, python=python)
    return LambdaArtifact(
        python=python,
        emulator=_emulator(architecture),
        runtime=_runtime(python),
        task=built_once(_KEPT, f"task-{key}", build),
    )


def _runtime(python: Path) -> Path:
    def build(out: Path) -> None:
        _pip(python, "install", "--target", str(out), "--requirement", str(_RUNTIME_LOCK))

    key = digest_of({}, _RUNTIME_LOCK.read_bytes(), python)
    return built_once(_KEPT, f"runtime-{key}", build)


def _emulator(architecture: str) -> Path:
    name = f"aws-lambda-rie-{architecture}"

    def build(out: Path) -> None:
        wheels = out.with_name("wheels")
        _pip(None, "download", "--dest", str(wheels), "--requirement", str(_EMULATOR_LOCK))
        [wheel] = wheels.iterdir()
        with ZipFile(wheel) as content:
            (out / name).write_bytes(content.read(f"samcli/local/rapid/{name}"))
        (out / name).chmod(0o755)

    key = digest_of({}, _EMULATOR_LOCK.read_bytes(), architecture)
    return built_once(_KEPT, f"emulator-{key}", build) / name


def _pip(python: Path | None, action: str, *arguments: str) -> None:
    """Run this Python's pip, or let another Python run it."""
    by = ["--python", str(python)] if python else []
    common = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    command = [sys.executable, "-m", "pip", *by, action, *common, "--only-binary", ":all:"]
    ended = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

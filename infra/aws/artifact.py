"""The artifact of a Lambda function, in a folder: `python -m infra.aws.artifact FOLDER`.

The folder holds our packages, the packages of `infra/locks/aws.txt`, and the bytecode of both.
Lambda cannot write bytecode, and would compile at each cold start. Only the functions' version of
Python makes the bytecode that they load. The build needs no container and is reproducible.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from infra.interpreters import interpreter

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "infra/locks/aws.txt"
MINOR_VERSION = 13
"""The minor version of the functions' Python 3."""
ARCHITECTURES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""AWS's names of the processors, and the names that wheels have."""

_PACKAGES = ("adapters", "domain", "functions", "ports")
# The entrypoints of another platform, and the caches of this machine's Python.
_LEFT_OUT = shutil.ignore_patterns("vercel", "__pycache__", ".*")
# Amazon Linux 2023, where the functions run, has glibc 2.34.
_LIBRARIES = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
# The services in use. The others take 17 of the 19 MB of botocore's descriptions.
_SERVICES = {"dynamodb", "secretsmanager", "sesv2", "sns", "sts"}
# The folder on Lambda, for the paths in tracebacks.
_TASK = "/var/task"
# The date of each file, so that a zip is reproducible: a zip's earliest, in each time zone.
_DATE = 315_619_200
_LARGEST = 8
_ONLY = f"Only Python 3.{MINOR_VERSION} compiles for Lambda's functions, which run on it"
_INSTALL_ADVICE = f"""\
{_ONLY}, and there is none on the PATH or in pyenv. Install it (`pyenv install 3.{MINOR_VERSION}`, \
or `uv python install 3.{MINOR_VERSION}`), or name the program: --python PATH"""


class ArtifactError(Exception):
    """The artifact cannot be made. The message says what to do."""


def make_artifact(folder: Path, *, architecture: str, python: Path | None = None) -> None:
    """Make an artifact in a new or empty folder. A failure leaves the folder as it was.

    Raises ArtifactError.
    """
    compiler = _compiler(python)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ArtifactError(f"{folder} already exists and is not an empty folder: remove it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".artifact-") as workshop:
        made = Path(workshop, "artifact")
        _install(made, architecture, compiler)
        _strip(made)
        for package in _PACKAGES:
            shutil.copytree(ROOT / package, made / package, ignore=_LEFT_OUT)
        _compile(made, compiler)
        _normalize(made)
        made.rename(folder)


def sizes(folder: Path) -> Counter[str]:
    """Return the bytes of each package and top-level file of an artifact."""
    weights: Counter[str] = Counter()
    for path in folder.rglob("*"):
        if path.is_file():
            weights[path.relative_to(folder).parts[0]] += path.stat().st_size
    return weights


def _compiler(python: Path | None) -> Path:
    found = python or interpreter(MINOR_VERSION)
    if found is None:
        raise ArtifactError(_INSTALL_ADVICE)
    program = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        answer = _run([str(found), "-c", program]).split()
    except OSError as error:
        raise ArtifactError(f"{found} cannot be run: {error.strerror}.") from error
    if answer != ["cpython", "3", str(MINOR_VERSION)]:
        raise ArtifactError(f"{_ONLY}, and {found} is {' '.join(answer)}.")
    return found


def _install(folder: Path, architecture: str, compiler: Path) -> None:
    platforms = [f"{libraries}_{ARCHITECTURES[architecture]}" for libraries in _LIBRARIES]
    command = [sys.executable, "-m", "pip"]
    # With the functions' Python, pip evaluates the lock's markers for that version.
    command += ["--python", str(compiler), "install", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--no-deps", "--requirement", str(LOCK)]
    command += ["--only-binary", ":all:", "--implementation", "cp"]
    command += ["--python-version", f"3.{MINOR_VERSION}"]
    command += [part for platform in platforms for part in ("--platform", platform)]
    _run([*command, "--no-compile", "--target", str(folder)])


def _strip(folder: Path) -> None:
    """Remove the files that no function needs."""
    # Programs, which name the Python of this machine, and the lists of their hashes.
    shutil.rmtree(folder / "bin")
    for record in folder.glob("*.dist-info/RECORD"):
        record.unlink()
    for service in (folder / "botocore/data").iterdir():
        if service.is_dir() and service.name not in _SERVICES:
            shutil.rmtree(service)


def _compile(folder: Path, compiler: Path) -> None:
    command = [str(compiler), "-I", "-m", "compileall", "-q", "-f"]
    # Unchecked: a check would read the source, and its date is not real.
    command += ["--invalidation-mode", "unchecked-hash"]
    _run([*command, "-s", str(folder), "-p", _TASK, str(folder)])
    for source in folder.rglob("*.py"):
        bytecode = source.parent / "__pycache__" / f"{source.stem}.cpython-3{MINOR_VERSION}.pyc"
        if not bytecode.exists():
            raise ArtifactError(f"{source.relative_to(folder)} was not compiled.")


def _normalize(folder: Path) -> None:
    """Give each file the same date, and read permission for any user of Lambda."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_DATE, _DATE))


def _run(command: Sequence[str]) -> str:
    completed = subprocess.run(  # noqa: S603 - Pythons, and the program that the user names
        command, capture_output=True, text=True, check=False
    )
    if completed.returncode != 0:
        what = " ".join(command[:4])
        raise ArtifactError(f"{what} … failed:\n{completed.stdout}{completed.stderr}")
    return completed.stdout


def _summarize(folder: Path) -> str:
    weights = sizes(folder)
    largest = ", ".join(f"{part} {size / 1e6:.1f}" for part, size in weights.most_common(_LARGEST))
    return f"{folder}: {weights.total() / 1e6:.1f} MB; the largest parts: {largest}\n"


def main(arguments: Sequence[str] | None = None) -> str | None:
    """Make an artifact and print its size. Return the error, if any."""
    parser = argparse.ArgumentParser(prog="python -m infra.aws.artifact", description=__doc__)
    parser.add_argument("folder", type=Path, help="a new or empty folder")
    parser.add_argument(
        "--architecture", choices=ARCHITECTURES, default="arm64", help="%(default)s"
    )
    parser.add_argument(
        "--python", type=Path, help=f"a Python 3.{MINOR_VERSION}; default: on the PATH or in pyenv"
    )
    options = parser.parse_args(arguments)
    try:
        make_artifact(options.folder, architecture=options.architecture, python=options.python)
    except ArtifactError as error:
        return str(error)
    sys.stdout.write(_summarize(options.folder))
    return None


if __name__ == "__main__":
    sys.exit(main())

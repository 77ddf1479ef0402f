"""The artifact of Lambda's functions: all that they need, compiled, and nothing else."""

import os
import re
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.aws import artifact
from infra.aws.artifact import LOCK, ArtifactError, main, make_artifact, sizes
from infra.constraints import constraints
from infra.interpreters import interpreter
from tests.conftest import COUNTED
from tests.system.account import RecordProperty
from tests.system.lambda_artifact import LambdaArtifact, lambda_artifact
from tests.system.vercel_artifact import ROOT
from tests.system.vercel_bundle import MEGABYTE

MOST_MEGABYTES = 45
# ELF's e_machine.
AARCH64 = 183


@pytest.fixture(scope="module")
def built() -> LambdaArtifact:
    return lambda_artifact()


@pytest.fixture(scope="module")
def for_arm(built: LambdaArtifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact") / "new" / "one"
    make_artifact(folder, architecture="arm64", python=built.python)
    return folder


def files_of(folder: Path) -> dict[str, Path]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    return {name: path for name, path in found.items() if path.is_file()}


# --- what is in it


def test_artifact_has_our_packages_without_those_of_another_platform(
    built: LambdaArtifact,
) -> None:
    ours = re.compile(r"(adapters|domain|functions|ports)/.*\.(py|json)")
    there = {name for name in files_of(built.task) if ours.fullmatch(name)}
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT)
    here = {name for name in listed.decode().splitlines() if ours.fullmatch(name)}
    here -= {name for name in here if name.startswith("functions/vercel/")}
    assert there == here
    assert "functions/aws/api.py" in there


def test_artifact_has_what_is_locked(built: LambdaArtifact) -> None:
    of_dist = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info")
    found = filter(None, (of_dist.fullmatch(path.name) for path in built.task.iterdir()))
    installed = {f"{match['name'].replace('_', '-')}=={match['version']}" for match in found}
    assert installed == {text.partition(" ;")[0] for text in constraints(LOCK.read_text())}


def test_artifact_has_nothing_that_no_function_needs(built: LambdaArtifact) -> None:
    names = set(files_of(built.task))
    services = {name.split("/")[2] for name in names if name.startswith("botocore/data/")}
    kept = {name for name in services if "." not in name}
    assert kept == {"dynamodb", "secretsmanager", "sesv2", "sns", "sts"}
    assert services >= {"endpoints.json", "partitions.json", "sdk-default-configuration.json"}
    assert not {name for name in names if re.match(r"(bin|tests|infra|docs|\.)|.*/RECORD$", name)}


def test_artifact_is_small(built: LambdaArtifact, record_property: RecordProperty) -> None:
    weights = sizes(built.task)
    largest = ", ".join(f"{part} {size / MEGABYTE:.1f}" for part, size in weights.most_common(5))
    whole = weights.total() / MEGABYTE
    record_property(COUNTED, f"{whole:.1f} MB; the largest parts: {largest}")
    assert whole < MOST_MEGABYTES


def test_every_module_is_compiled_for_the_runtime_and_never_held_against_its_source(
    built: LambdaArtifact,
) -> None:
    script = "import importlib.util, sys; print(importlib.util.MAGIC_NUMBER.hex())"
    magic = bytes.fromhex(subprocess.check_output([str(built.python), "-c", script], text=True))
    files = files_of(built.task)
    modules = [path for name, path in files.items() if name.endswith(".py")]
    assert len(modules) > 400
    for module in modules:
        bytecode = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        # PEP 552: the first bit says that it goes by the source's hash, the second that it is held
        # against it.
        assert bytecode.read_bytes()[:8] == magic + struct.pack("<I", 0b01), module


def test_everybody_may_read_it_and_everything_has_one_date(built: LambdaArtifact) -> None:
    for path in built.task.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path
    assert len({path.stat().st_mtime for path in files_of(built.task).values()}) == 1


def test_same_input_makes_the_same_bytes(built: LambdaArtifact, tmp_path: Path) -> None:
    make_artifact(tmp_path / "again", architecture=_architecture(), python=built.python)
    first, second = files_of(built.task), files_of(tmp_path / "again")
    assert first.keys() == second.keys()
    assert {n for n in first if first[n].read_bytes() != second[n].read_bytes()} == set()


def test_artifact_for_the_other_processor_differs_in_what_is_compiled_for_it(
    built: LambdaArtifact, for_arm: Path
) -> None:
    libraries = [path for name, path in files_of(for_arm).items() if name.endswith(".so")]
    machines = {struct.unpack_from("<H", path.read_bytes(), 18)[0] for path in libraries}
    assert machines == {AARCH64}
    assert len(libraries) >= 3

    def alike(folder: Path) -> dict[str, bytes]:
        special = re.compile(r".*\.so|.*\.dist-info/.*")
        files = files_of(folder).items()
        return {name: path.read_bytes() for name, path in files if not special.fullmatch(name)}

    assert alike(for_arm) == alike(built.task)


def _architecture() -> str:
    return "arm64" if os.uname().machine == "aarch64" else "x86_64"


# --- where it cannot be made


@pytest.fixture
def no_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without the functions' Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    interpreter.cache_clear()
    yield
    interpreter.cache_clear()


@pytest.mark.usefixtures("no_python")
def test_without_the_functions_python_there_is_no_artifact_but_advice(
    tmp_path: Path,
) -> None:
    said = main([str(tmp_path / "artifact")])
    assert said is not None
    assert "Python 3.13" in said
    assert "--python PATH" in said
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_python_is_refused(tmp_path: Path) -> None:
    (other := tmp_path / "python3.12").write_text("#!/bin/sh\necho cpython 3 12\n")
    other.chmod(0o755)
    with pytest.raises(ArtifactError, match=r"and .* is cpython 3 12"):
        make_artifact(tmp_path / "a", architecture="arm64", python=other)
    with pytest.raises(ArtifactError, match="cannot be run: No such file"):
        make_artifact(tmp_path / "a", architecture="arm64", python=tmp_path / "none")
    assert list(tmp_path.iterdir()) == [other]


def test_folder_with_something_in_it_is_left_alone(built: LambdaArtifact, tmp_path: Path) -> None:
    (kept := tmp_path / "kept").write_text("kept")
    for folder in (tmp_path, kept):
        with pytest.raises(ArtifactError, match="not an empty folder: remove it first"):
            make_artifact(folder, architecture="arm64", python=built.python)
    assert kept.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize(
    ("lock", "said"),
    [
        (f"six==1.17.0 --hash=sha256:{'0' * 64}\n", "(?i)do not match the hashes"),
        ("six==1.17.0\n", "Hashes are required"),
    ],
)
def test_packages_that_differ_from_the_lock_make_no_artifact(
    built: LambdaArtifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lock: str,
    said: str,
) -> None:
    (tmp_path / "lock.txt").write_text(lock)
    monkeypatch.setattr(artifact, "LOCK", tmp_path / "lock.txt")
    with pytest.raises(ArtifactError, match=said):
        make_artifact(tmp_path / "out" / "artifact", architecture="arm64", python=built.python)
    assert list((tmp_path / "out").iterdir()) == []


def test_source_that_does_not_compile_makes_no_artifact(
    built: LambdaArtifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("adapters", "domain", "functions", "ports"):
        (tmp_path / "tree" / package).mkdir(parents=True)
    (tmp_path / "tree/domain/broken.py").write_text("def\n")
    monkeypatch.setattr(artifact, "ROOT", tmp_path / "tree")
    with pytest.raises(ArtifactError, match=r"domain/broken\.py.*\n *def"):
        make_artifact(tmp_path / "out" / "artifact", architecture="arm64", python=built.python)
    assert list((tmp_path / "out").iterdir()) == []

"""Builds a tree with Vercel's own builder, and lays the functions out as they find themselves.

`vercel_builder/build.mjs` calls the builder for each entrypoint of `vercel.json`, in a copy of the
tree. The result is kept in its node modules until a source changes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from infra.interpreters import interpreter
from tests.needs import cannot_run, set_up
from tests.system.built_once import built_once, digest_of

ROOT = Path(__file__).parents[2]
# In the builder's environment, and never in a bundle.
SECRETS_OF_THE_BUILD = {
    "CLIENT_SECRET": "client-secret-of-the-build",
    "API_KEY": "the-api-key-of-the-vercel-build",
    "KV_REST_API_TOKEN": "store-token-of-the-build",
}

_BUILDER = Path(__file__).with_name("vercel_builder")
_KEPT = _BUILDER / "node_modules/.cache"
# Not in bundles, which tests prove without a build.
_IRRELEVANT = re.compile(r"(docs|tests(?!/system/vercel_builder))/|.*\.md$")
# The runtime needs 3.12, which is also what a deployment gets that asks for no other.
_MINOR_VERSIONS = (12, 13, 14)

Tree: TypeAlias = Mapping[str, bytes]
"""The files of a project, by their paths in it."""


class BuildFailedError(Exception):
    """The builder gave up; the message is what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of an artifact: `folder` is its /var/task."""

    name: str
    folder: Path
    python: Path
    handler: str
    environment: Mapping[str, str]
    max_duration: int | None
    """How long a request may take, in seconds; None where the platform decides."""

    @property
    def files(self) -> dict[str, int]:
        """The size in bytes of each file of the bundle, by its path in it."""
        return {
            str(path.relative_to(self.folder)): path.stat().st_size
            for path in self.folder.rglob("*")
            if path.is_file()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """The functions that the builder made, by their names, and what it resolved (its uv.lock)."""

    functions: Mapping[str, Function]
    lock: str


def require_builder() -> None:
    """Skip the test where Vercel's builder, or a Python for it, is missing; in CI, fail it."""
    if not shutil.which("node"):
        cannot_run("Vercel's builder needs node")
    if vercels_python() is None:
        cannot_run(
            "Vercel's runtime needs Python 3.12 or newer, and none is on the PATH or in pyenv"
        )
    folder = _BUILDER.relative_to(ROOT)
    set_up(f"{folder}/node_modules/.stamp")
    if not (_BUILDER / "node_modules/@vercel/python").is_dir():
        cannot_run(f"Vercel's builder is not installed: npm ci --prefix {folder}")


@cache
def vercels_python() -> Path | None:
    """Find a Python for Vercel's runtime."""
    return next(filter(None, map(interpreter, _MINOR_VERSIONS)), None)


@cache
def artifact() -> Artifact:
    """Build this repository. Skips the test where it cannot be built; in CI, fails it.

    Raises BuildFailedError.
    """
    require_builder()
    return built(repository())


def repository() -> Tree:
    """Read this repository as it stands, files included that are not committed yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
    paths = {name: ROOT / name for name in names}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def built(tree: Tree) -> Artifact:
    """Build a tree, unless what it came to the last time is still here. Raises BuildFailedError."""
    python = vercels_python()
    assert python is not None
    name = f"artifact-{_digest(tree, python)}"
    folder = built_once(_KEPT, name, lambda out: _build(tree, out, python))
    return Artifact(
        functions={path.stem: _function(path, python) for path in sorted(folder.glob("*.json"))},
        lock=(folder / "uv.lock").read_text(),
    )


def _function(described: Path, python: Path) -> Function:
    description = json.loads(described.read_text())
    return Function(
        name=described.stem,
        folder=described.with_suffix(""),
        python=python,
        handler=description["handler"],
        environment=description["environment"],
        max_duration=description.get("maxDuration"),
    )


def _digest(tree: Tree, python: Path) -> str:
    """Return a digest of everything that a build depends on."""
    files = {name: content for name, content in tree.items() if not _IRRELEVANT.match(name)}
    tools = [_BUILDER / name for name in ("package-lock.json", "build.mjs")]
    return digest_of(files, python, [tool.read_bytes() for tool in tools])


def _build(tree: Tree, out: Path, python: Path) -> None:
    copy = out.with_name("tree")
    write_tree(tree, copy)
    if python.name != f"python3.{_MINOR_VERSIONS[0]}":
        (copy / ".python-version").write_text(python.name.removeprefix("python"))
    (copy / ".vercel/python/cache").mkdir(parents=True)
    (_KEPT / "uv").mkdir(exist_ok=True)
    (copy / ".vercel/python/cache/uv").symlink_to(_KEPT / "uv")
    command = ["node", str(_BUILDER / "build.mjs"), str(copy), str(out)]
    ended = subprocess.run(
        command,
        env=builder_environ(python),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise BuildFailedError(ended.stdout)
    (copy / "uv.lock").rename(out / "uv.lock")


def builder_environ(python: Path) -> dict[str, str]:
    """Return our environment, for a builder that is to find this Python, and our uv."""
    # pyenv's shims, which come first else, hide interpreters from uv.
    path = [str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"]]
    return {**os.environ, **SECRETS_OF_THE_BUILD, "PATH": os.pathsep.join(path)}


def write_tree(tree: Tree, folder: Path) -> None:
    """Write the files of a project."""
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

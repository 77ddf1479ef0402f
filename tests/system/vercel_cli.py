"""`make vercel-build`: what Vercel's whole command line makes of this tree, and what is wrong.

The tests call the builder alone, because the command line is 360 MB. This is the check that the
command line, which is what a deployment runs, comes to the same.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system.vercel_artifact import (
    ROOT,
    builder_environ,
    repository,
    vercels_python,
    write_tree,
)
from tests.system.vercel_bundle import MAX_DURATIONS, strays, weighed
from tests.system.vercel_router import routes_of

_HOW_TO_GET_IT = """\
Vercel's command line is not on the PATH. In a folder outside of this repository:
    echo '{"overrides": {"sandbox": "4.5.0"}}' > package.json
    npm install vercel@64.0.2
and then, here: PATH="THAT_FOLDER/node_modules/.bin:$PATH" make vercel-build
"""
_SUFFIX = ".py.func"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A function in `.vercel/output`: its description, and the size of each of its files."""

    name: str
    description: Mapping[str, object]
    sizes: Mapping[str, int]


def faults_of(project: Path) -> Iterator[str]:
    """Find what should not be so in what was built of a project."""
    built = project / ".vercel/output"
    outputs = {output.name: output for output in outputs_of(project)}
    if set(outputs) != set(MAX_DURATIONS):
        yield f"the functions are {sorted(outputs)}"
    for name, output in outputs.items():
        if wrong := strays(output.sizes):
            yield f"{name} has what does not belong there: {wrong}"
        if output.description.get("maxDuration") != MAX_DURATIONS.get(name):
            yield f"{name} may take {output.description.get('maxDuration')} s"
        if not any(path.endswith(".pyc") for path in output.sizes):
            yield f"{name} is not compiled"
    if static := [path for path in built.glob("static/**/*") if path.is_file()]:
        yield f"{len(static)} files are published as they are, {static[0].name} among them"
    config, told = (built / "config.json").read_text(), (project / "vercel.json").read_text()
    if routes_of(config) != routes_of(told):
        yield "the routes are not those of vercel.json"
    if json.loads(config).get("crons") != json.loads(told)["crons"]:
        yield "the cron jobs are not those of vercel.json"


def outputs_of(project: Path) -> Iterator[Output]:
    """Read the functions that were built."""
    for described in sorted(
        project.glob(f".vercel/output/functions/**/*{_SUFFIX}/.vc-config.json")
    ):
        folder, description = described.parent, json.loads(described.read_text())
        files = {path.name: path for path in folder.iterdir() if path != described}
        files |= {path: project / source for path, source in description["filePathMap"].items()}
        yield Output(
            name=folder.name.removesuffix(_SUFFIX),
            description=description,
            sizes={path: file.stat().st_size for path, file in files.items()},
        )


def build(program: str, project: Path) -> None:
    """Run `vercel build` on a copy of this tree. Raises subprocess.CalledProcessError."""
    write_tree(repository(), project)
    (project / ".vercel").mkdir()
    nobody = {"projectId": "none", "orgId": "none", "settings": {}}
    (project / ".vercel/project.json").write_text(json.dumps(nobody))
    python = vercels_python()
    assert python is not None, "Vercel's runtime needs Python 3.12 or newer"
    # `vercel deploy` sends these to the platform. `vercel build` does not read them.
    told = json.loads((project / "vercel.json").read_text())["build"]["env"]
    environ = {**builder_environ(python), **told, "VERCEL_TELEMETRY_DISABLED": "1"}
    subprocess.run([program, "build", "--yes"], cwd=project, env=environ, check=True)


def main() -> int:
    """Build, say what came of it, and return how many things are wrong."""
    program = shutil.which("vercel") or shutil.which(
        "vercel", path=os.fspath(ROOT / "node_modules/.bin")
    )
    if program is None:
        sys.stdout.write(_HOW_TO_GET_IT)
        return 1
    with TemporaryDirectory() as name:
        project = Path(name)
        build(program, project)
        for output in outputs_of(project):
            duration = output.description.get("maxDuration")
            sys.stdout.write(f"{weighed(output.name, output.sizes)}; at most {duration} s\n")
        faults = list(faults_of(project))
    sys.stdout.writelines(f"wrong: {fault}\n" for fault in faults)
    sys.stdout.write("" if faults else "all is as it should be\n")
    return len(faults)


if __name__ == "__main__":
    sys.exit(main())

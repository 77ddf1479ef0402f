"""`make vercel-build` finds faults in the output of Vercel's command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.vercel_artifact import ROOT
from tests.system.vercel_bundle import MAX_DURATIONS
from tests.system.vercel_cli import faults_of

Project = dict[str, Any]


def write(project: Path) -> None:
    """Write what the command line makes of this tree, in little."""
    (project / "vercel.json").write_bytes((ROOT / "vercel.json").read_bytes())
    for name, duration in MAX_DURATIONS.items():
        folder = project / f".vercel/output/functions/functions/vercel/{name}.py.func"
        folder.mkdir(parents=True)
        (folder / "vc__handler__python.py").touch()
        sources = ["domain/decide.py", "domain/__pycache__/decide.cpython-312.pyc"]
        for source in sources:
            (project / source).parent.mkdir(parents=True, exist_ok=True)
            (project / source).touch()
        described = {"maxDuration": duration, "filePathMap": {path: path for path in sources}}
        (folder / ".vc-config.json").write_text(json.dumps(described))
    told = json.loads((project / "vercel.json").read_text())
    told["routes"][-1]["src"] = "^/.*$"
    (project / ".vercel/output/config.json").write_text(json.dumps(told))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def token(project: Path) -> Path:
    return project / ".vercel/output/functions/functions/vercel/token.py.func/.vc-config.json"


def config(project: Path) -> Path:
    return project / ".vercel/output/config.json"


def publish(project: Path) -> None:
    static = project / ".vercel/output/static/functions"
    static.mkdir(parents=True)
    (static / "asgi.py").touch()


def rename(project: Path) -> None:
    token(project).parent.rename(token(project).parent.with_name("index.py.func"))


def add(path: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        edit(token(project), lambda it: it["filePathMap"].update({path: "vercel.json"}))

    return change


def test_output_as_it_should_be_has_no_faults(tmp_path: Path) -> None:
    write(tmp_path)
    assert list(faults_of(tmp_path)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (publish, "1 files are published"),
        (rename, "the functions are"),
        (add(".env"), "token has what does not belong there: ['.env']"),
        (add("tests/conftest.py"), "token has what does not belong"),
        (lambda project: edit(token(project), lambda it: it.update(maxDuration=60)), "60 s"),
        (lambda project: edit(token(project), lambda it: it["filePathMap"].clear()), "compiled"),
        (lambda project: edit(config(project), lambda it: it["crons"].clear()), "cron jobs"),
        (lambda project: edit(config(project), lambda it: it["routes"].pop()), "routes"),
    ],
)
def test_every_fault_is_reported(tmp_path: Path, change: Callable[[Path], None], said: str) -> None:
    write(tmp_path)
    change(tmp_path)
    assert said in "\n".join(faults_of(tmp_path))

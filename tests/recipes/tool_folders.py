"""Each tool in a folder of its own, installed from its lock."""

from pathlib import Path

from tests.needs import cannot_run, set_up

ROOT = Path(__file__).resolve().parents[2]


def python_of(tool: str) -> str:
    """Return the Python that has a tool. Skips the test if it cannot be installed."""
    stamp = ROOT / f".venv/recipes-{tool}/.stamp"
    lock = ROOT / f"infra/locks/recipes-{tool}.txt"
    if not _is_newer(stamp, lock):
        set_up(str(stamp.relative_to(ROOT)))
    if not stamp.exists():
        cannot_run(f"{tool} is missing: make {stamp.relative_to(ROOT)}")
    return str(stamp.parent / "bin/python")


def _is_newer(stamp: Path, lock: Path) -> bool:
    return stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime

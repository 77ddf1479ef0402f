"""The versions of `infra/locks/runtime.txt` in `pyproject.toml`, for builders that resolve anew.

Vercel's builder reads no requirement file and lets uv resolve what `pyproject.toml` asks for; with
these constraints it can find nothing but what is locked. `python -m infra.constraints`, which
`make lock` ends with, writes them.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "infra/locks/runtime.txt"

_REQUIREMENT = re.compile(r"^(?! )(?P<text>[^\\\n]+?)(?: \\)?$", re.MULTILINE)
_CONSTRAINTS = re.compile(r"^constraint-dependencies = \[\n(?:.*\n)*?\]\n", re.MULTILINE)


def constraints(lock: str) -> list[str]:
    """Return what a requirement file asks for, as it stands there but without the hashes."""
    return [found["text"] for found in _REQUIREMENT.finditer(lock)]


def constrained(pyproject: str, lock: str) -> str:
    """Return the project file with the constraints that the lock implies."""
    lines = [f"    {json.dumps(text)},\n" for text in constraints(lock)]
    block = "".join(["constraint-dependencies = [\n", *lines, "]\n"])
    return _CONSTRAINTS.sub(lambda _: block, pyproject)


if __name__ == "__main__":
    PYPROJECT.write_text(constrained(PYPROJECT.read_text(), LOCK.read_text()))

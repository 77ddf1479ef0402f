"""The versions of `infra/locks/runtime.txt` as constraints in `pyproject.toml`.

Vercel's builder reads no requirement file: uv resolves the dependencies of `pyproject.toml`. With
these constraints it selects the locked versions. `make lock` writes them, by
`python -m infra.constraints`.
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
    """Return the requirements of a file, without the hashes."""
    return [found["text"] for found in _REQUIREMENT.finditer(lock)]


def with_constraints(pyproject: str, lock: str) -> str:
    """Return the project file with the constraints of the lock."""
    lines = [f"    {json.dumps(text)},\n" for text in constraints(lock)]
    block = "".join(["constraint-dependencies = [\n", *lines, "]\n"])
    return _CONSTRAINTS.sub(lambda _: block, pyproject)


if __name__ == "__main__":
    PYPROJECT.write_text(with_constraints(PYPROJECT.read_text(), LOCK.read_text()))

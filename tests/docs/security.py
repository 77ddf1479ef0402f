"""Fill the names of the tests into the lines of `docs/security.md`.

python -m tests.docs.security
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs/security.md"
_TEST = re.compile(r"test_checklist_((?:\d+_)+)(.+)")
_LINE = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)
# In the place of tests: a feature that does not exist here, and a demand that is not met.
UNTESTED = {"not applicable", "open"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the page, with its notes."""

    number: int
    tested_by: str
    notes: str


def lines(page: str) -> Iterator[Line]:
    """Yield the lines of the page."""
    for number, _, _, tested_by, notes in _LINE.findall(page):
        yield Line(number=int(number), tested_by=tested_by, notes=notes)


@cache
def names_by_line(root: Path) -> Mapping[int, list[str]]:
    """Return the tests of each line, by their names and files."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for file in sorted(root.rglob("test_*.py")):
        if "node_modules" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if match := _TEST.fullmatch(node.name):
                words = match[2].replace("_", " ")
                place = file.relative_to(root).with_suffix("")
                for number in match[1].rstrip("_").split("_"):
                    found[int(number)].append(f"`{words}` ({place})")
    return found


def filled_in(page: str) -> str:
    """Return the page with the present tests in each line."""
    tests = names_by_line(TESTS)

    def fill_in(line: re.Match[str]) -> str:
        number, demand, source, tested_by, notes = line.groups()
        if tested_by not in UNTESTED:
            tested_by = "<br>".join(tests.get(int(number), []))
        cells = "".join(f" {cell} |" if cell else " |" for cell in (tested_by, notes))
        return f"| {number} | {demand} | {source} |{cells}"

    return _LINE.sub(fill_in, page)


if __name__ == "__main__":
    PAGE.write_text(filled_in(PAGE.read_text()))

"""The pages as texts: their blocks of code, tables, headings and links."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    ROOT / name
    for name in subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        text=True,
    ).split()
]

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"(^\|.*\n)+", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')


def page(name: str) -> str:
    """Return a page of `docs/`."""
    return (ROOT / "docs" / name).read_text()


def blocks(language: str, text: str = README) -> list[str]:
    """Return the code blocks of a language, without the indentation of a list."""
    return [
        re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)
        for indent, found, block in _BLOCK.findall(text)
        if found == language
    ]


def block(language: str, text: str, *, having: str) -> str:
    """Return the only block of a language that contains a text."""
    (found,) = (each for each in blocks(language, text) if having in each)
    return found


def first_cells(heading: str, text: str) -> list[str]:
    """Return the code words in the first column of the first table below a heading."""
    found = _TABLE.search(text.split(f"{heading}\n", 1)[1])
    assert found is not None
    return _first_cells(found.group())


def all_first_cells(text: str) -> list[str]:
    """Return the code words in the first column of every table."""
    return [word for table in _TABLE.finditer(text) for word in _first_cells(table.group())]


def _first_cells(table: str) -> list[str]:
    rows = table.splitlines()[2:]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page, as GitHub names them."""
    without_code = _BLOCK.sub("", text)
    headings = (_ANCHOR.sub("", heading) for heading in _HEADING.findall(without_code))
    return {*map(_slug, headings), *_ANCHOR.findall(text)}


def _slug(heading: str) -> str:
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def run_python(code: str, environ: Mapping[str, str]) -> str:
    """Run a program of a page that can import the domain. Return its output."""
    return subprocess.check_output(
        [sys.executable, "-c", code], cwd=ROOT, text=True, env={**os.environ, **environ}
    )

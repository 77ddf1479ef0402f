"""docs/library.md: its programs print what the page shows."""

import pytest

from tests.docs.pages import blocks, page, run_python

PAGE = page("library.md")
PROGRAMS = blocks("python", PAGE)
PRINTED = blocks("text", PAGE)


@pytest.mark.parametrize(
    ("program", "printed"), list(zip(PROGRAMS, PRINTED, strict=True)), ids=["short", "long"]
)
def test_the_program_prints_what_it_says(program: str, printed: str) -> None:
    assert run_python(program, {}) == printed

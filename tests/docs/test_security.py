"""docs/security.md: each line has the names of its tests, or a reason."""

from tests.docs.security import PAGE, TESTS, UNTESTED, filled_in, lines, names_by_line

TEXT = PAGE.read_text()
LINES = list(lines(TEXT))


def test_each_line_has_its_present_tests() -> None:
    assert filled_in(TEXT) == TEXT, "run: python -m tests.docs.security"


def test_every_line_has_tests_or_a_reason_and_not_both() -> None:
    untested = [line for line in LINES if line.tested_by in UNTESTED]
    assert all(line.notes for line in untested)
    numbers = {line.number for line in LINES} - {line.number for line in untested}
    assert set(names_by_line(TESTS)) == numbers


def test_the_lines_are_numbered() -> None:
    assert [line.number for line in LINES] == list(range(1, len(LINES) + 1))

"""The type checker finds each missing case: deleting an arm of a `match` fails it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mypy import api

DOMAIN = Path(__file__).resolve().parents[2] / "domain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One deletable arm: where it stands, and where its absence must show."""

    file: str
    first_line: int
    last_line: int
    assert_never_line: int


def arms() -> Iterator[list[Arm]]:
    """For each `match` that ends in `assert_never`: its other arms, but for those with a guard."""
    for path in sorted(DOMAIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Match) and "assert_never" in ast.unparse(node.cases[-1]):
                last = node.cases[-1].body[0].lineno
                yield [
                    Arm(
                        file=path.name,
                        first_line=case.pattern.lineno,
                        last_line=case.body[-1].end_lineno or 0,
                        assert_never_line=last,
                    )
                    for case in node.cases[:-1]
                    if case.guard is None
                ]


ALL = list(arms())


@pytest.mark.parametrize("number", range(max(map(len, ALL))))
def test_deleting_an_arm_of_a_match_fails_type_checking(number: int, tmp_path: Path) -> None:
    """The n-th arm of every match at once, so that the type checker runs few times."""
    deleted = [match[number] for match in ALL if number < len(match)]
    copy = tmp_path / "domain"
    copy.mkdir()
    for path in DOMAIN.glob("*.py"):
        lines = path.read_text().splitlines()
        for arm in deleted:
            if arm.file == path.name:
                blank = [""] * (arm.last_line - arm.first_line + 1)
                lines[arm.first_line - 1 : arm.last_line] = blank
        (copy / path.name).write_text("\n".join(lines) + "\n")
    report, _, _ = api.run(
        ["--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), str(copy)]
    )
    shown = {
        (Path(file).name, int(line))
        for file, line in re.findall(r'^(.*?):(\d+): error: .*"assert_never"', report, re.MULTILINE)
    }
    assert {(arm.file, arm.assert_never_line) for arm in deleted} <= shown, report


def test_every_match_in_the_domain_ends_in_assert_never() -> None:
    found = [
        node
        for path in DOMAIN.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Match)
    ]
    assert len(found) == len(ALL) > 0

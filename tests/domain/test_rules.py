"""The header of `decide.py`: the functions that it names for each rule exist, and name the rule."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain import decide

DOMAIN = Path(decide.__file__).parent
# From its number to the next rule, or the end of the paragraph.
_RULE = r"(?ms)^ ?(\d+)\. (\*.*?)(?=^ ?\d+\. \*|\n\n)"
RULES = re.findall(_RULE, decide.__doc__ or "")
MODULES_OF_RULES = (
    *("adopting", "attempts", "failures", "first_tokens", "logins", "moving", "questions"),
    *("rejections", "revoking"),
)
# These take a question or an event to its group of rules.
ENTRANCES = ("decide", "effects")


def functions(module: str) -> Iterator[tuple[str, str]]:
    """Return the name and the source of each function and method of a module."""
    text = (DOMAIN / f"{module}.py").read_text()
    for node in ast.parse(text).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for each in members:
            if isinstance(each, ast.FunctionDef):
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                yield f"{module}.{owner}{each.name}", ast.get_source_segment(text, each) or ""


def rules_in(text: str) -> set[int]:
    """Return the numbers that follow "rule" or "rules": "rules 4 to 7, and 11" are five."""
    rules: set[int] = set()
    for numbers in re.findall(r"[Rr]ules? (\d+(?:(?:, and| and|,| to) \d+)*)", text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", numbers):
            rules |= set(range(int(first), int(last or first) + 1))
    return rules


# The rules of alerts have numbers of their own: the header of `alerts.py`.
SOURCES = {
    name: source
    for path in DOMAIN.glob("*.py")
    if "alert" not in path.stem
    for name, source in functions(path.stem)
}


def test_the_header_has_eighteen_rules_in_order() -> None:
    assert [int(number) for number, _text in RULES] == list(range(1, 19))


@pytest.mark.parametrize(("number", "text"), RULES, ids=[number for number, _text in RULES])
def test_the_functions_of_a_rule_are_named_and_name_the_rule(number: str, text: str) -> None:
    _rule, _code, code = text.partition("Code: ")
    named = re.findall(r"`(\w+\.[\w.]+)`", code)
    assert named
    assert [name for name in named if int(number) not in rules_in(SOURCES[name])] == []


def test_each_function_of_the_rules_names_its_rule() -> None:
    names = [name for name in SOURCES if name.split(".")[0] in MODULES_OF_RULES]
    assert [name for name in names if not rules_in(SOURCES[name])] == []


def test_the_header_names_each_module_that_has_a_function_of_the_rule() -> None:
    named = {int(number): set(re.findall(r"`(\w+)\.\w+", text)) for number, text in RULES}
    missing = defaultdict(set)
    for name, source in SOURCES.items():
        module = name.split(".")[0]
        for rule in rules_in(source) if module not in ENTRANCES else ():
            if module not in named[rule]:
                missing[rule].add(name)
    assert missing == {}

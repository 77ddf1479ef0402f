"""The OpenAPI document: it is valid, up to date, and says what the code does."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from domain.connection import _NAME as _CONNECTION
from functions.asgi import ROUTES
from functions.endpoints.promises.document import OPERATIONS, text
from functions.endpoints.promises.operation import CONNECTION, Operation
from functions.endpoints.promises.problems import (
    OCCURRENCES,
    OPTIONAL_PROBLEM_MEMBERS,
    PROBLEM_MEMBERS,
    Occurrence,
)
from functions.http.problems import PROBLEMS
from functions.refresh.sweep import SweepReport
from functions.version import VERSION

ROOT = Path(__file__).parents[2]
DOCUMENT: dict[str, Any] = json.loads(text())
PROBLEMS_PAGE = (ROOT / "docs/problems.md").read_text()
ROW = re.compile(
    r"^\| `(?P<name>[a-z-]+)` \| (?P<statuses>[0-9, ]+) \| (?P<when>.+?) \| ", re.MULTILINE
)
# Answered before an operation is found.
WITHOUT_OPERATION = {"method-not-allowed", "not-found"}
OPERATION_LIST = [
    (method, path, operation)
    for path, methods in OPERATIONS.items()
    for method, operation in methods.items()
]


def test_the_document_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_every_operation_there_is_is_described_and_no_other() -> None:
    described = {
        (method, path)
        for methods_path, operation in operations()
        for method, path in [methods_path, ("HEAD", methods_path[1])]
        if method != "HEAD" or (operation.has_head and methods_path[0] == "GET")
    }
    assert described == {(method, path) for path, methods in ROUTES.items() for method in methods}


def operations() -> Iterator[tuple[tuple[str, str], Operation]]:
    for method, path, operation in OPERATION_LIST:
        yield (method, path), operation


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation.id for _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_type_of_problem_is_one_of_an_operation() -> None:
    described = {name for _, operation in operations() for name in operation.problems}
    assert described | WITHOUT_OPERATION == set(PROBLEMS)
    assert set(PROBLEM_MEMBERS) | set(OPTIONAL_PROBLEM_MEMBERS) <= set(PROBLEMS)


def test_the_page_of_problems_names_the_members_that_are_described() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|[^|\n]*\|[^|\n]*\| (.*)\|$", PROBLEMS_PAGE, re.MULTILINE)
    told = {name: set(re.findall(r"`([^`]+)`", cell)) for name, cell in rows if name in PROBLEMS}
    assert set(told) == set(PROBLEMS)
    for name, words in told.items():
        members = PROBLEM_MEMBERS.get(name, {})
        parts = {part for member in members.values() for part in member.get("properties", ())}  # type: ignore[attr-defined]
        assert words - {"verify"} <= set(members) | parts, name
        assert ("cause" in words) == ("cause" in members), name


def test_the_page_of_problems_describes_each_as_the_document_does() -> None:
    table = PROBLEMS_PAGE.partition("\n## ")[0]
    described = {
        row["name"]: Occurrence(tuple(map(int, row["statuses"].split(", "))), row["when"])
        for row in ROW.finditer(table)
    }
    assert described == OCCURRENCES


def test_the_first_status_of_each_problem_is_its_usual_one() -> None:
    usual = {name: of.statuses[0] for name, of in OCCURRENCES.items()}
    assert usual == {name: status.value for name, (status, _) in PROBLEMS.items()}


def test_every_problem_that_is_raised_has_a_documented_type() -> None:
    raised = {name for file in (ROOT / "functions").rglob("*.py") for name in raised_in(file)}
    # These are raised by a name that is looked up.
    raised |= {"refused-for-now", "refused-without-reason", "client-refused"}
    raised.add("provider-unavailable")
    assert raised == set(PROBLEMS)


def raised_in(file: Path) -> Iterator[str]:
    """The first argument of each call of `problem`, where it stands there."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="problem"), args=[ast.Constant(value=str(name)), *_]):
                yield name
            case ast.Call(func=ast.Name(id="problem"), args=[looked_up, *_]):
                # One place, whose every value is a type.
                assert ast.unparse(looked_up) == (
                    "_REFUSALS.get(failure, 'provider-unavailable')"
                ), f"{file}:{node.lineno}"
            case _:
                pass


def test_the_document_has_no_links_into_these_pages() -> None:
    assert ".md)" not in text()


def test_the_pattern_and_the_counts_are_those_of_the_code() -> None:
    assert CONNECTION.schema["pattern"] == f"^{_CONNECTION.pattern}$"
    report = DOCUMENT["components"]["schemas"]["SweepReport"]
    assert report["required"] == list(SweepReport.__slots__)


def examples() -> Iterator[tuple[str, Mapping[str, Any], object]]:
    """Every example in the document, with the schema that it is an example of."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for name, described in examples_of(operation):
                yield f"{method} {path} {name}", described["schema"], described["example"]
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            yield name, schema, example


def examples_of(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every part of an operation that has an example."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for parameter in operation["parameters"]:
        if "example" in parameter:
            yield parameter["name"], parameter
    for status, response in operation["responses"].items():
        for kind, content in response["content"].items():
            if "example" in content:
                yield f"{status} {kind}", content


EXAMPLES = list(examples())


@pytest.mark.parametrize(
    ("schema", "example"), [it[1:] for it in EXAMPLES], ids=[it[0] for it in EXAMPLES]
)
def test_every_example_is_valid(schema: Mapping[str, Any], example: object) -> None:
    # References are from the root.
    rooted = {**schema, "components": DOCUMENT["components"]}
    Draft202012Validator(rooted, format_checker=FormatChecker()).validate(example)


def test_there_is_an_example_of_every_answer_and_every_problem() -> None:
    answers = sum(
        (answer.schema is not None) + len(answer.other_content)
        for _, operation in operations()
        for answer in operation.answers.values()
    )
    parameters = [each.example for _, operation in operations() for each in operation.parameters]
    forms = sum(bool(operation.form) + len(operation.body) for _, operation in operations())
    told = answers + len(parameters) - parameters.count(None) + forms
    assert len(EXAMPLES) == told + len(PROBLEMS)

"""README.md and docs/http.md: their tables of endpoints match the code."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.asgi import ROUTES
from functions.endpoints.promises.document import OPERATIONS, openapi_document
from functions.endpoints.promises.schemas import SCHEMAS
from tests.docs.pages import README, block, first_cells, page

PAGE = page("http.md")
DOCUMENT: Any = openapi_document()
# The page lists these once for all endpoints.
OF_ALL = {400, 408, 413, 414, 429, 431, 500, 503}


@pytest.mark.parametrize(
    ("heading", "text"),
    [('## Endpoints <a id="http"></a>', README), ("## Endpoints", PAGE)],
    ids=["README", "http"],
)
def test_the_endpoints_listed_are_the_ones_there_are(heading: str, text: str) -> None:
    listed = {tuple(cell.split()) for cell in first_cells(heading, text)}
    there = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert listed == {(method, path) for method, path in there if method != "HEAD"}


def test_the_statuses_of_each_endpoint_are_those_it_promises() -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \| (.*) \| (.*)\|$", PAGE, re.MULTILINE)
    for method, path, success, problems in rows:
        operation = OPERATIONS[path][method]
        promised = set(map(int, DOCUMENT["paths"][path][method.lower()]["responses"]))
        of_problems = promised - set(operation.answers)
        assert statuses(success) == set(operation.answers), path
        assert statuses(problems) - OF_ALL == of_problems - OF_ALL, path
    assert len(rows) == sum(map(len, OPERATIONS.values()))


def test_the_example_of_extra_members_is_an_answer() -> None:
    members = json.loads(block("json", PAGE, having="extra"))
    schema: Any = SCHEMAS["Token"]
    Draft202012Validator(schema).validate(members)
    assert members.keys() == schema["properties"].keys()


def test_the_example_of_a_list_is_an_answer() -> None:
    members = json.loads(block("json", PAGE, having="connections"))
    page, row = SCHEMAS["Connections"], SCHEMAS["Connection"]
    assert members.keys() == page["properties"].keys()  # type: ignore[attr-defined]
    [listed] = members["connections"]
    Draft202012Validator(row).validate(listed)
    assert listed.keys() <= row["properties"].keys()  # type: ignore[attr-defined]


def statuses(cell: str) -> set[int]:
    return {int(number) for number in re.findall(r"\b[2-5]\d\d\b", cell)}


def test_each_parameter_is_on_the_page() -> None:
    parameters = {
        parameter.name
        for methods in OPERATIONS.values()
        for operation in methods.values()
        for parameter in operation.parameters
        if not operation.open_parameters and parameter.name != "link"
    }
    assert [name for name in sorted(parameters) if f"{name}=" not in PAGE] == []

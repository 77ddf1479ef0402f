"""GET /api/openapi.json: what it says of keys and parameters is so, on every host."""

import json

import pytest

from functions.endpoints.promises.document import OPERATIONS, text
from functions.endpoints.promises.operation import Key, Operation
from tests.functions.deployment import CRON_SECRET, JSON, Deployment, Header, at
from tests.functions.expect import expect_json, expect_problem

OPERATION_LIST = [
    (method, path, operation)
    for path, methods in OPERATIONS.items()
    for method, operation in methods.items()
]


def test_the_document_is_served_without_a_key(deployment: Deployment) -> None:
    answer = deployment.call("GET", "/api/openapi.json")
    assert expect_json(answer) == json.loads(text())


@pytest.mark.parametrize(("method", "path", "operation"), OPERATION_LIST)
def test_the_key_that_is_described_is_the_one_that_is_asked_for(
    deployment: Deployment, method: str, path: str, operation: Operation
) -> None:
    # Refused for its length, after the key.
    answer = deployment.call(method, f"{path}?connection=/", JSON)
    match operation.key:
        case Key.API_KEY | Key.API_KEY_OR_LINK:
            expect_problem(answer, 401, "api-key-missing")
        case Key.CRON_SECRET:
            expect_problem(answer, 401, "cron-secret-required")
        case Key.NONE:
            assert answer.status_code in {200, 400}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATION_LIST)
def test_the_parameters_that_are_described_are_the_ones_that_are_read(
    deployment: Deployment, method: str, path: str, operation: Operation
) -> None:
    answer = deployment.call(method, at(path, unheard="of"), key_for(operation, deployment), JSON)
    if operation.open_parameters:
        # What may be wrong is that one is missing.
        needs_one = any(parameter.is_required for parameter in operation.parameters)
        assert answer.status_code in ({400} if needs_one else operation.answers)
        assert "unheard" not in answer.text
    else:
        detail = expect_problem(answer, 400, "invalid-request")["detail"]
        told = detail.rpartition(": ")[2].removesuffix(".").split(", ")
        assert told == sorted(parameter.name for parameter in operation.parameters)


def key_for(operation: Operation, deployment: Deployment) -> Header:
    if operation.key is Key.CRON_SECRET:
        return ("authorization", f"Bearer {CRON_SECRET}")
    return deployment.key

"""GET /api/openapi.json: the keys and parameters that it describes are those that are read."""

import json

import pytest

from functions.endpoints.promises.document import OPERATIONS, text
from functions.endpoints.promises.operation import Key, Operation
from tests.functions.deployment import API_KEY, CRON_SECRET, JSON, Deployment, Header, at
from tests.functions.expect import expect_json, expect_problem
from tests.functions.hosts import on_each_host

FORM = ("content-type", "application/x-www-form-urlencoded")
OPERATION_LIST = [
    (method, path, operation)
    for path, methods in OPERATIONS.items()
    for method, operation in methods.items()
]


@on_each_host
def test_the_document_is_served_without_a_key(deployment: Deployment) -> None:
    answer = deployment.call("GET", "/api/openapi.json")
    assert expect_json(answer) == json.loads(text())


@pytest.mark.parametrize(("method", "path", "operation"), OPERATION_LIST)
def test_each_operation_asks_for_the_key_that_is_described(
    deployment: Deployment, method: str, path: str, operation: Operation
) -> None:
    # Refused for its length, after the key.
    body = b"grant_type=client_credentials" if operation.key is Key.CLIENT_SECRET else b""
    answer = deployment.call(method, f"{path}?connection=/", JSON, FORM, content=body)
    match operation.key:
        case Key.API_KEY | Key.API_KEY_OR_BASIC | Key.API_KEY_OR_LINK:
            expect_problem(answer, 401, "api-key-missing")
        case Key.CLIENT_SECRET:
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        case Key.CRON_SECRET:
            expect_problem(answer, 401, "cron-secret-required")
        case Key.NONE:
            assert answer.status_code in {200, 400}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATION_LIST)
def test_each_operation_reads_the_parameters_that_are_described(
    deployment: Deployment, method: str, path: str, operation: Operation
) -> None:
    key, body = key_for(operation, deployment)
    answer = deployment.call(method, at(path, stray="of"), key, JSON, content=body)
    if operation.open_parameters:
        # Only a missing parameter is a fault.
        needs_one = any(parameter.is_required for parameter in operation.parameters)
        assert answer.status_code in ({400} if needs_one else operation.answers)
        assert "stray" not in answer.text
    else:
        assert answer.status_code == 400
        detail = answer.json().get("detail") or answer.json()["error_description"]
        named = detail.rpartition(": ")[2].removesuffix(".").split(", ")
        assert named == (sorted(each.name for each in operation.parameters) or ["none"])


def key_for(operation: Operation, deployment: Deployment) -> tuple[Header, bytes]:
    """Return the header and the body with the key."""
    if operation.key is Key.CRON_SECRET:
        return ("authorization", f"Bearer {CRON_SECRET}"), b""
    if operation.key is Key.CLIENT_SECRET:
        return FORM, f"grant_type=refresh_token&refresh_token={API_KEY}".encode()
    return deployment.key, b""

"""A DynamoDB table in memory: moto evaluates requests, without botocore and the network."""

import json
from collections.abc import Mapping
from typing import Any

from moto.core.model_instances import reset_model_data
from moto.dynamodb.exceptions import ConditionalCheckFailed
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from adapters.dynamodb_table import ConditionFailedError, Item, answer_of, request_of
from tests.system.dynamodb_peer import TABLE

_NAME = "grants"


class MotoTable:
    """A table as `infra/aws/table.json` says."""

    def __init__(self) -> None:
        # moto remembers every object that it makes until this call.
        reset_model_data()
        self._handler = _Handler()
        self.evaluate("create_table", **TABLE)

    def evaluate(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Return the answer to a request, at once. Raises ConditionFailedError."""
        self._handler.body = request_of(operation, _NAME, arguments)
        try:
            answer: Mapping[str, Any] = getattr(self._handler, operation)().result
        except ConditionalCheckFailed as error:
            there = json.loads(error.description).get("Item", {})
            raise ConditionFailedError(there) from None
        return answer_of(operation, _NAME, answer)

    def item(self, key: str) -> Item:
        """Return the item of this key, or an empty one."""
        found: Item = self.evaluate("get_item", Key={"id": {"S": key}}).get("Item", {})
        return found


class _Handler(DynamoHandler):
    """moto's reading of requests, over tables that nothing else has."""

    def __init__(self) -> None:
        super().__init__()
        self._own = DynamoDBBackend("eu-central-1", "123456789012")

    @property
    def dynamodb_backend(self) -> DynamoDBBackend:
        return self._own

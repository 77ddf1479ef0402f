"""Mutants of the requests of the DynamoDB store, and of its reading of answers.

Each function replaces a real one while its patch lasts.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from adapters import store_dynamodb
from adapters.dynamodb_table import ConditionFailedError
from functions.refresh.keeper import Keeper
from ports.store import ConflictError
from tests.simulation.simulated_table import SimulatedTable, connection_of


def take_own_writes_for_conflicts(patch: pytest.MonkeyPatch) -> None:
    call = SimulatedTable.call

    async def mutant(
        self: SimulatedTable, operation: str, **arguments: object
    ) -> Mapping[str, Any]:
        try:
            return await call(self, operation, **arguments)
        except ConditionFailedError as failed:
            there = self.port._record(str(connection_of(arguments)), failed.item)
            raise ConflictError(there) from failed

    patch.setattr(SimulatedTable, "call", mutant)


def write_without_a_condition(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store_dynamodb, "_if_etag_is", lambda _expected: {})


def read_what_may_be_old(patch: pytest.MonkeyPatch) -> None:
    call = SimulatedTable.call

    async def mutant(
        self: SimulatedTable, operation: str, **arguments: object
    ) -> Mapping[str, Any]:
        arguments.pop("ConsistentRead", None)
        return await call(self, operation, **arguments)

    patch.setattr(SimulatedTable, "call", mutant)


def believe_the_index(patch: pytest.MonkeyPatch) -> None:
    # Refresh each connection in the index, without a look at its record.
    patch.setattr(Keeper, "refresh_if_due", Keeper.refresh)


def leave_grants_out_of_the_index(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store_dynamodb, "_when_due", lambda _name, _record: {})

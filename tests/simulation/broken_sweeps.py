"""Mutants of what a sweep leaves for the next one.

Each function replaces a real one while its patch lasts.
"""

import pytest

from domain.grant import Refreshing
from functions.refresh import away_clients
from functions.refresh.away_clients import AwayClients
from functions.refresh.keeper import QuestionResult


def count_all_clients_together(patch: pytest.MonkeyPatch) -> None:
    init = AwayClients.__init__
    patch.setattr(AwayClients, "__init__", lambda self, _client_of: init(self, lambda _: None))


def leave_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AwayClients, "has", lambda _self, _connection: False)


def leave_a_client_for_ever(patch: pytest.MonkeyPatch) -> None:
    has, away = AwayClients.has, set[str | None]()

    def mutant(self: AwayClients, connection: str) -> bool:
        client = self._client_of(connection)
        if has(self, connection):
            away.add(client)
        return client in away

    patch.setattr(AwayClients, "has", mutant)


def wait_for_each_that_hangs(patch: pytest.MonkeyPatch) -> None:
    is_fault = away_clients._is_fault_of_client

    def mutant(result: QuestionResult) -> bool | None:
        return None if isinstance(result.after, Refreshing) else is_fault(result)

    patch.setattr(away_clients, "_is_fault_of_client", mutant)


def count_repeated_failures(patch: pytest.MonkeyPatch) -> None:
    is_fault, failure = away_clients._is_fault_of_client, away_clients._failure

    def mutant(result: QuestionResult) -> bool | None:
        is_repeated = failure(result.after) is failure(result.before) is not None
        is_tried = result.after != result.before
        return True if is_repeated and is_tried else is_fault(result)

    patch.setattr(away_clients, "_is_fault_of_client", mutant)

"""What carries out the rules of refresh, broken on purpose.

Each function replaces one of the real ones for as long as its patch lasts.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from domain.commands import SendTokenRequest, Wait
from domain.decide import decide
from domain.events import AttemptEnded, Happened
from domain.grant import Grant, Refreshing
from domain.token_endpoint import Outcome
from functions import recorder as recorder_module
from functions import sweep as sweep_module
from functions.keeper import Answered, Keeper
from functions.recorder import Recorder
from functions.sharing import Shared
from ports.store import ConflictError, Record, UnreadableRecordError
from tests.simulation.simulated_store import SimulatedStore


def serve_before_storing(patch: pytest.MonkeyPatch) -> None:
    keep = Recorder.keep

    async def mutant(self: Recorder, connection: str, record: Record, event: Happened) -> Record:
        if not isinstance(event, AttemptEnded):
            return await keep(self, connection, record, event)
        _in_background(keep(self, connection, record, event))
        grant = decide(record.grant, event, self._policy, self._clock.now()).grant
        return Record(grant=grant, etag=record.etag)

    patch.setattr(Recorder, "keep", mutant)


def send_before_storing_the_intent(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(self: Recorder, connection: str, record: Record, grant: Grant) -> Record:
        if not isinstance(grant, Refreshing):
            return await swap(self, connection, record, grant)
        _in_background(swap(self, connection, record, grant))
        return Record(grant=grant, etag="not yet")

    patch.setattr(Recorder, "swap", mutant)


def write_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(self: Recorder, connection: str, record: Record, grant: Grant) -> Record:
        try:
            return await swap(self, connection, record, grant)
        except ConflictError as conflict:
            return await swap(self, connection, conflict.current, grant)

    patch.setattr(Recorder, "swap", mutant)


def send_however_late(patch: pytest.MonkeyPatch) -> None:
    async def mutant(self: Keeper, command: SendTokenRequest) -> Outcome:
        return await self._server().request_tokens(command.request)

    patch.setattr(Keeper, "_send", mutant)


def give_up_a_write_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recorder_module, "SWAP_RETRIES", ())


def report_what_waits_as_refreshed(patch: pytest.MonkeyPatch) -> None:
    judge = sweep_module._judge

    def mutant(answered: Answered) -> sweep_module.Swept:
        waits = isinstance(answered.answer, Wait)
        return sweep_module.Swept.REFRESHED if waits else judge(answered)

    patch.setattr(sweep_module, "_judge", mutant)


def overwrite_what_cannot_be_read(patch: pytest.MonkeyPatch) -> None:
    swap = SimulatedStore.swap

    async def mutant(
        self: SimulatedStore,
        connection: str,
        *,
        expected_etag: str | None,
        new_etag: str,
        grant: Grant,
    ) -> None:
        try:
            await swap(
                self, connection, expected_etag=expected_etag, new_etag=new_etag, grant=grant
            )
        except UnreadableRecordError as error:
            await swap(self, connection, expected_etag=error.etag, new_etag=new_etag, grant=grant)

    patch.setattr(SimulatedStore, "swap", mutant)


def share_attempts_between_connections(patch: pytest.MonkeyPatch) -> None:
    init = Keeper.__init__

    class OneForAll(Shared[Record]):
        def get(self, _key: str) -> asyncio.Task[Record] | None:
            return super().get("any")

        def start(
            self, _key: str, work: Callable[[], Coroutine[None, None, Record]]
        ) -> asyncio.Task[Record]:
            return super().start("any", work)

    def mutant(self: Keeper, **parts: Any) -> None:
        init(self, **parts)
        self._attempts = OneForAll()

    patch.setattr(Keeper, "__init__", mutant)


def _in_background(work: Any) -> None:
    """Begin something and do not wait for it; what goes wrong with it is nobody's concern."""
    task = asyncio.create_task(work)
    task.add_done_callback(_look_away)


def _look_away(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()

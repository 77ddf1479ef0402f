"""Mutants of the parts that carry out the rules of refresh.

Each function replaces a real one while its patch lasts.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from domain import questions
from domain.commands import SendTokenRequest, Wait
from domain.decide import apply
from domain.events import AttemptEnded, Event
from domain.grant import Grant, Refreshing
from domain.ledger import Ledger, Note
from domain.token_endpoint import Outcome
from functions.refresh import recorder as recorder_module
from functions.refresh import sweep as sweep_module
from functions.refresh.keeper import Keeper, QuestionResult
from functions.refresh.recorder import Recorder
from functions.refresh.shared_tasks import SharedTasks
from functions.refresh.sweep_outcomes import SweepOutcome, outcome_of
from ports.store import ConflictError, Record, UnreadableRecordError
from tests.records import record_of
from tests.simulation.simulated_store import SimulatedStore


def serve_before_storing(patch: pytest.MonkeyPatch) -> None:
    keep = Recorder.keep

    async def mutant(self: Recorder, connection: str, record: Record, event: Event) -> Record:
        if not isinstance(event, AttemptEnded):
            return await keep(self, connection, record, event)
        _in_background(keep(self, connection, record, event))
        grant = apply(record.grant, event, self._policy, self._clock.now()).grant
        return record_of(grant, record.etag)

    patch.setattr(Recorder, "keep", mutant)


def send_before_storing_the_intent(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(
        self: Recorder,
        connection: str,
        record: Record,
        grant: Grant,
        note: Note | None,
        **more: Any,
    ) -> Record:
        if not isinstance(grant, Refreshing):
            return await swap(self, connection, record, grant, note, **more)
        _in_background(swap(self, connection, record, grant, note, **more))
        return record_of(grant, "not yet")

    patch.setattr(Recorder, "swap", mutant)


def write_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(
        self: Recorder,
        connection: str,
        record: Record,
        grant: Grant,
        note: Note | None,
        **more: Any,
    ) -> Record:
        try:
            return await swap(self, connection, record, grant, note, **more)
        except ConflictError as conflict:
            current = conflict.current
            if isinstance(grant, Refreshing):
                # The ledger stays right: only the etag is ignored.
                is_lapse = isinstance(current.grant, Refreshing)
                note = questions._lapse_note(grant) if is_lapse else None
            return await swap(self, connection, current, grant, note, **more)

    patch.setattr(Recorder, "swap", mutant)


def begin_the_ledger_anew(patch: pytest.MonkeyPatch) -> None:
    put = Recorder._put

    async def mutant(self: Recorder, connection: str, record: Record, *, over: Record) -> Record:
        last = replace(record, ledger=record.ledger[-1:])
        return await put(self, connection, last, over=over)

    patch.setattr(Recorder, "_put", mutant)


def note_what_was_read_first(patch: pytest.MonkeyPatch) -> None:
    newest = Recorder.newest

    async def mutant(self: Recorder, connection: str, record: Record) -> Record:
        found = await newest(self, connection, record)
        first = ledgers.setdefault(connection, found.ledger)
        return replace(found, ledger=first)

    ledgers: dict[str, Ledger] = {}
    patch.setattr(Recorder, "newest", mutant)


def send_however_late(patch: pytest.MonkeyPatch) -> None:
    async def mutant(self: Keeper, command: SendTokenRequest) -> Outcome:
        return await self._server().request_tokens(command.request)

    patch.setattr(Keeper, "_send", mutant)


def give_up_a_write_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recorder_module, "SWAP_RETRIES", ())


def report_what_waits_as_refreshed(patch: pytest.MonkeyPatch) -> None:
    def mutant(result: QuestionResult) -> SweepOutcome:
        waits = isinstance(result.answer, Wait)
        return SweepOutcome.REFRESHED if waits else outcome_of(result)

    patch.setattr(sweep_module, "outcome_of", mutant)


def overwrite_what_cannot_be_read(patch: pytest.MonkeyPatch) -> None:
    swap = SimulatedStore.swap

    async def mutant(
        self: SimulatedStore, connection: str, record: Record, *, expected_etag: str | None
    ) -> None:
        try:
            await swap(self, connection, record, expected_etag=expected_etag)
        except UnreadableRecordError as error:
            await swap(self, connection, record, expected_etag=error.etag)

    patch.setattr(SimulatedStore, "swap", mutant)


def share_attempts_between_connections(patch: pytest.MonkeyPatch) -> None:
    init = Keeper.__init__

    class OneForAll(SharedTasks[Record]):
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
    """Start a task, and ignore its end and its exception."""
    task = asyncio.create_task(work)
    task.add_done_callback(_look_away)


def _look_away(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()

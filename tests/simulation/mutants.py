"""The rules of refresh, each broken on purpose: what the simulation must be able to see.

A mutant replaces a function of the real modules for as long as it is applied.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import decide as decide_module
from domain import failures
from domain.commands import SendTokenRequest
from domain.decide import decide
from domain.events import AttemptEnded, Happened
from domain.grant import Attempt, Failure, Grant, Kept, Refreshing, Setbacks
from domain.policy import Policy
from domain.token_endpoint import NoAnswer, Outcome, TokenErrorResponse, TokenResponse
from functions import recorder as recorder_module
from functions.keeper import Keeper
from functions.recorder import Recorder
from ports.store import ConflictError, Record
from tests.simulation.oracle import Rule

Apply = Callable[[pytest.MonkeyPatch], None]
SHORT_LEASE = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A rule that is broken, and the promises of which at least one must then break."""

    name: str
    apply: Apply
    breaks: frozenset[Rule]


def _serve_before_storing(patch: pytest.MonkeyPatch) -> None:
    keep = Recorder.keep

    async def mutant(self: Recorder, connection: str, record: Record, event: Happened) -> Record:
        if not isinstance(event, AttemptEnded):
            return await keep(self, connection, record, event)
        _in_background(keep(self, connection, record, event))
        grant = decide(record.grant, event, self._policy, self._clock.now()).grant
        return Record(grant=grant, etag=record.etag)

    patch.setattr(Recorder, "keep", mutant)


def _send_before_storing_the_intent(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(self: Recorder, connection: str, record: Record, grant: Grant) -> Record:
        if not isinstance(grant, Refreshing):
            return await swap(self, connection, record, grant)
        _in_background(swap(self, connection, record, grant))
        return Record(grant=grant, etag="not yet")

    patch.setattr(Recorder, "swap", mutant)


def _write_again_without_looking(patch: pytest.MonkeyPatch) -> None:
    swap = Recorder.swap

    async def mutant(self: Recorder, connection: str, record: Record, grant: Grant) -> Record:
        try:
            return await swap(self, connection, record, grant)
        except ConflictError as conflict:
            return await swap(self, connection, conflict.current, grant)

    patch.setattr(Recorder, "swap", mutant)


def _send_however_late(patch: pytest.MonkeyPatch) -> None:
    async def mutant(self: Keeper, command: SendTokenRequest) -> Outcome:
        return await self._server().request_tokens(command.request)

    patch.setattr(Keeper, "_send", mutant)


def _give_up_a_write_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recorder_module, "SWAP_RETRIES", ())


def _check_no_generation(patch: pytest.MonkeyPatch) -> None:
    keep_tokens = decide_module._keep_tokens

    def mutant(
        grant: Kept, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
    ) -> Grant:
        current = replace(attempt, generation=grant.tokens.generation)
        return keep_tokens(grant, current, response, policy, now)

    patch.setattr(decide_module, "_keep_tokens", mutant)


def _drop_the_late_answer(patch: pytest.MonkeyPatch) -> None:
    keep_tokens = decide_module._keep_tokens

    def mutant(
        grant: Kept, attempt: Attempt, response: TokenResponse, policy: Policy, now: datetime
    ) -> Grant:
        if isinstance(grant, Refreshing) and grant.attempt.id == attempt.id:
            return keep_tokens(grant, attempt, response, policy, now)
        return grant

    patch.setattr(decide_module, "_keep_tokens", mutant)


def _hear_errors_from_anybody(patch: pytest.MonkeyPatch) -> None:
    end_attempt = decide_module._end_attempt

    def mutant(grant: Grant, ended: AttemptEnded, policy: Policy, now: datetime) -> Grant:
        if isinstance(grant, Refreshing) and not isinstance(ended.outcome, TokenResponse):
            ended = replace(ended, attempt=grant.attempt)
        return end_attempt(grant, ended, policy, now)

    patch.setattr(decide_module, "_end_attempt", mutant)


def _take_503_for_a_verdict(patch: pytest.MonkeyPatch) -> None:
    classify = failures.classify

    def mutant(outcome: TokenErrorResponse | NoAnswer) -> Failure | None:
        failure = classify(outcome)
        return None if failure is Failure.UNAVAILABLE else failure

    patch.setattr(decide_module, "classify", mutant)


def _retry_at_once_after_unknown(patch: pytest.MonkeyPatch) -> None:
    retry_at = failures._retry_at

    def mutant(
        failure: Failure, count: int, attempt: Attempt, policy: Policy, at: datetime
    ) -> datetime:
        if failure is Failure.UNKNOWN:
            return at
        return retry_at(failure, count, attempt, policy, at)

    patch.setattr(failures, "_retry_at", mutant)


def _remember_no_doubt(patch: pytest.MonkeyPatch) -> None:
    note_failure = failures.note_failure

    def mutant(*args: Any, **kwargs: Any) -> Setbacks:
        return replace(note_failure(*args, **kwargs), in_doubt_since=None)

    patch.setattr(decide_module, "note_failure", mutant)


def _forget_a_verdict(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide_module, "_is_final", lambda *_args: False)


def _lease_less_than_the_timeout(patch: pytest.MonkeyPatch) -> None:
    def mutant(self: Policy) -> None:
        object.__setattr__(self, "lease", SHORT_LEASE)

    patch.setattr(Policy, "__post_init__", mutant)


def _do_not_back_off(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Policy, "backoff", lambda *_args: timedelta(0))


def _in_background(work: Any) -> None:
    """Begin something and do not wait for it; what goes wrong with it is nobody's concern."""
    task = asyncio.create_task(work)
    task.add_done_callback(_look_away)


def _look_away(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


MUTANTS = [
    Mutant(
        name="serve, then store",
        apply=_serve_before_storing,
        breaks=frozenset({Rule.STORED_FIRST}),
    ),
    Mutant(
        name="send, then store the intent",
        apply=_send_before_storing_the_intent,
        breaks=frozenset({Rule.INTENT_FIRST}),
    ),
    Mutant(
        name="no generation check",
        apply=_check_no_generation,
        breaks=frozenset({Rule.TOKENS_FORWARD, Rule.DROPPED, Rule.EXPIRED, Rule.LOST}),
    ),
    Mutant(
        name="retry at once after an unknown outcome",
        apply=_retry_at_once_after_unknown,
        breaks=frozenset({Rule.FIRST_MAY_LAND, Rule.BACKOFF, Rule.ONE_ATTEMPT}),
    ),
    Mutant(
        name="drop the late answer",
        apply=_drop_the_late_answer,
        breaks=frozenset({Rule.DROPPED, Rule.LOST}),
    ),
    Mutant(
        name="503 is a verdict",
        apply=_take_503_for_a_verdict,
        breaks=frozenset({Rule.ENDED_WRONGLY}),
    ),
    Mutant(
        name="lease shorter than the request's timeout",
        apply=_lease_less_than_the_timeout,
        breaks=frozenset({Rule.ONE_ATTEMPT, Rule.OWN_ANSWER}),
    ),
    Mutant(
        name="errors heard from anybody",
        apply=_hear_errors_from_anybody,
        breaks=frozenset({Rule.ONE_ATTEMPT, Rule.ENDED_WRONGLY, Rule.LOST, Rule.FIRST_MAY_LAND}),
    ),
    Mutant(
        name="no doubt remembered",
        apply=_remember_no_doubt,
        breaks=frozenset({Rule.EXPIRED, Rule.ENDED}),
    ),
    Mutant(
        name="second write without looking at the etag",
        apply=_write_again_without_looking,
        breaks=frozenset({Rule.TOKENS_FORWARD, Rule.FORWARD, Rule.ONE_ATTEMPT, Rule.BACKOFF}),
    ),
    Mutant(
        name="a stalled instance sends",
        apply=_send_however_late,
        breaks=frozenset({Rule.SENT_IN_TIME}),
    ),
    Mutant(
        name="a write is given up at once",
        apply=_give_up_a_write_at_once,
        breaks=frozenset({Rule.GAVE_UP}),
    ),
    Mutant(
        name="a verdict is forgotten", apply=_forget_a_verdict, breaks=frozenset({Rule.BACKOFF})
    ),
    Mutant(name="no backoff", apply=_do_not_back_off, breaks=frozenset({Rule.BACKOFF})),
]

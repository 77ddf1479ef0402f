"""The one loop: load, decide, swap, send, decide again, answer.

All that is known about when to refresh and what to make of an answer is in `domain.decide`. This
module carries it out, and `functions.refresh.recorder` stores what comes of it: the intent before
it sends, and the answer before it serves.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from domain.commands import (
    Answer,
    AskAgain,
    Command,
    LeaveAlone,
    RevokeToken,
    SendTokenRequest,
    Serve,
    Wait,
)
from domain.decide import decide
from domain.events import AttemptEnded, Question, RefreshDue, RefreshRequested, TokenRequested
from domain.grant import Grant, tokens_of
from domain.policy import Policy
from domain.token_endpoint import Delivery, NoAnswer, Outcome
from functions.observability.tracing import waiting_for
from functions.refresh.outcomes import failure_text
from functions.refresh.recorder import Recorder, UnstoredError
from functions.refresh.sharing import Shared
from functions.refresh.turns import Turns
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import ConflictError, Record, StoreUnavailableError

# Most HTTP clients give up after 30 seconds; they are to be told to come back before that.
PATIENCE = timedelta(seconds=20)
# Intents that an instance stores at one time, and fewer where the store is slow. In the store's own
# queue the time would run in which they may be sent, and tokens would wait behind them.
INTENTS_AT_ONCE = 20
# How often another instance's attempt is looked at: at first a fast provider's answer time.
FIRST_LOOK = timedelta(seconds=0.1)
LOOK_GROWTH = 1.5
SLOWEST_LOOK = timedelta(seconds=1)

# An attempt of this instance, and what it leaves in the store.
_Attempt: TypeAlias = asyncio.Task[Record]
# The record to decide on next, and this instance's attempt that it speaks of.
_Begun: TypeAlias = tuple[Record, _Attempt | None]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer, the grant that was there when the question came, and the one it is about."""

    answer: Answer
    before: Grant
    after: Grant

    @property
    def is_refreshed(self) -> bool:
        """Whether the tokens were replaced meanwhile, by whomever."""
        return tokens_of(self.before) != tokens_of(self.after)


class Keeper:
    """Answer for any number of connections, sharing the work between concurrent callers."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        server: Callable[[], AuthorizationServer],
        clock: Clock,
        entropy: Entropy,
        policy: Policy,
    ) -> None:
        """`server` is called when there is something to send, which is seldom."""
        self._recorder = recorder
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._policy = policy
        self._loads: Shared[Record] = Shared()
        self._intents: Shared[_Begun] = Shared(must_end=True)
        # Of the time in which an intent may be sent, its write must leave most.
        self._turns = Turns(INTENTS_AT_ONCE, slow=policy.send_within / 4)
        self._attempts: Shared[Record] = Shared(must_end=True)
        self._looks: Shared[Record] = Shared()

    async def token(self, connection: str, *, min_ttl: timedelta) -> Answer:
        """Give an access token that lives for `min_ttl` at least, or say why there is none.

        No token has to live longer than half of its life.
        `Wait` is an answer too, where an attempt in flight takes longer than callers can wait.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        question = TokenRequested(attempt_id=self._entropy.token(), min_ttl=min_ttl)
        return (await self._answer(connection, question)).answer

    async def refresh(self, connection: str) -> Answered:
        """Replace the tokens now, unless somebody has just done so: `Serve` is what was wanted.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        question = RefreshRequested(attempt_id=self._entropy.token(), asked_at=self._clock.now())
        return await self._answer(connection, question)

    async def refresh_if_due(self, connection: str) -> Answered:
        """Replace the tokens if the grant would die of disuse; `LeaveAlone` where it would not.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        return await self._answer(connection, RefreshDue(attempt_id=self._entropy.token()))

    async def load(self, connection: str) -> Record:
        """Return what is stored. Raises StoreUnavailableError, UnreadableRecordError."""
        task = self._loads.start(connection, lambda: self._recorder.load(connection))
        # Also who waits for what another one has begun waits for the store.
        with waiting_for("store"):
            return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait until every attempt that this instance has begun is over and stored."""
        await self._intents.finish()
        await self._attempts.finish()
        await self._recorder.finish()

    async def _answer(self, connection: str, question: Question) -> Answered:
        record = await self.load(connection)
        answer, after = await self._pursue(connection, record, question)
        return Answered(answer=answer, before=record.grant, after=after.grant)

    async def _pursue(
        self, connection: str, record: Record, question: Question
    ) -> tuple[Answer, Record]:
        """Do what the rules command, until they answer; return that, and the record it is of."""
        give_up_at = self._clock.now() + PATIENCE
        attempt: _Attempt | None = None
        while True:
            is_late = self._clock.now() >= give_up_at
            command = self._decide(connection, record, question, is_late=is_late)
            match command:
                case SendTokenRequest():
                    begun = await self._begin(connection, record, question, give_up_at)
                    record, attempt = begun or (record, None)
                    # An id names one attempt.
                    question = replace(question, attempt_id=self._entropy.token())
                case Wait(until=until) as answer:
                    attempt = attempt or self._attempts.get(connection)
                    looked = await self._look(connection, record, attempt, min(until, give_up_at))
                    if looked is None:
                        return answer, record
                    record, attempt = looked, None
                case AskAgain() | RevokeToken():
                    raise AssertionError("these are for what has happened, not for questions")
                case LeaveAlone() as answer if attempt is not None:
                    # The sweep has begun it, a token lives meanwhile, and what comes of it counts.
                    looked = await self._look(connection, record, attempt, give_up_at)
                    if looked is None:
                        return answer, record
                    record, attempt = looked, None
                case answer:
                    return answer, record

    def _decide(
        self, connection: str, record: Record, question: Question, *, is_late: bool
    ) -> Command:
        """Decide; where this instance may not begin, as if another attempt were in flight."""
        now = self._clock.now()
        decision = decide(record.grant, question, self._policy, now)
        if not isinstance(decision.command, SendTokenRequest):
            return decision.command
        meanwhile = decide(decision.grant, question, self._policy, now).command
        if is_late or self._attempts.get(connection):
            # It has waited for its turn for as long as callers can wait; or this instance's own
            # attempt goes on: the record is from before it, or its lease has run out because the
            # instance was frozen, and what it brings may be here already.
            return meanwhile
        if isinstance(meanwhile, Serve) and self._turns.are_taken():
            # A token that lives does not wait for the turn of what replaces it.
            self._start_intent(connection, record, question)
            return meanwhile
        return decision.command

    async def _begin(
        self, connection: str, record: Record, question: Question, until: datetime
    ) -> _Begun | None:
        """Store the intent and start to carry it out; None where its turn does not come in time."""
        task = self._start_intent(connection, record, question)
        # As in `_look`.
        left = min(until - self._clock.now(), PATIENCE)
        done, _ = await asyncio.wait({task}, timeout=left.total_seconds())
        return task.result() if done else None

    def _start_intent(
        self, connection: str, record: Record, question: Question
    ) -> asyncio.Task[_Begun]:
        return self._intents.start(
            connection, lambda: self._store_intent(connection, record, question)
        )

    async def _store_intent(self, connection: str, record: Record, question: Question) -> _Begun:
        """Do it, unless somebody else was first, or it is not wanted any more in its turn."""
        async with self._turns.turn():
            # Decided anew: from the instant in the intent on its time runs.
            now = self._clock.now()
            decision = decide(record.grant, question, self._policy, now)
            if not isinstance(command := decision.command, SendTokenRequest):
                return record, None
            try:
                stored = await self._recorder.swap(
                    connection, record, decision.grant, question, now=now
                )
            except ConflictError as conflict:
                return conflict.current, None
        attempt = self._attempts.start(
            connection, lambda: self._attempt(connection, stored, command)
        )
        return stored, attempt

    async def _attempt(self, connection: str, record: Record, command: SendTokenRequest) -> Record:
        outcome = await self._send(connection, command)
        ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
        try:
            after = await self._recorder.keep(connection, record, ended)
        except UnstoredError as error:
            # Callers get their answer without the store: the tokens, if the provider sent any.
            after = error.rescued.record
        self._log_outcome(connection, outcome, after.grant)
        return after

    def _log_outcome(self, connection: str, outcome: Outcome, after: Grant) -> None:
        provider, now = self._policy.provider, self._clock.now()
        if (failed := failure_text(outcome, after, provider, now)) is None:
            _log.info("connection %s: refreshed", connection)
        else:
            _log.warning("connection %s: refresh failed: %s", connection, failed)

    async def _send(self, connection: str, command: SendTokenRequest) -> Outcome:
        if self._clock.now() > command.send_by:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
        try:
            server = self._server()
        except Exception as error:  # noqa: BLE001 - whatever it is, the intent is stored already
            _log.exception("connection %s: cannot create the provider client", connection)
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=type(error).__name__)
        try:
            with waiting_for("provider"):
                return await server.request_tokens(command.request)
        except Exception as error:  # noqa: BLE001 - the port promises none, and callers wait
            _log.exception("connection %s: unexpected error of the provider client", connection)
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=type(error).__name__)

    async def _look(
        self, connection: str, record: Record, attempt: _Attempt | None, until: datetime
    ) -> Record | None:
        """Wait for the attempt in flight; return what it left, or None where it takes too long.

        This instance's own `attempt` is waited for; another's is looked for in the store.
        """
        # A clock that is set back meanwhile must not make anybody wait for years.
        left = min(until - self._clock.now(), PATIENCE)
        if left <= timedelta(0):
            return None
        task = attempt or self._looks.start(
            connection, lambda: self._watch(connection, record, left)
        )
        done, _ = await asyncio.wait({task}, timeout=left.total_seconds())
        return task.result() if done else None

    async def _watch(self, connection: str, record: Record, patience: timedelta) -> Record:
        loop, pause = asyncio.get_running_loop(), FIRST_LOOK
        give_up_at = loop.time() + patience.total_seconds()
        while (left := timedelta(seconds=give_up_at - loop.time())) > timedelta(0):
            await asyncio.sleep(min(pause, left).total_seconds())
            pause = min(pause * LOOK_GROWTH, SLOWEST_LOOK)
            with suppress(StoreUnavailableError):
                current = await self.load(connection)
                if current.etag != record.etag:
                    return current
        return record

"""The one loop: load, decide, swap, send, decide again, answer.

All that is known about when to refresh and what to make of an answer is in `domain.decide`; this
module carries it out: it stores the intent before it sends, and the answer before it serves.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from domain.commands import Answer, AskAgain, SendTokenRequest, Wait
from domain.decide import decide
from domain.events import (
    AttemptEnded,
    Happened,
    LoginCompleted,
    Question,
    TokenRequested,
    TokensRescued,
)
from domain.grant import Grant
from domain.policy import Policy
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse, TokenResponse
from functions.sharing import Shared
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.rescue import Rescue, Rescued
from ports.store import (
    ConflictError,
    Record,
    Store,
    StoreUnavailableError,
    UnreadableRecordError,
)

# Most HTTP clients give up after 30 seconds; they are to be told to come back before that.
PATIENCE = timedelta(seconds=20)
# A store that fails is asked again with the same etag: what it holds may be irreplaceable.
SWAP_RETRIES = (timedelta(seconds=0.1), timedelta(seconds=0.4), timedelta(seconds=1.5))
# Beyond that callers are answered first, and the store is asked on for some two minutes; at short
# intervals, because once it is back others may send again what has been spent.
LATE_RETRIES = (timedelta(seconds=1),) * 120
# How often another instance's attempt is looked at: at first a fast provider's answer time.
FIRST_LOOK = timedelta(seconds=0.1)
LOOK_GROWTH = 1.5
SLOWEST_LOOK = timedelta(seconds=1)

# An attempt of this instance, and what it leaves in the store.
_Attempt: TypeAlias = asyncio.Task[Record]
# The record to decide on next, and this instance's attempt that it speaks of.
_Begun: TypeAlias = tuple[Record, _Attempt | None]

_log = logging.getLogger(__name__)


class UnstoredError(StoreUnavailableError):
    """The store would not take a record, or took it and did not say so."""

    def __init__(self, rescued: Rescued) -> None:
        super().__init__("a change could not be stored")
        self.rescued = rescued


class Keeper:
    """Answer for any number of connections, sharing the work between concurrent callers."""

    def __init__(
        self,
        *,
        store: Store,
        server: AuthorizationServer,
        clock: Clock,
        entropy: Entropy,
        rescue: Rescue,
        policy: Policy,
    ) -> None:
        self._store = store
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._rescue = rescue
        self._policy = policy
        self._loads: Shared[Record] = Shared()
        self._intents: Shared[_Begun] = Shared()
        self._attempts: Shared[Record] = Shared()
        self._looks: Shared[Record] = Shared()
        self._late_writes: Shared[None] = Shared()

    async def token(self, connection: str, *, min_ttl: timedelta) -> Answer:
        """Give an access token that lives for `min_ttl` at least, or say why there is none.

        `Wait` is an answer too, where an attempt in flight takes longer than callers can wait.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        question = TokenRequested(attempt_id=self._entropy.token(), min_ttl=min_ttl)
        return await self._answer(connection, question)

    async def load(self, connection: str) -> Record:
        """Return what is stored. Raises StoreUnavailableError, UnreadableRecordError."""
        task = self._loads.start(connection, lambda: self._store.load(connection))
        return await asyncio.shield(task)

    async def keep(self, connection: str, record: Record, event: Happened) -> Record:
        """Store what has happened, whoever else writes; return the record that it left.

        Tokens that the store does not take are not let go of: they are rescued, and brought to it
        again for as long as this instance lives and `finish` waits.

        Raises UnstoredError.
        """
        try:
            return await self._note(connection, record, event)
        except UnstoredError as error:
            if _brings_tokens(event):
                _log.critical("connection %s: new tokens could not be stored yet", connection)
                self._rescue.emit(error.rescued)
                etag = str(error.rescued.record.etag)
                self._late_writes.start(etag, lambda: self._note_later(connection, event))
            raise

    async def finish(self) -> None:
        """Wait until every attempt that this instance has begun is over and stored."""
        await self._intents.finish()
        await self._attempts.finish()
        await self._late_writes.finish()

    async def _answer(self, connection: str, question: Question) -> Answer:
        give_up_at = self._clock.now() + PATIENCE
        record, attempt = await self.load(connection), None
        while True:
            decision = decide(record.grant, question, self._policy, self._clock.now())
            match decision.command:
                case SendTokenRequest() as command:
                    if attempt := self._attempts.get(connection):
                        # Its lease has run out, because this instance was frozen; what it brings
                        # may be here already.
                        looked = await self._look(connection, record, attempt, give_up_at)
                        if looked is None:
                            return Wait(until=give_up_at)
                        record, attempt = looked, None
                        continue
                    begun = await self._begin(connection, record, decision.grant, command)
                    record, attempt = begun
                    # An id names one attempt.
                    question = replace(question, attempt_id=self._entropy.token())
                case Wait(until=until) as answer:
                    attempt = attempt or self._attempts.get(connection)
                    looked = await self._look(connection, record, attempt, min(until, give_up_at))
                    if looked is None:
                        return answer
                    record, attempt = looked, None
                case AskAgain():
                    continue
                case answer:
                    return answer

    async def _begin(
        self, connection: str, record: Record, intent: Grant, command: SendTokenRequest
    ) -> _Begun:
        """Store the intent and start to carry it out, unless somebody else was first."""

        async def store_intent() -> _Begun:
            try:
                stored = await self._swap(connection, record, intent)
            except ConflictError as conflict:
                return conflict.current, None
            attempt = self._attempts.start(
                connection, lambda: self._attempt(connection, stored, command)
            )
            return stored, attempt

        return await asyncio.shield(self._intents.start(connection, store_intent))

    async def _attempt(self, connection: str, record: Record, command: SendTokenRequest) -> Record:
        outcome = await self._send(command)
        _log.info(
            "connection %s: the refresh of generation %d brought %s",
            connection,
            command.attempt.generation,
            _describe(outcome),
        )
        ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
        try:
            return await self.keep(connection, record, ended)
        except UnstoredError as error:
            # Whoever waits is answered all the same: with the tokens, if that is what came.
            return error.rescued.record

    async def _note(self, connection: str, record: Record, event: Happened) -> Record:
        while True:
            decision = decide(record.grant, event, self._policy, self._clock.now())
            if decision.grant is record.grant:
                return record
            try:
                return await self._swap(connection, record, decision.grant)
            except ConflictError as conflict:
                record = conflict.current

    async def _note_later(self, connection: str, event: Happened) -> None:
        """Try again to store what has happened; to note it twice changes nothing."""
        for pause in LATE_RETRIES:
            await asyncio.sleep(pause.total_seconds())
            with suppress(StoreUnavailableError, UnreadableRecordError):
                await self._note(connection, await self._store.load(connection), event)
                return

    async def _send(self, command: SendTokenRequest) -> Outcome:
        if self._clock.now() > command.send_by:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
        return await self._server.request_tokens(command.request)

    async def _swap(self, connection: str, record: Record, grant: Grant) -> Record:
        """Store a grant in the place of a record. Raises ConflictError, UnstoredError."""
        etag = self._entropy.token()
        after = Record(grant=grant, etag=etag)
        rescued = Rescued(connection=connection, expected_etag=record.etag, record=after)
        for pause in (*SWAP_RETRIES, None):
            try:
                await self._store.swap(
                    connection, expected_etag=record.etag, new_etag=etag, grant=grant
                )
            except UnreadableRecordError as error:
                raise UnstoredError(rescued) from error
            except StoreUnavailableError as error:
                if pause is None:
                    raise UnstoredError(rescued) from error
                await asyncio.sleep(pause.total_seconds())
            else:
                break
        return after

    async def _look(
        self, connection: str, record: Record, attempt: _Attempt | None, until: datetime
    ) -> Record | None:
        """Wait for the attempt in flight; return what it left, or None where it takes too long.

        This instance's own `attempt` is waited for; another's is looked for in the store.
        """
        left = until - self._clock.now()
        if left <= timedelta(0):
            return None
        task = attempt or self._looks.start(
            connection, lambda: self._watch(connection, record, until)
        )
        done, _ = await asyncio.wait({task}, timeout=left.total_seconds())
        return task.result() if done else None

    async def _watch(self, connection: str, record: Record, until: datetime) -> Record:
        pause = FIRST_LOOK
        while (left := until - self._clock.now()) > timedelta(0):
            await asyncio.sleep(min(pause, left).total_seconds())
            pause = min(pause * LOOK_GROWTH, SLOWEST_LOOK)
            current = await self.load(connection)
            if current.etag != record.etag:
                return current
        return record


def _brings_tokens(event: Happened) -> bool:
    match event:
        case AttemptEnded(outcome=outcome):
            return isinstance(outcome, TokenResponse)
        case LoginCompleted():
            return True
        case TokensRescued():
            # They have been rescued already.
            return False
        case _:
            assert_never(event)


def _describe(outcome: Outcome) -> str:
    """Say in a log what came of an attempt, with nothing that the provider may have echoed."""
    match outcome:
        case NoAnswer(delivery=delivery, reason=reason):
            return f"no answer ({delivery.value}: {reason})"
        case TokenErrorResponse(status=status, error=error):
            return f"refused with {status} {error or 'and no reason'}"
        case TokenResponse():
            return "tokens"
        case _:
            assert_never(outcome)

"""The one loop: load, decide, swap, send, decide again, answer.

All that is known about when to refresh and what to make of an answer is in `domain.decide`; this
module carries it out: it stores the intent before it sends, and the answer before it serves.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from domain.commands import Answer, AskAgain, SendTokenRequest, Wait
from domain.decide import decide
from domain.events import AttemptEnded, LoginCompleted, Question, TokenRequested
from domain.grant import Grant
from domain.policy import Policy
from domain.token_endpoint import Delivery, NoAnswer, Outcome, TokenErrorResponse, TokenResponse
from functions.sharing import Shared
from ports.authorization_server import AuthorizationServer
from ports.clock import Clock
from ports.entropy import Entropy
from ports.store import ConflictError, Record, Store, StoreUnavailableError

# Most HTTP clients give up after 30 seconds; they are to be told to come back before that.
PATIENCE = timedelta(seconds=20)
# A store that fails is asked again with the same etag: what it holds may be irreplaceable.
SWAP_RETRIES = (timedelta(seconds=0.1), timedelta(seconds=0.4), timedelta(seconds=1.5))
# How often another instance's attempt is looked at: at first a fast provider's answer time.
FIRST_LOOK = timedelta(seconds=0.1)
SLOWEST_LOOK = timedelta(seconds=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    """The record to decide on next, and this instance's attempt that it speaks of."""

    record: Record
    attempt: asyncio.Task[Record] | None


class Keeper:
    """Answer for any number of connections, sharing the work between concurrent callers."""

    def __init__(
        self,
        *,
        store: Store,
        server: AuthorizationServer,
        clock: Clock,
        entropy: Entropy,
        policy: Policy,
    ) -> None:
        self._store = store
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._policy = policy
        self._loads: Shared[Record] = Shared()
        self._intents: Shared[_Begun] = Shared()
        self._attempts: Shared[Record] = Shared()
        self._looks: Shared[Record] = Shared()

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

    async def note(
        self, connection: str, record: Record, event: AttemptEnded | LoginCompleted
    ) -> Record:
        """Store what has happened, whoever else writes; return the record that it left.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        while True:
            decision = decide(record.grant, event, self._policy, self._clock.now())
            if decision.grant is record.grant:
                return record
            try:
                return await self._swap(connection, record, decision.grant)
            except ConflictError as conflict:
                record = conflict.current

    async def finish(self) -> None:
        """Wait until every attempt that this instance has begun is over and stored."""
        await self._intents.finish()
        await self._attempts.finish()

    async def _answer(self, connection: str, question: Question) -> Answer:
        give_up_at = self._clock.now() + PATIENCE
        record, attempt = await self.load(connection), self._attempts.get(connection)
        while True:
            now = self._clock.now()
            decision = decide(record.grant, question, self._policy, now)
            match decision.command:
                case SendTokenRequest() as command:
                    begun = await self._begin(connection, record, decision.grant, command)
                    record, attempt = begun.record, begun.attempt
                case Wait(until=until) as answer:
                    looked = await self._look(connection, record, attempt, min(until, give_up_at))
                    if looked is None:
                        return answer
                    record, attempt = looked, self._attempts.get(connection)
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
                return _Begun(record=conflict.current, attempt=None)
            attempt = self._attempts.start(
                connection, lambda: self._attempt(connection, stored, command)
            )
            return _Begun(record=stored, attempt=attempt)

        return await asyncio.shield(self._intents.start(connection, store_intent))

    async def _attempt(self, connection: str, record: Record, command: SendTokenRequest) -> Record:
        outcome = await self._send(command)
        ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
        _log.info(
            "connection %s, generation %d: %s",
            connection,
            command.attempt.generation,
            _describe(outcome),
        )
        try:
            return await self.note(connection, record, ended)
        except StoreUnavailableError:
            _log.critical("connection %s: the token response could not be stored", connection)
            unstored = decide(record.grant, ended, self._policy, self._clock.now())
            return Record(grant=unstored.grant, etag=record.etag)

    async def _send(self, command: SendTokenRequest) -> Outcome:
        if self._clock.now() > command.send_by:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
        return await self._server.request_tokens(command.request)

    async def _swap(self, connection: str, record: Record, grant: Grant) -> Record:
        """Store a grant in the place of a record. Raises ConflictError, StoreUnavailableError."""
        etag = self._entropy.token()
        for pause in (*SWAP_RETRIES, None):
            try:
                await self._store.swap(
                    connection, expected_etag=record.etag, new_etag=etag, grant=grant
                )
            except StoreUnavailableError:
                if pause is None:
                    raise
                await asyncio.sleep(pause.total_seconds())
            else:
                break
        return Record(grant=grant, etag=etag)

    async def _look(
        self,
        connection: str,
        record: Record,
        attempt: asyncio.Task[Record] | None,
        until: datetime,
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
            pause = min(pause * 2, SLOWEST_LOOK)
            current = await self.load(connection)
            if current.etag != record.etag:
                return current
        return record


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

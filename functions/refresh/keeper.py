"""The refresh loop: load, decide, swap, send, decide again, answer.

`domain.decide` has the rules. This module executes them, and `functions.refresh.recorder` stores
the intent before a request is sent, and the response before callers get it.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from domain.policy import SEND_WITHIN, Policy
from domain.provider import GrantType
from domain.serving import is_settled, next_question_at, serve_fresh
from functions.observability.tracing import waiting_for
from functions.refresh.concurrency_limit import ConcurrencyLimit
from functions.refresh.recorder import Recorder, UnstoredError
from functions.refresh.shared_tasks import SharedTasks
from ports.store import ConflictError, Record

if TYPE_CHECKING:
    # Imported where a fresh token is not enough, and where a request is sent.
    from domain.commands import Answer, Command, SendTokenRequest
    from domain.grant import Grant
    from domain.question import Question
    from domain.token_endpoint import Outcome
    from functions.refresh.poller import Poller
    from ports.authorization_server import AuthorizationServer
    from ports.clock import Clock
    from ports.entropy import Entropy

# Most HTTP clients time out after 30 seconds; they get a Retry-After before that.
PATIENCE = timedelta(seconds=20)
# The most intents that an instance stores at once; fewer if the store is slow. In the store's own
# queue they would miss the time in which they may be sent, and delay reads of tokens.
MAX_CONCURRENT_INTENTS = 20

# An attempt of this instance; its result is the stored record.
_Attempt: TypeAlias = asyncio.Task[Record]
# The result of storing an intent: the record to decide on next, and this instance's attempt in it.
_IntentResult: TypeAlias = tuple[Record, _Attempt | None]

_log = logging.getLogger(__name__)


class QuestionResult(NamedTuple):
    """An answer, with the grant before the question and after it.

    `record`: the one with the grant after it; None if it was not read.
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    answer: "Answer"
    before: "Grant"
    after: "Grant"
    record: Record | None = None

    @property
    def is_refreshed(self) -> bool:
        """Whether the tokens were replaced meanwhile, by any instance."""
        from domain.grant import tokens_of

        return tokens_of(self.before) != tokens_of(self.after)


def intent_limit() -> ConcurrencyLimit:
    """Make the limit of an instance for intents that are being stored."""
    # A write must leave most of the time in which its intent may be sent.
    return ConcurrencyLimit(MAX_CONCURRENT_INTENTS, slow=SEND_WITHIN / 4)


class Keeper:
    """Answers for any number of connections; concurrent callers share the work."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        server: "Callable[[], AuthorizationServer]",
        clock: "Clock",
        entropy: "Entropy",
        policy: Policy,
        intents: ConcurrencyLimit,
        poller: "Callable[[], Poller]",
    ) -> None:
        """`server` is called for each request to the provider, so that its import is late.

        `intents` limits the writes of intents, and `poller` looks for the ends of attempts of
        others, for all keepers of an instance. `poller` is called at the first such attempt.
        """
        self._recorder = recorder
        self._server = server
        self._clock = clock
        self._entropy = entropy
        self._policy = policy
        self._loads: SharedTasks[Record] = SharedTasks()
        self._intents: SharedTasks[_IntentResult] = SharedTasks(must_end=True)
        self._intent_limit = intents
        self._attempts: SharedTasks[Record] = SharedTasks(must_end=True)
        self._poller = poller

    @property
    def grant_type(self) -> GrantType:
        """How new connections get their tokens, by the settings."""
        return self._policy.provider.grant_type

    async def token(
        self, connection: str, *, min_ttl: timedelta, refused: int | None = None
    ) -> "Answer":
        """Return an access token, or why there is none; see `ask`.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        return (await self.ask(connection, min_ttl=min_ttl, refused=refused)).answer

    async def ask(
        self, connection: str, *, min_ttl: timedelta, refused: int | None = None
    ) -> QuestionResult:
        """Return an access token that is valid for `min_ttl` at least, or why there is none.

        Above half of a token's lifetime, `min_ttl` counts as that half. `refused` is the generation
        of a token that an API has rejected; `Serve` then has another one. `Wait` means that a
        refresh in flight takes longer than callers can wait.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        record = await self.load(connection)
        fresh = serve_fresh(record.grant, min_ttl, refused, self._policy, self._clock.now())
        if fresh is not None:
            return QuestionResult(answer=fresh, before=record.grant, after=record.grant)
        # Imported here, as all modules of a refresh, because most tokens are fresh.
        from domain.question import TokenRequested

        question = TokenRequested(
            attempt_id=self._entropy.token(), min_ttl=min_ttl, refused=refused
        )
        return await self._answer(connection, record, question)

    def ask_again_at(self, grant: "Grant", *, min_ttl: timedelta, now: datetime) -> datetime | None:
        """Return when a caller that got this grant's token should ask again; None for never."""
        if is_settled(grant):
            return next_question_at(grant.tokens, min_ttl, self._policy, now)
        from domain.questions import ask_again_at

        return ask_again_at(grant, min_ttl, self._policy, now)

    async def refresh(self, connection: str) -> QuestionResult:
        """Refresh, unless a refresh finished in the last 10 s; `Serve` is success.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        from domain.question import RefreshRequested

        question = RefreshRequested(attempt_id=self._entropy.token(), asked_at=self._clock.now())
        return await self._answer(connection, await self.load(connection), question)

    async def prove(self, connection: str, adopted: str) -> QuestionResult:
        """Refresh the tokens that were adopted with this fingerprint, unless one succeeded.

        `Serve` is success, and `NothingDue` that the record does not have them, or no longer.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        from domain.question import RefreshRequested

        question = RefreshRequested(
            attempt_id=self._entropy.token(), asked_at=self._clock.now(), adopted=adopted
        )
        return await self._answer(connection, await self.load(connection), question)

    async def refresh_if_due(self, connection: str) -> QuestionResult:
        """Refresh a grant that is due for the sweep; `NothingDue` if it is not due.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        from domain.question import RefreshDue

        record = await self.load(connection)
        wanted = self._recorder.issue_to_refresh(record)
        question = RefreshDue(attempt_id=self._entropy.token(), issued_at=wanted)
        return await self._answer(connection, record, question)

    def is_due(self, grant: "Grant") -> bool:
        """Whether the sweep has something to do for a grant. No date in the store counts."""
        from domain.commands import NothingDue
        from domain.decide import decide
        from domain.grant import Revoking
        from domain.question import RefreshDue

        if isinstance(grant, Revoking):
            return True
        question, now = RefreshDue(attempt_id=""), self._clock.now()
        return not isinstance(decide(grant, question, self._policy, now).command, NothingDue)

    def is_settled(self, record: Record) -> bool:
        """Whether `settle_alerts` would change nothing. Raises SettingsError."""
        return self._recorder.is_settled(record)

    async def settle_alerts(self, connection: str) -> None:
        """Store what time alone has changed for people, and deliver what is owed.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        await self._recorder.settle(connection)

    async def load(self, connection: str) -> Record:
        """Return the stored record. Raises StoreUnavailableError, UnreadableRecordError."""
        task = self._loads.start(connection, lambda: self._recorder.load(connection))
        # A caller that shares another's load waits for the store as well.
        with waiting_for("store"):
            return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait until every attempt of this instance is stored."""
        await self._intents.finish()
        await self._attempts.finish()
        await self._recorder.finish()

    async def _answer(
        self, connection: str, record: Record, question: "Question"
    ) -> QuestionResult:
        answer, after = await self._execute(connection, record, question)
        return QuestionResult(answer=answer, before=record.grant, after=after.grant, record=after)

    async def _execute(
        self, connection: str, record: Record, question: "Question"
    ) -> "tuple[Answer, Record]":
        """Execute the rules' commands up to an answer; return it with its record."""
        from domain.commands import NothingDue, SendTokenRequest, Wait

        give_up_at = self._clock.now() + PATIENCE
        attempt: _Attempt | None = None
        while True:
            is_late = self._clock.now() >= give_up_at
            command = self._decide(connection, record, question, is_late=is_late)
            match command:
                case SendTokenRequest():
                    intent = await self._start_attempt(connection, record, question, give_up_at)
                    record, attempt = intent or (record, None)
                    # An id names one attempt.
                    question = replace(question, attempt_id=self._entropy.token())
                case Wait(until=until) as answer:
                    attempt = attempt or self._attempts.get(connection)
                    latest = await self._await_attempt(
                        connection, record, attempt, min(until, give_up_at)
                    )
                    if latest is None:
                        return answer, record
                    record, attempt = latest, None
                case NothingDue() as answer if attempt is not None:
                    # The sweep started it, and needs its result, although the token is still valid.
                    latest = await self._await_attempt(connection, record, attempt, give_up_at)
                    if latest is None:
                        return answer, record
                    record, attempt = latest, None
                case answer:
                    return answer, record

    def _decide(
        self, connection: str, record: Record, question: "Question", *, is_late: bool
    ) -> "Command":
        """Return the command.

        If this instance may not start an attempt, return the command for an attempt in flight.
        """
        from domain.commands import SendTokenRequest, Serve
        from domain.decide import decide

        now = self._clock.now()
        decision = decide(record.grant, question, self._policy, now)
        if not isinstance(decision.command, SendTokenRequest):
            return decision.command
        meanwhile = decide(decision.grant, question, self._policy, now).command
        if is_late or self._attempts.get(connection):
            # The caller has waited long enough for a turn. Or this instance's own attempt runs: the
            # record is older, or the lease expired while the instance was frozen, and the response
            # may have arrived already.
            return meanwhile
        if isinstance(meanwhile, Serve) and self._intent_limit.is_reached():
            # A valid token does not wait for the turn of its refresh.
            self._start_intent(connection, record, question)
            return meanwhile
        return decision.command

    async def _start_attempt(
        self, connection: str, record: Record, question: "Question", until: datetime
    ) -> _IntentResult | None:
        """Store the intent and start its attempt; None if it gets no turn in time."""
        task = self._start_intent(connection, record, question)
        # As in `_await_attempt`.
        left = min(until - self._clock.now(), PATIENCE)
        done, _ = await asyncio.wait({task}, timeout=left.total_seconds())
        return task.result() if done else None

    def _start_intent(
        self, connection: str, record: Record, question: "Question"
    ) -> asyncio.Task[_IntentResult]:
        return self._intents.start(
            connection, lambda: self._store_intent(connection, record, question)
        )

    async def _store_intent(
        self, connection: str, record: Record, question: "Question"
    ) -> _IntentResult:
        """Store the intent, unless another instance was first or it became needless."""
        from domain.commands import SendTokenRequest
        from domain.decide import decide

        async with self._intent_limit.turn():
            # Decide again: the intent's time starts now.
            now = self._clock.now()
            decision = decide(record.grant, question, self._policy, now)
            if not isinstance(command := decision.command, SendTokenRequest):
                return record, None
            try:
                stored = await self._recorder.swap(
                    connection, record, decision.grant, decision.note, now=now
                )
            except ConflictError as conflict:
                return conflict.current, None
        attempt = self._attempts.start(
            connection, lambda: self._attempt(connection, stored, command)
        )
        return stored, attempt

    async def _attempt(
        self, connection: str, record: Record, command: "SendTokenRequest"
    ) -> Record:
        from domain.events import AttemptEnded
        from domain.token_endpoint import TokenResponse

        outcome = await self._send(command)
        ended = AttemptEnded(attempt=command.attempt, outcome=outcome)
        try:
            after = await self._recorder.keep(connection, record, ended)
        except UnstoredError as error:
            is_new = isinstance(outcome, TokenResponse)
            if is_new and not self._policy.serves_unstored_tokens:
                raise
            # Callers get their answer without the store: the tokens, if the provider sent any.
            after = error.rescued.record
        self._log_outcome(connection, outcome, after.grant)
        return after

    def _log_outcome(self, connection: str, outcome: "Outcome", after: "Grant") -> None:
        from functions.refresh.failure_texts import failure_text

        provider, now = self._policy.provider, self._clock.now()
        if (failed := failure_text(outcome, after, provider, now)) is None:
            _log.info("connection %s: refreshed", connection)
        else:
            _log.warning("connection %s: refresh failed: %s", connection, failed)

    async def _send(self, command: "SendTokenRequest") -> "Outcome":
        from domain.token_endpoint import Delivery, NoAnswer

        if self._clock.now() > command.send_by:
            return NoAnswer(delivery=Delivery.NOT_SENT, reason="stalled before sending")
        try:
            server = self._server()
        except Exception as error:  # noqa: BLE001 - the intent is stored already
            _log.exception("cannot create the provider client")
            return NoAnswer(delivery=Delivery.NOT_SENT, reason=type(error).__name__)
        try:
            with waiting_for("provider"):
                return await server.request_tokens(command.request)
        except Exception as error:  # noqa: BLE001 - the port promises none, and callers wait
            _log.exception("unexpected error of the provider client")
            return NoAnswer(delivery=Delivery.UNKNOWN, reason=type(error).__name__)

    async def _await_attempt(
        self, connection: str, record: Record, attempt: _Attempt | None, until: datetime
    ) -> Record | None:
        """Wait for the attempt in flight; return its record, None on timeout.

        `attempt` is this instance's own; the store shows another's.
        """
        # A clock that is set back must not make callers wait for years.
        left = min(until - self._clock.now(), PATIENCE)
        if left <= timedelta(0):
            return None
        task = attempt or self._poller().start(
            connection, record, self._recorder, now=self._clock.now(), patience=left
        )
        done, _ = await asyncio.wait({task}, timeout=left.total_seconds())
        return task.result() if done else None

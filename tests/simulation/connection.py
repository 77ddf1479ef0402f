"""One connection in a run: its grant at the provider, its programs, its person, its operator."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.commands import Answer, AskForAuthorization, Serve, TryLater
from domain.events import LoginCompleted, TokensRescued
from domain.grant import (
    AuthorizationRequired,
    Authorized,
    Cause,
    Grant,
    Inactive,
    Refreshing,
    Unauthorized,
    tokens_of,
)
from domain.provider import RotationKind
from domain.token_endpoint import TokenResponse
from domain.tokens import Tokens
from functions.refresh.keeper import PATIENCE, QuestionResult
from functions.refresh.sweep_outcomes import SweepOutcome
from ports.rescue import RescuedRecord
from ports.store import Record, StoreUnavailableError, UnreadableRecordError
from tests.domain.examples import T0
from tests.records import record_of
from tests.simulation.answers import AnswerJudge
from tests.simulation.exchanges import Call, Loss, RequestKind, current_call
from tests.simulation.faults import Quiet
from tests.simulation.history import History
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import Process
from tests.simulation.oracle import Oracle
from tests.simulation.promises import LEASE, REFUSED_RETRY_WAIT, SKEW, BrokenRuleError, Rule

if TYPE_CHECKING:
    from tests.simulation.world import World

NO_TIME = timedelta(0)
# Patience, then at most a read and two writes of a store at its slowest.
LONGEST_CALL = PATIENCE.total_seconds() + 2 * SKEW.total_seconds() + 100
LONGEST_CALL_WITHOUT_FAULTS = PATIENCE.total_seconds() + 2 * SKEW.total_seconds() + 2


@dataclass(eq=False, kw_only=True)
class Connection:
    """A connection, and all who have to do with it."""

    world: "World"
    name: str
    history: History = field(init=False)
    oracle: Oracle = field(init=False)
    judge: AnswerJudge = field(init=False)
    calls: dict[int, Call] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    call_serial: int = 0
    logins: int = 0
    login_wanted: bool = False
    unreadable_until: float = -1
    rescue_lines: list[RescuedRecord] = field(default_factory=list)
    recoveries: int = 0

    def __post_init__(self) -> None:
        world = self.world
        provider = world.kind.simulated(world.access_life, world.refresh_life, name=f"{self.name}.")
        self.history = History(kind=world.kind, policy=world.policy, provider=provider)
        self.oracle = Oracle(history=self.history)
        self.judge = AnswerJudge(history=self.history)

    # The logins: here only one.

    def history_of(self, _token: str) -> History:
        """Return the history of the login that has a token."""
        return self.history

    def oracle_of(self, _token: str) -> Oracle:
        """Return the judge of the login that has a token."""
        return self.oracle

    @property
    def record(self) -> Grant:
        """The grant that is in the store."""
        return self.history.grant

    def stored(self, process: Process, call: Call, grant: Grant) -> None:
        """Judge what replaces the record. Raises BrokenRuleError."""
        self.oracle.stored(process, call, grant, self.world.now())

    def put_back(self, grant: Grant) -> None:
        """Note what takes the place of a record that is lost."""
        self.oracle.put_back(grant, self.world.now())

    def write_failed(self, process: Process, *, times: int = 1) -> None:
        """Note that the store fails an instance that writes."""
        self.history.write_failed(process, times=times)

    def stalled(self, process: Process, until: datetime) -> None:
        """Note that an instance stalls."""
        self.history.stalled(process, until)

    def swept(self, call: Call, result: QuestionResult) -> SweepOutcome:
        """Judge the answer to the sweep, and return how the sweep must count it."""
        return self.judge.swept(call, result)

    def tally(self) -> tuple[int, Counter[Loss]]:
        """Return how many requests there were, and why grants were lost."""
        return len(self.history.exchanges), self.history.losses

    # Calls.

    def ask(self, instance: Instance, min_ttl: timedelta) -> "asyncio.Task[Answer | None]":
        """Let a program ask an instance for a token."""
        call = self.open(instance, RequestKind.TOKEN, min_ttl)
        return instance.run(self.world.loop.create_task, self._call(instance, call))

    def request_refresh(self, instance: Instance) -> "asyncio.Task[Answer | None]":
        """Let somebody ask an instance for new tokens."""
        call = self.open(instance, RequestKind.REFRESH)
        return instance.run(self.world.loop.create_task, self._call(instance, call))

    def be_refused(
        self, instance: Instance, tokens: Tokens, min_ttl: timedelta
    ) -> "asyncio.Task[Answer | None]":
        """Let a program ask an instance for another token, because an API refuses this one."""
        call = self.open(instance, RequestKind.REJECTION, min_ttl)
        call.refused = tokens
        return instance.run(self.world.loop.create_task, self._call(instance, call))

    async def _call(self, instance: Instance, call: Call) -> Answer | None:
        self.hear(call)
        try:
            if call.kind in {RequestKind.TOKEN, RequestKind.REJECTION}:
                refused = None if call.refused is None else call.refused.public_generation
                answer = await instance.keeper.token(
                    self.name, min_ttl=call.min_ttl, refused=refused
                )
            else:
                answer = (await instance.keeper.refresh(self.name)).answer
        except Exception as error:  # noqa: BLE001 - it is judged
            self.fail(call, error)
            return None
        self.close(call, type(answer).__name__)
        self.take(call, answer)
        return answer

    def open(self, instance: Instance, kind: RequestKind, min_ttl: timedelta = NO_TIME) -> Call:
        """Note that a call begins."""
        self.call_serial += 1
        now = self.world.now()
        call = Call(
            number=self.call_serial,
            process=instance,
            kind=kind,
            min_ttl=min_ttl,
            began_at=now,
            read_from=min(instance.loading[self.name], default=now),
            skew=timedelta(seconds=instance.skew),
        )
        self.calls[call.number] = call
        if self.judge.is_ready(call):
            self.ready.add(call.number)
        return call

    def hear(self, call: Call) -> None:
        """Note that a call's instance has come to it: what is begun from here on is for it."""
        call.heard_at = self.world.now()
        current_call.set(call)

    def close(self, call: Call, answer: str) -> None:
        """Note that a call is answered, and judge how long that took."""
        del self.calls[call.number]
        self.world.answers[answer] += 1
        waited = (self.world.now() - call.began_at).total_seconds()
        what = f"{self.name}: answers {answer} ({call.kind.value}) after {waited:.2f} s"
        self.world.note(call.process.name, what)
        with self.world.judging():
            self._judge_wait(call)

    def fail(self, call: Call, error: Exception) -> None:
        """Judge an exception that a call ends with, and raise it again if nothing explains it."""
        match error:
            case BrokenRuleError():
                raise error
            case StoreUnavailableError():
                self.close(call, "StoreUnavailableError")
            case UnreadableRecordError() if self._was_unreadable(call):
                self.close(call, "UnreadableRecordError")
                # No key will come back, and whom this instance asks remembers nothing.
                self.login_wanted |= self.world.store.is_damaged(self.name)
            case _:
                self.world.loop.fail(BrokenRuleError(Rule.RAISED, repr(error)))
                raise error

    def take(self, call: Call, answer: Answer) -> None:
        """Judge an answer, and remember whether a login is needed."""
        may_pass = self._may_pass(answer)
        if may_pass:
            self.world.later(REFUSED_RETRY_WAIT.total_seconds() + 5, self._insist)
        if self.world.is_spoilt and isinstance(answer, AskForAuthorization):
            # A provider that refuses for a while does so with any record.
            if not (may_pass and self._is_honoured()):
                self.login_wanted = True
                self.history.losses[Loss.DAMAGED] += 1
            return
        with self.world.judging():
            self.login_wanted |= self.judge.answered(call, answer, self.world.now())
        self._use(answer)

    def _use(self, answer: Answer) -> None:
        """Let a program use its token at once."""
        if isinstance(answer, Serve):
            self.history.provider.use(answer.tokens.access_token, self.world.now())

    def _may_pass(self, answer: Answer) -> bool:
        match answer:
            case AskForAuthorization(cause=Cause.REFRESH_TOKEN_REJECTED):
                return self.history.may_pass()
            case _:
                return False

    def _is_unclear(self, answer: AskForAuthorization) -> bool:
        """Whether to ask once more before a login."""
        return self._may_pass(answer)

    def _is_honoured(self) -> bool:
        """Whether the provider honours the refresh token that is in the store."""
        tokens = tokens_of(self.history.grant)
        if tokens is None or tokens.refresh_token is None:
            return False
        return self.history.honours(tokens.refresh_token, self.world.now())

    def _insist(self) -> None:
        """Let a person ask for a refresh before a login."""
        instances, verdict = self.world.instances, AuthorizationRequired
        if instances and self.is_readable() and isinstance(self.history.grant, verdict):
            self.request_refresh(instances[0])

    def forget_calls(self, instance: Instance) -> None:
        """Remove the calls that ended with their instance."""
        for number, call in list(self.calls.items()):
            if call.process is instance:
                del self.calls[number]

    def _was_unreadable(self, call: Call) -> bool:
        return self.unreadable_until >= (call.read_from - T0).total_seconds()

    def _judge_wait(self, call: Call) -> None:
        process, now = call.process, self.world.now()
        began = (call.began_at - T0).total_seconds()
        if process.stalled_until >= began:
            return
        quiet = type(self.world.faults) is Quiet
        bound = LONGEST_CALL_WITHOUT_FAULTS if quiet else LONGEST_CALL
        if now - call.began_at > timedelta(seconds=bound):
            raise BrokenRuleError(Rule.ANSWERED, f"{now - call.began_at}")
        assert isinstance(process, Instance)
        if process.troubled_until < began:
            self.judge.judge_wait(call, now, is_ready=call.number in self.ready)

    def is_readable(self) -> bool:
        """Whether the record can be read."""
        return self.world.store.is_readable(self.name)

    # The person.

    def is_missed(self) -> bool:
        """Whether programs say that a login is needed, be it a false alarm, or get no answer."""
        is_keyless = not (self.is_readable() or self.world.store.is_damaged(self.name))
        return self.login_wanted or self.judge.is_alarmed or is_keyless

    async def log_in(self) -> None:
        """Let the person log in, and again if an instance or the store fails meanwhile."""
        world = self.world
        while True:
            requested_at = world.now()
            response = self.authorize(requested_at)
            world.note("person", f"{self.name}: logs in: {response.refresh_token}")
            completed = LoginCompleted(
                response=response, requested_at=requested_at, read=self.record
            )
            if await self._by_some_instance(RequestKind.LOGIN, completed, patience=400):
                self.login_wanted = False
                self.logins += 1
                return
            await asyncio.sleep(30)

    def authorize(self, now: datetime) -> TokenResponse:
        """Let the provider start a login."""
        response = self.history.provider.log_in(now)
        assert response.refresh_token is not None
        self.history.logged_in(response.refresh_token, now)
        self.oracle.logged_in()
        self.judge.logged_in()
        return response

    async def _by_some_instance(
        self, kind: RequestKind, event: LoginCompleted | TokensRescued, *, patience: float
    ) -> bool:
        instance = await self.world.some_instance()
        call = self.open(instance, kind)
        task = instance.run(self.world.loop.create_task, self._note(instance, call, event))
        await asyncio.wait({task}, timeout=patience)
        self.calls.pop(call.number, None)
        return task.done() and task.result()

    async def _note(
        self, instance: Instance, call: Call, event: LoginCompleted | TokensRescued
    ) -> bool:
        self.hear(call)
        try:
            before = await self._load(instance, call)
            after = await instance.recorder.keep(self.name, before, event)
        except (StoreUnavailableError, UnreadableRecordError):
            return False
        if call.kind is RequestKind.RECOVERY:
            self.recoveries += after is not before
            self.world.note("operator", f"{self.name}: recovers: {describe(after.grant)}")
        return True

    async def _load(self, instance: Instance, call: Call) -> Record:
        try:
            return await instance.keeper.load(self.name)
        except UnreadableRecordError as error:
            if call.kind is not RequestKind.LOGIN:
                raise
            # As `functions.login.logins` does it.
            if self.world.store.is_damaged(self.name):
                self.history.losses[Loss.DAMAGED] += 1
            return record_of(Unauthorized(), error.etag)

    async def revoke(self) -> None:
        """Let the owner revoke the connection, and again if an instance or the store fails."""
        while self.is_readable():
            instance = await self.world.some_instance()
            call = self.open(instance, RequestKind.REVOKE)
            task = instance.run(self.world.loop.create_task, self._revoke(instance, call))
            await asyncio.wait({task}, timeout=400)
            self.calls.pop(call.number, None)
            if task.done() and task.result():
                return
            await asyncio.sleep(5)

    async def _revoke(self, instance: Instance, call: Call) -> bool:
        self.hear(call)
        try:
            await instance.revocations.revoke(self.name)
        except (StoreUnavailableError, UnreadableRecordError):
            return False
        self.world.note("owner", f"{self.name}: has revoked it")
        with self.world.judging():
            self.oracle.revoked(call)
        return True

    # The operator.

    async def recover(self) -> None:
        """Replay the rescue lines."""
        lines, self.rescue_lines = self.rescue_lines, []
        for rescued in lines:
            assert not isinstance(rescued.record.grant, Inactive)
            event = TokensRescued(tokens=rescued.record.grant.tokens)
            if not await self._by_some_instance(RequestKind.RECOVERY, event, patience=500):
                self.rescue_lines.append(rescued)

    # The end.

    async def heal(self) -> None:
        """Judge what is there now that all faults are over; log in where a record is damaged."""
        if not self.is_readable():
            # A question makes an instance that remembers the record put it back.
            await self.ask(await self.world.some_instance(), NO_TIME)
        if self.login_wanted:
            await self.log_in()
        await self.recover()
        with self.world.judging():
            self.settle()
            for call in filter(self._is_overdue, self.calls.values()):
                raise BrokenRuleError(Rule.ANSWERED, f"call {call.number} never is")

    def settle(self) -> None:
        """Judge the store when all instances are well and idle. Raises BrokenRuleError."""
        self.oracle.settled(self.world.now())

    def _is_overdue(self, call: Call) -> bool:
        # One who insists may have begun just now.
        waited = self.world.now() - call.began_at
        return waited > timedelta(seconds=LONGEST_CALL_WITHOUT_FAULTS)

    async def revive(self) -> None:
        """Ask until there is a token, and then for a new one; a login is the last resort."""
        await self._ask_until(RequestKind.TOKEN)
        await self._ask_until(RequestKind.REFRESH)

    async def _ask_until(self, kind: RequestKind) -> None:
        world = self.world
        give_up_at = world.loop.time() + timedelta(hours=2).total_seconds()
        while world.loop.time() < give_up_at:
            instance = await world.some_instance()
            if kind is RequestKind.TOKEN:
                answer = await self.ask(instance, timedelta(seconds=60))
            else:
                answer = await self.request_refresh(instance)
            match answer:
                case Serve():
                    return
                case TryLater(at=at):
                    await asyncio.sleep(max(0.0, (at - world.now()).total_seconds()) + 5)
                case AskForAuthorization():
                    if self._is_unclear(answer) and not self.login_wanted:
                        await asyncio.sleep(2 * REFUSED_RETRY_WAIT.total_seconds())
                        continue
                    if not self.login_wanted:
                        raise BrokenRuleError(Rule.LOST, answer.cause.value)
                    await self.log_in()
                case _:
                    await asyncio.sleep(5)
        raise BrokenRuleError(Rule.RECOVERS, "for two hours")

    def is_dying(self, instant: datetime) -> bool:
        """Whether the grant is valid now, and its stored tokens will have expired at `instant`."""
        grant = self.history.grant
        # A refresh token that no refresh replaces expires, however often it is used.
        is_replaced = self.world.kind.rules.rotation is RotationKind.ALWAYS
        is_alive = is_replaced and self.history.is_alive(self.world.now())
        if is_alive and self._is_end_fixed():
            return False
        if isinstance(grant, Inactive) or not is_alive:
            return False
        expiry = grant.tokens.refresh_token_expires_at
        return expiry is not None and expiry <= instant

    def _is_end_fixed(self) -> bool:
        """Whether no refresh extends the life of the refresh token that is in the store."""
        tokens = tokens_of(self.history.grant)
        return tokens is not None and self.history.provider.is_fixed(str(tokens.refresh_token))

    def ends(self, now: datetime) -> list[float]:
        """Return when the tokens in the store will expire, in seconds from the start."""
        grant = self.history.grant
        if isinstance(grant, Inactive):
            return []
        return _coming([grant.tokens.expires_at, grant.tokens.refresh_token_expires_at], now)

    def waits(self, now: datetime) -> list[float]:
        """Return until when others have to wait, in seconds from the start."""
        return self.waits_of(self.history.grant, now)

    @staticmethod
    def waits_of(grant: Grant, now: datetime) -> list[float]:
        """Return until when others have to wait for this grant, in seconds from the start."""
        match grant:
            case Refreshing(attempt=attempt):
                return _coming([attempt.started_at + LEASE], now)
            case Authorized(failure_state=failure_state) if failure_state is not None:
                return _coming([failure_state.retry_at], now)
            case _:
                return []

    def unsettled_since(self) -> float | None:
        """Return when the last attempt started, unless the store has a success since."""
        grant, intents = self.history.grant, self.history.intents
        is_well = isinstance(grant, Authorized) and grant.failure_state is None
        if is_well or not intents:
            return None
        return (intents[-1][1].started_at - T0).total_seconds()


def _coming(instants: list[datetime | None], now: datetime) -> list[float]:
    return [(at - T0).total_seconds() for at in instants if at is not None and at > now]

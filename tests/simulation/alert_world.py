"""A world of alerts: connections that fail for days, instances, sweeps, a store and channels.

It is smaller than `world.py`, which judges refreshes. Here only the outbox is judged.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from random import Random
from typing import TYPE_CHECKING

from adapters.store_memory import MemoryStore
from domain.alerts import AlertThresholds
from domain.events import LoginCompleted, TokensRescued
from domain.grant import Grant, Inactive, tokens_of
from domain.policy import Policy
from domain.provider import RotationKind
from domain.token_endpoint import (
    Outcome,
    RefreshTokenRequest,
    RevocationOutcome,
    RevocationRequest,
    RevocationResult,
    TokenErrorResponse,
    TokenRequest,
)
from functions.alerts.deployment import DEPLOYMENT
from functions.refresh.keeper import Keeper, intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep
from ports.rescue import RescuedRecord, UnreadableLine
from ports.store import (
    LARGEST_PAGE,
    ConflictError,
    Due,
    Record,
    RecordPage,
    StoreUnavailableError,
)
from tests.domain.examples import T0
from tests.domain.provider_model import Kind
from tests.simulation.alert_channels import SimulatedChannel, Try
from tests.simulation.alert_judge import AlertJudge
from tests.simulation.alert_parts import SimulatedAlerting
from tests.simulation.alert_truth import Truth
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import SimulationLoop, current_process
from tests.simulation.promises import SKEW, BrokenRuleError, Rule
from tests.simulation.provider import ProviderKind, SimulatedProvider
from tests.simulation.surroundings import SeededEntropy

if TYPE_CHECKING:
    from tests.simulation.loop import Process

ACCESS_LIFE = timedelta(minutes=30)
ACCOUNTS = ("alice", "alice", "bob")
STALLS = (1.0, 20.0, 61.0, 130.0)
# Until a write is given up, until it is retried, and until the operator has to help.
OUTAGES = (3.0, 60.0, 400.0)
# After a refresh, an instance looks whether the sweep is overdue.
LOOK_WITHIN = 60.0
LATE_COMMITS = (0.05, 1.0, 30.0)


@dataclass(frozen=True, kw_only=True)
class LoginKind:
    """A provider. `is_end_fixed`: no refresh prolongs a login; `is_end_declared`: as is known."""

    provider: ProviderKind
    refresh_life: timedelta
    is_end_fixed: bool = False
    is_end_declared: bool = False


ALERT_KINDS = {
    # The sweep keeps these for ever.
    "rotating": LoginKind(
        provider=ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS)),
        refresh_life=timedelta(days=30),
    ),
    "fixed": LoginKind(
        provider=ProviderKind(rules=Kind(rotation=RotationKind.NONE)),
        refresh_life=timedelta(days=16),
        is_end_fixed=True,
    ),
    "login-ends": LoginKind(
        provider=ProviderKind(rules=Kind(rotation=RotationKind.ALWAYS, login_lives=0.6)),
        refresh_life=timedelta(days=30),
        is_end_fixed=True,
        is_end_declared=True,
    ),
}
"""The kinds of providers, by the ends of their logins."""


class ProviderMode(Enum):
    """How a provider answers requests for a connection."""

    WELL = "well"
    AWAY = "503"
    CLIENT_REFUSED = "401 invalid_client"
    REFUSES = "400 invalid_grant, for a while"


_REFUSALS = {
    ProviderMode.AWAY: TokenErrorResponse(status=503, error=None),
    ProviderMode.CLIENT_REFUSED: TokenErrorResponse(status=401, error="invalid_client"),
    ProviderMode.REFUSES: TokenErrorResponse(status=400, error="invalid_grant"),
}


@dataclass(eq=False, kw_only=True)
class Subject:
    """One connection: its login at the provider, and its person.

    `others`: the logins of other programs, whose tokens it was sent.
    """

    name: str
    provider: SimulatedProvider
    mode: ProviderMode = ProviderMode.WELL
    rescue_lines: list[RescuedRecord] = field(default_factory=list)
    # The etags of the records in rescue lines, by their access tokens; without those stored since.
    unstored: dict[str, str] = field(default_factory=dict)
    had: set[str] = field(default_factory=set)
    logins: int = 0
    others: list[SimulatedProvider] = field(default_factory=list)

    def login_of(self, token: str) -> SimulatedProvider:
        """Return the login that a token is of."""
        return next((each for each in self.others if token.startswith(each.name)), self.provider)

    def end_logins(self) -> None:
        """Let another program spend the refresh token, or the person revoke it at the provider."""
        for login in (self.provider, *self.others):
            login.issued.clear()


class AlertStore(MemoryStore):
    """A store behind a network that is slow, and fails; at times for a minute."""

    def __init__(self, world: "AlertWorld") -> None:
        super().__init__()
        self._world = world
        self._away_until = -1.0
        # The record before the last write.
        self._earlier: dict[str, Record] = {}

    async def load(self, connection: str) -> Record:
        """Return the record, if the network lets it."""
        await self._travel()
        record = await super().load(connection)
        await asyncio.sleep(self._world.latency())
        return record

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Return the connections that are due, if the network lets it."""
        await self._travel()
        return await super().due(after, before, limit=limit)

    async def list_records(
        self, after: str | None, *, limit: int = LARGEST_PAGE, prefix: str = ""
    ) -> RecordPage:
        """Return a page of records, if the network lets it."""
        await self._travel()
        return await super().list_records(after, limit=limit, prefix=prefix)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Write the record, if the network lets it; its answer may be lost, or it is late."""
        world, process = self._world, current_process()
        await asyncio.sleep(world.latency())
        if self._fails():
            world.trouble(process, "its write fails")
            if world.random.random() < 1 / 3:
                after = world.random.choice(LATE_COMMITS)
                world.later(after, self._write_late, process, connection, record, expected_etag)
            raise StoreUnavailableError("simulated")
        self._write(process, connection, record, expected_etag)
        if world.is_hit():
            world.trouble(process, "the answer to its write is lost")
            raise StoreUnavailableError("its answer is lost")
        await asyncio.sleep(world.latency())

    def _write_late(
        self, process: "Process", connection: str, record: Record, expected: str | None
    ) -> None:
        try:
            self._write(process, connection, record, expected)
        except ConflictError:
            return

    def _write(
        self, process: "Process", connection: str, record: Record, expected: str | None
    ) -> None:
        before = self._current(connection)
        if before.etag == record.etag:
            return
        if before.etag != expected:
            raise ConflictError(before)
        self._records[connection], self._earlier[connection] = record, before
        self._world.written(process, connection, before, record)

    async def _travel(self) -> None:
        await asyncio.sleep(self._world.latency())
        if self._fails():
            self._world.trouble(current_process(), "its read fails")
            raise StoreUnavailableError("simulated")

    def _fails(self) -> bool:
        world = self._world
        if not world.rate or world.loop.time() < self._away_until:
            return world.rate > 0
        return world.is_hit()

    def go_away(self, seconds: float) -> None:
        """Fail for a while."""
        self._away_until = self._world.loop.time() + seconds
        self._world.note("store", f"is away for {seconds:.0f} s")

    def lose(self, connection: str) -> Instance | None:
        """Go back to an earlier record, or to none, if an instance remembers the last one."""
        last, earlier = self._current(connection), self._earlier.get(connection)
        known = (each for each in self._world.instances if _remembers(each, connection, last))
        instance = next(known, None)
        if earlier is None or instance is None:
            return None
        if self._world.random.random() < 1 / 2:
            del self._records[connection]
        else:
            self._records[connection] = earlier
        self._world.note("store", f"{connection}: loses its record")
        return instance


@dataclass(kw_only=True)
class AlertWorld:
    """Everything there is in one run. `rate` is how often the store or an instance fails.

    `has_alerts`: whether instances that start have channels.
    """

    kind: LoginKind
    random: Random
    connection_count: int
    is_prompt: bool = False
    has_alerts: bool = True
    rate: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    troubles: int = 0

    def __post_init__(self) -> None:
        # AbstractEventLoop asks for sockets, signals and more; a loop without them is enough.
        self.loop = SimulationLoop(self.random)  # type: ignore[abstract]
        declared = self.kind.provider.declared(ACCESS_LIFE, self.kind.refresh_life)
        self.policy = Policy(provider=declared, client="client-1")
        self.thresholds = AlertThresholds()
        self.store = AlertStore(self)
        names = [f"c{number}" for number in range(self.connection_count)]
        self.subjects = {name: self._subject(name) for name in names}
        self.judge = AlertJudge(
            truths={name: self._truth() for name in names},
            is_prompt=self.is_prompt,
        )
        self.channels = self.judge.channels
        self.instances: list[Instance] = []
        self.loop.before_step = self._before_step

    def _subject(self, name: str) -> Subject:
        provider = self.kind.provider.simulated(
            ACCESS_LIFE, self.kind.refresh_life, name=f"{name}."
        )
        return Subject(name=name, provider=provider)

    def add_login(self, subject: Subject, account: str) -> SimulatedProvider:
        """Return a login of another program."""
        name = f"{subject.name}.{len(subject.others) + 1}."
        login = self.kind.provider.simulated(ACCESS_LIFE, self.kind.refresh_life, name=name)
        login.subject = account
        subject.others.append(login)
        return login

    def _truth(self) -> Truth:
        kind = self.kind
        return Truth(is_end_fixed=kind.is_end_fixed, is_end_declared=kind.is_end_declared)

    def begin(self, *channels: SimulatedChannel) -> None:
        """Start the instances, with these channels."""
        self.channels += channels
        for slot in range(3):
            self.give_birth(slot)

    def now(self) -> datetime:
        """Return the instant by the provider's clock."""
        return T0 + timedelta(seconds=self.loop.time())

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        at = timedelta(seconds=self.loop.time())
        self.trace.append(f"{at!s:>24}  {who:6} {what}")

    def latency(self) -> float:
        """Draw how long something travels."""
        return self.random.choice((0.0, 0.001, 0.05 * self.random.random()))

    def later(self, delay: float, work: object, *args: object) -> None:
        """Let the world do something after a while."""
        self.loop.call_later(delay, work, *args, context=self.loop.world_context)  # type: ignore[arg-type]

    def is_hit(self) -> bool:
        """Whether something goes wrong now."""
        return self.rate > 0 and self.random.random() < self.rate

    def trouble(self, process: "Process", what: str) -> None:
        """Note that the store or fate fails a process."""
        self.troubles += 1
        self.judge.troubled_at[process] = self.now()
        self.note(process.name, what)

    # Instances.

    def give_birth(self, slot: int) -> None:
        """Start an instance, with a clock of its own."""
        skew = self.random.uniform(-1, 1) * SKEW.total_seconds()
        instance = Instance(name=f"i{slot}", slot=slot, skew=skew)
        clock, entropy = SimulatedClock(self, instance), SeededEntropy(self.random)
        alerting = SimulatedAlerting(self, clock, entropy)
        instance.recorder = Recorder(
            store=self.store,
            clock=clock,
            entropy=entropy,
            rescue=self,
            revoke_late_tokens=lambda *late: instance.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - made below
            policy=self.policy,
            alerts=lambda: alerting.duty,
        )
        poller = Poller(self.store)
        instance.keeper = keeper = Keeper(
            recorder=instance.recorder,
            server=lambda: self,
            clock=clock,
            entropy=entropy,
            policy=self.policy,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        instance.revocations = Revocations(
            keeper=keeper, recorder=instance.recorder, server=lambda: self
        )
        instance.sweep = Sweep(
            keeper_of=lambda _: keeper,
            revocations_of=lambda _: instance.revocations,
            store=self.store,
            clock=clock,
            alerts_are_on=self.has_alerts,
            unchecked=alerting.unchecked_connections if self.has_alerts else None,
            on_end=alerting.record_sweep,
        )
        self.instances.append(instance)
        self.loop.add(instance)

    def _before_step(self, process: "Process") -> None:
        if not self.rate or not isinstance(process, Instance):
            return
        if self.random.random() < self.rate / 20:
            self.strike(process)

    def strike(self, process: Instance) -> None:
        """Let an instance stall or crash."""
        if self.random.random() < 1 / 2:
            process.stalled_until = self.loop.time() + self.random.choice(STALLS)
            self.trouble(process, f"stalls until {process.stalled_until:.0f}")
            self.judge.troubled_at[process] = T0 + timedelta(seconds=process.stalled_until)
            return
        self.trouble(process, "crashes")
        self.loop.kill(process)
        self.instances.remove(process)
        self.later(self.random.choice((0.1, 5.0, 90.0)), self.give_birth, process.slot)

    async def some_instance(self) -> Instance:
        """Return one that takes requests."""
        while not self.instances:  # noqa: ASYNC110 - in simulated time that costs nothing
            await asyncio.sleep(1)
        return self.random.choice(self.instances)

    # The ports.

    async def request_tokens(self, request: TokenRequest) -> Outcome:
        """Act as the provider."""
        assert isinstance(request, RefreshTokenRequest)
        subject = self.subjects[request.refresh_token.partition(".")[0]]
        await asyncio.sleep(self.latency())
        if (refusal := _REFUSALS.get(subject.mode)) is not None:
            return refusal
        if self.is_hit():
            # The new tokens are nowhere else then.
            self.store.go_away(self.random.choice(OUTAGES))
        login = subject.login_of(request.refresh_token)
        return login.refresh(request.refresh_token, self.now(), rotates=True)

    async def revoke_token(self, request: RevocationRequest) -> RevocationOutcome:
        """End a token."""
        await asyncio.sleep(self.latency())
        subject = self.subjects[request.token.partition(".")[0]]
        subject.login_of(request.token).revoke(request.token)
        return RevocationResult.REVOKED

    def emit(self, rescued: RescuedRecord) -> None:
        """Write a rescue line."""
        subject, grant = self.subjects[rescued.connection], rescued.record.grant
        self.note(current_process().name, f"{subject.name}: rescues {describe(grant)}")
        if not isinstance(grant, Inactive):
            subject.rescue_lines.append(rescued)
            if (token := grant.tokens.access_token) not in subject.had:
                subject.unstored[token] = str(rescued.record.etag)

    def read(self, line: str) -> list[RescuedRecord | UnreadableLine]:
        """Nobody reads here: the operator has the lines already."""
        raise NotImplementedError(line)

    # Judgements.

    def written(self, process: "Process", connection: str, before: Record, after: Record) -> None:
        """Judge a write."""
        if connection == DEPLOYMENT:
            newest = after.ledger[-1:]
            self.note(process.name, f"{connection}: stored: {newest}{_owed(after)}")
            with self.judging():
                self.judge.written_deployment(before, after, self.now())
            return
        self.note(process.name, f"{connection}: stored: {describe(after.grant)}{_owed(after)}")
        tokens, subject, written_as = tokens_of(after.grant), self.subjects[connection], None
        if tokens is not None:
            subject.had.add(tokens.access_token)
            written_as = subject.unstored.pop(tokens.access_token, None)
        # The write that was given up may have worked.
        is_rescue = written_as is not None and written_as != after.etag
        if not self.has_alerts:
            return
        if self.is_prompt and _is_refreshed(before.grant, after.grant):
            self.later(LOOK_WITHIN, self._judge_look, self.now())
        with self.judging():
            self.judge.written(connection, before, after, self.now(), is_rescue=is_rescue)

    def _judge_look(self, at: datetime) -> None:
        """Judge what an instance had to find out after a refresh."""
        with self.judging():
            self.judge.looked(at)

    def judge_try(self, channel: SimulatedChannel, sent: Try) -> None:
        """Judge an alert that is on its way."""
        with self.judging():
            self.judge.tried(channel, sent)

    def judge_taken(self, channel: SimulatedChannel, sent: Try) -> None:
        """Judge an alert that a channel has."""
        with self.judging():
            self.judge.taken(channel, sent)

    def judging(self) -> "_Judging":
        """Return a context in which a broken rule stops the run."""
        return _Judging(self)

    def fail(self, rule: Rule, detail: str) -> None:
        """Stop the run at a broken promise."""
        self.loop.fail(BrokenRuleError(rule, detail))

    # Persons.

    def switch_on(self) -> None:
        """Let the operator set ALERTS: instances start again, and nobody has heard of a state."""
        self.note("operator", "switches alerts on")
        self.has_alerts = True
        self.judge.truths = {name: self._truth() for name in self.subjects}
        for name, truth in self.judge.truths.items():
            truth.grant = self.store._current(name).grant
        for instance in list(self.instances):
            self.loop.kill(instance)
            self.instances.remove(instance)
            self.give_birth(instance.slot)

    async def log_in(self, subject: Subject) -> None:
        """Let a person log in, and again if an instance or the store fails meanwhile."""
        while True:
            subject.logins += 1
            read = self.store._current(subject.name).grant
            requested_at = self.now()
            response = subject.provider.log_in(requested_at)
            account = self.random.choice(ACCOUNTS)
            subject.provider.subject = account
            response = replace(response, subject=account)
            self.note("person", f"{subject.name}: logs in as {account}")
            event = LoginCompleted(response=response, requested_at=requested_at, read=read)
            if await self._keep(subject, event):
                return
            await asyncio.sleep(30)

    async def recover(self, subject: Subject) -> None:
        """Let the operator replay the rescue lines."""
        lines, subject.rescue_lines = subject.rescue_lines, []
        for rescued in lines:
            grant = rescued.record.grant
            assert not isinstance(grant, Inactive)
            if not await self._keep(subject, TokensRescued(tokens=grant.tokens)):
                subject.rescue_lines.append(rescued)

    async def _keep(self, subject: Subject, event: LoginCompleted | TokensRescued) -> bool:
        instance = await self.some_instance()

        async def keep() -> bool:
            try:
                before = await instance.keeper.load(subject.name)
                await instance.recorder.keep(subject.name, before, event)
            except StoreUnavailableError:
                return False
            return True

        task = instance.run(self.loop.create_task, keep())
        await asyncio.wait({task}, timeout=400)
        return task.done() and task.result()


def _owed(record: Record) -> str:
    return "" if record.alerts is None else f", owed {[o.alert.id for o in record.alerts.owed]}"


def _is_refreshed(before: Grant, after: Grant) -> bool:
    """Whether a write has new tokens of the same login."""
    old, new = tokens_of(before), tokens_of(after)
    if old is None or new is None or old.authorized_at != new.authorized_at:
        return False
    return old.access_token != new.access_token


def _remembers(instance: Instance, connection: str, record: Record) -> bool:
    return instance.recorder._memory.get(connection) == record


@dataclass(frozen=True)
class _Judging:
    """Stop the run at a broken rule, wherever it is found: nobody may catch it on its way."""

    world: AlertWorld

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, BrokenRuleError):
            self.world.loop.fail(error)


@dataclass(frozen=True)
class SimulatedClock:
    """The clock of an instance."""

    world: AlertWorld
    instance: Instance

    def now(self) -> datetime:
        return self.world.now() + timedelta(seconds=self.instance.skew)

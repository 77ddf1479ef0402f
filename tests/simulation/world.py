"""One run: instances, store, network, provider and programs, from one seed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from domain.commands import Answer, AskForAuthorization, LeaveAlone, Serve, TryLater, Wait
from domain.events import LoginCompleted, TokensRescued
from domain.grant import Unauthorized
from domain.policy import Policy
from functions.keeper import PATIENCE, Keeper
from functions.recorder import Recorder
from ports.rescue import Rescued
from ports.store import StoreUnavailableError
from tests.domain.examples import T0
from tests.simulation.faults import Blow, Faults, Point, Quiet, StoreFault
from tests.simulation.instance import Instance, describe
from tests.simulation.loop import Process, SimulationLoop
from tests.simulation.oracle import LEASE, SKEW, BrokenRuleError, Call, Oracle, Rule
from tests.simulation.provider import ProviderKind, SimulatedProvider
from tests.simulation.simulated_server import SimulatedServer
from tests.simulation.simulated_store import SLOWEST_STORE, SimulatedStore
from tests.simulation.surroundings import RescueLines, SeededEntropy, SkewedClock

CONNECTION = "default"
# Patience, then at most a read and two writes of a store at its slowest.
LONGEST_CALL = PATIENCE.total_seconds() + 2 * SKEW.total_seconds() + 100
LONGEST_CALL_WITHOUT_FAULTS = PATIENCE.total_seconds() + 2 * SKEW.total_seconds() + 2
STALLS = (1.0, 20.0, 59.0, 61.0, 65.0, 130.0, 400.0)


@dataclass(kw_only=True)
class World:
    """Everything there is in one run."""

    kind: ProviderKind
    random: Random
    faults: Faults
    access_life: timedelta
    instance_count: int = 3
    stalls: tuple[float, ...] = STALLS

    def __post_init__(self) -> None:
        # AbstractEventLoop asks for sockets, signals and more; a loop without them is enough.
        self.loop = SimulationLoop(self.random)  # type: ignore[abstract]
        self.provider = SimulatedProvider(
            kind=self.kind.rules,
            access_life=self.access_life,
            refresh_life=timedelta(days=90),
            ends_access_token=self.kind.ends_access_token,
        )
        self.policy = Policy(provider=self.kind.declared(self.access_life), client="client-1")
        self.oracle = Oracle(kind=self.kind, policy=self.policy, provider=self.provider)
        self.store = SimulatedStore(self)
        self.server = SimulatedServer(self)
        self.instances: list[Instance] = []
        self.injected: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.logins = 0
        self.calls: dict[int, Call] = {}
        self.call_serial = 0
        self.login_wanted = False
        self.rescue_lines: list[Rescued] = []
        self.recoveries = 0
        self.events: list[tuple[float, str, str]] = []
        self.births = 0
        self._steps_left = self.faults.steps_to_blow()
        self.loop.before_step = self._before_step
        for slot in range(self.instance_count):
            self.give_birth(slot)

    # Time, and what is told of it.

    def now(self) -> datetime:
        """Return the instant by the provider's clock, the only right one."""
        return T0 + timedelta(seconds=self.loop.time())

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.events.append((self.loop.time(), who, what))

    def later(self, delay: float, work: Callable[..., object], *args: Any) -> None:
        """Let the world do something after a while, whoever may have died by then."""
        self.loop.call_later(delay, work, *args, context=self._context)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, instant: float) -> None:
        """Let time pass until so many seconds from the start."""
        await asyncio.sleep(max(0.0, instant - self.loop.time()))

    def latency(self, slowest: float = 0.05) -> float:
        """Draw how long something travels; now and then two things arrive at once."""
        return self.random.choice((0.0, 0.001, 0.01, slowest * self.random.random()))

    # Instances.

    def give_birth(self, slot: int) -> None:
        """Start an instance, with a clock of its own."""
        self.births += 1
        skew = self.random.uniform(-1, 1) * SKEW.total_seconds()
        instance = Instance(name=f"i{self.births}", slot=slot, skew=skew)
        clock, entropy = SkewedClock(self, instance), SeededEntropy(self.random)
        instance.recorder = Recorder(
            store=self.store,
            clock=clock,
            entropy=entropy,
            rescue=RescueLines(self),
            policy=self.policy,
        )
        instance.keeper = Keeper(
            store=self.store,
            recorder=instance.recorder,
            server=lambda: self.server,
            clock=clock,
            entropy=entropy,
            policy=self.policy,
        )
        self.instances.append(instance)
        self.loop.add(instance)
        self.note(instance.name, f"starts, clock {skew:+.1f} s")

    def _before_step(self, process: Process) -> None:
        self._steps_left -= 1
        if self._steps_left > 0 or not isinstance(process, Instance):
            return
        self._steps_left = self.faults.steps_to_blow()
        blow = self.faults.blow()
        if blow is not None:
            self.strike(process, blow)

    def reach(self, process: Process, point: Point) -> None:
        """Say that an instance has come to a point of its attempt, where it may suffer."""
        if not isinstance(process, Instance) or not process.is_alive:
            return
        match self.faults.at_point(point):
            case Blow() as blow:
                self.strike(process, blow)
            case StoreFault():
                self.store.go_away()
            case None:
                pass

    def strike(self, instance: Instance, blow: Blow) -> None:
        """Let an instance suffer."""
        self.injected[blow.value] += 1
        match blow:
            case Blow.CRASH:
                self.note(instance.name, "crashes")
                self.loop.kill(instance)
                self.instances.remove(instance)
                for number, call in list(self.calls.items()):
                    if call.process is instance:
                        del self.calls[number]
                self.later(self.random.choice((0.1, 5.0, 90.0)), self.give_birth, instance.slot)
            case Blow.STALL:
                stall = self.random.choice(self.stalls)
                self.note(instance.name, f"stalls for {stall:.0f} s")
                instance.stalled_until = self.loop.time() + stall
                self.oracle.stalled(instance, self.now() + timedelta(seconds=stall))
            case Blow.CLOCK_STEP:
                instance.skew = self.random.uniform(-1, 1) * SKEW.total_seconds()
                self.note(instance.name, f"sets its clock to {instance.skew:+.1f} s")

    # Programs and the person.

    def ask(self, instance: Instance, min_ttl: timedelta) -> asyncio.Task[Answer | None]:
        """Let a program ask an instance."""
        self.call_serial += 1
        call = Call(
            number=self.call_serial,
            process=instance,
            min_ttl=min_ttl,
            began_at=self.now(),
            read_from=instance.loading_since or self.now(),
        )
        self.calls[call.number] = call
        return instance.run(self.loop.create_task, self._call(instance, call))

    async def _call(self, instance: Instance, call: Call) -> Answer | None:
        try:
            answer = await instance.keeper.token(CONNECTION, min_ttl=call.min_ttl)
        except StoreUnavailableError:
            self._end_call(call, "StoreUnavailableError")
            return None
        except BrokenRuleError:
            raise
        except Exception as error:
            self.loop.fail(BrokenRuleError(Rule.RAISED, repr(error)))
            raise
        self._end_call(call, type(answer).__name__)
        with self.judging():
            self._judge(call, answer)
        return answer

    def _end_call(self, call: Call, answer: str) -> None:
        del self.calls[call.number]
        self.answers[answer] += 1
        waited = (self.now() - call.began_at).total_seconds()
        self.note(call.process.name, f"answers {answer} after {waited:.2f} s")
        with self.judging():
            self._judge_wait(call)

    def _judge_wait(self, call: Call) -> None:
        if call.process.stalled_until >= (call.began_at - T0).total_seconds():
            return
        quiet = type(self.faults) is Quiet
        bound = LONGEST_CALL_WITHOUT_FAULTS if quiet else LONGEST_CALL
        if self.now() - call.began_at > timedelta(seconds=bound):
            raise BrokenRuleError(Rule.ANSWERED, f"{self.now() - call.began_at}")

    def _judge(self, call: Call, answer: Answer) -> None:
        match answer:
            case Serve():
                self.oracle.served(call, answer, self.now())
            case AskForAuthorization():
                if self.oracle.refused(call, answer, self.now()):
                    self.login_wanted = True
            case Wait() | TryLater():
                pass
            case LeaveAlone():
                raise BrokenRuleError(Rule.RAISED, "the sweep's answer to a program")

    async def log_in(self) -> None:
        """Let the person log in, and again if an instance or the store fails meanwhile."""
        while True:
            requested_at = self.now()
            response = self.provider.log_in(requested_at)
            self.oracle.logged_in(requested_at)
            self.note("person", f"logs in: {response.refresh_token}")
            completed = LoginCompleted(response=response, requested_at=requested_at)
            instance = await self.some_instance()
            task = instance.run(self.loop.create_task, self._complete(instance, completed))
            await asyncio.wait({task}, timeout=400)
            if task.done() and task.result():
                self.login_wanted = False
                self.logins += 1
                return
            await asyncio.sleep(30)

    async def _complete(self, instance: Instance, completed: LoginCompleted) -> bool:
        try:
            record = await instance.keeper.load(CONNECTION)
            await instance.recorder.keep(CONNECTION, record, completed)
        except StoreUnavailableError:
            return False
        return True

    async def recover(self) -> None:
        """Let the operator replay the rescue lines."""
        lines, self.rescue_lines = self.rescue_lines, []
        for rescued in lines:
            instance = await self.some_instance()
            task = instance.run(self.loop.create_task, self._replay(instance, rescued))
            await asyncio.wait({task}, timeout=500)
            if not task.done() or not task.result():
                self.rescue_lines.append(rescued)

    async def _replay(self, instance: Instance, rescued: Rescued) -> bool:
        assert not isinstance(rescued.record.grant, Unauthorized)
        event = TokensRescued(tokens=rescued.record.grant.tokens)
        try:
            before = await instance.keeper.load(CONNECTION)
            after = await instance.recorder.keep(CONNECTION, before, event)
        except StoreUnavailableError:
            return False
        self.recoveries += after is not before
        self.note("operator", f"recovers: {describe(after.grant)}")
        return True

    async def some_instance(self) -> Instance:
        """Return one that takes requests."""
        while not self.instances:  # noqa: ASYNC110 - in simulated time that costs nothing
            await asyncio.sleep(1)
        return self.random.choice(self.instances)

    # The whole run.

    def run(self, story: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        """Live through a story, then make sure that everything is well afterwards.

        Raises BrokenRuleError, DeadlockError.
        """
        log = logging.getLogger("functions")
        level = log.level
        # What goes wrong here is planned, and thousands of runs would fill a screen with it.
        log.setLevel(logging.CRITICAL + 1)
        try:
            self.loop.run(self._live(story))
        finally:
            log.setLevel(level)

    async def _live(self, story: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        await self.log_in()
        await story(self)
        await self._heal()
        for _ in range(2):
            await self._recover()
            await asyncio.sleep(self.access_life.total_seconds())

    @property
    def _context(self) -> Context:
        return self.loop.world_context

    def judging(self) -> "_Judging":
        """Return a context in which a broken rule stops the run."""
        return _Judging(self.loop)

    async def _heal(self) -> None:
        """End all faults, and wait until nothing travels any more and nobody stalls."""
        self.note("world", "the faults are over")
        self.faults = Quiet()
        self._steps_left = self.faults.steps_to_blow()
        self.store.away_until = -1
        await asyncio.sleep(max(STALLS) + LEASE.total_seconds() + SLOWEST_STORE * 8)
        await self.recover()
        with self.judging():
            self.oracle.settled(self.now())
            for call in self.calls.values():
                raise BrokenRuleError(Rule.ANSWERED, f"call {call.number} never is")

    async def _recover(self) -> None:
        """Ask until there is a token; a login is the last resort."""
        give_up_at = self.loop.time() + timedelta(hours=2).total_seconds()
        while self.loop.time() < give_up_at:
            answer = await self.ask(await self.some_instance(), timedelta(seconds=60))
            match answer:
                case Serve():
                    return
                case TryLater(at=at):
                    await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()) + 5)
                case AskForAuthorization():
                    if not self.login_wanted:
                        raise BrokenRuleError(Rule.LOST, answer.cause.value)
                    await self.log_in()
                case _:
                    await asyncio.sleep(5)
        raise BrokenRuleError(Rule.RECOVERS, "for two hours")


class _Judging:
    """Stop the run at a broken rule, wherever it is found: nobody may catch it on its way."""

    def __init__(self, loop: SimulationLoop) -> None:
        self._loop = loop

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, BrokenRuleError):
            self._loop.fail(error)

"""One run: instances, store, network, provider and programs, from one seed."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeAlias

from domain.policy import Policy
from functions.refresh.keeper import intent_limit
from functions.refresh.poller import Poller
from functions.refresh.recorder import Recorder
from functions.refresh.revocations import Revocations
from functions.refresh.sweep import Sweep, SweepReport
from functions.refresh.sweep_outcomes import SweepOutcome
from tests.domain.examples import T0
from tests.simulation.connection import Connection
from tests.simulation.faults import Faults, InstanceFault, Point, Quiet, StoreFault
from tests.simulation.instance import Instance
from tests.simulation.loop import Process, SimulationLoop
from tests.simulation.promises import LEASE, NEVER_OFF, SKEW, BrokenRuleError
from tests.simulation.provider import ProviderKind
from tests.simulation.served_store import ServedStore
from tests.simulation.simulated_server import SimulatedServer
from tests.simulation.simulated_store import SimulatedStore
from tests.simulation.simulated_table import SimulatedTable
from tests.simulation.store_network import SLOWEST_STORE
from tests.simulation.surroundings import RescueLines, SeededEntropy, SkewedClock
from tests.simulation.sweeps import WitnessedKeeper, sweep

# For how long a stall delays what is done after it: an attempt of before it is waited for.
STALLS_AFTER = 100.0
STALLS = (1.0, 20.0, 59.0, 61.0, 65.0, 130.0, 400.0)
NAMES = ("a", "b", "c")
LONG_REFRESH_LIFE = timedelta(days=90)

MakeStore: TypeAlias = Callable[["World"], SimulatedStore | SimulatedTable | ServedStore]
MakeConnection: TypeAlias = Callable[..., Connection]
"""Makes a connection of a `world`, with a `name`."""


@dataclass(kw_only=True)
class World:
    """Everything there is in one run.

    Each purpose has its own random stream. More awaits change the order of events, but not the
    faults.
    """

    kind: ProviderKind
    seed: str
    faults: Faults
    access_life: timedelta
    refresh_life: timedelta = LONG_REFRESH_LIFE
    connection_count: int = 1
    names: Sequence[str] = NAMES
    client_of: Callable[[str], str | None] = lambda _: None
    instance_count: int = 3
    stalls: tuple[float, ...] = STALLS
    make_store: MakeStore = SimulatedStore
    make_connection: MakeConnection = Connection
    make_server: Callable[["World"], SimulatedServer] = SimulatedServer

    def __post_init__(self) -> None:
        # For stories, for what becomes of a fault, and for what merely takes its time.
        self.random = stream(self.seed, "story")
        self.fate = stream(self.seed, "fate")
        self._delays = stream(self.seed, "delays")
        # AbstractEventLoop asks for sockets, signals and more; a loop without them is enough.
        self.loop = SimulationLoop(stream(self.seed, "order"))  # type: ignore[abstract]
        provider = self.kind.declared(self.access_life, self.refresh_life)
        self.policy = Policy(provider=provider, client="client-1")
        self.store = self.make_store(self)
        self.server = self.make_server(self)
        names = self.names[: self.connection_count]
        self.connections = {name: self.make_connection(world=self, name=name) for name in names}
        self.instances: list[Instance] = []
        self.injected: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.swept: Counter[SweepOutcome] = Counter()
        self.events: list[tuple[float, str, str]] = []
        self.births = 0
        # Whether a record was lost: what is put back for it may be older, and some rules are off.
        self.is_spoilt = False
        self._entropy = SeededEntropy(stream(self.seed, "ids"))
        self._steps_left = self.faults.steps_to_instance_fault()
        self.loop.before_step = self._before_step
        for slot in range(self.instance_count):
            self.give_birth(slot)

    def connection_of(self, refresh_token: str) -> Connection:
        """Find the connection that a refresh token was issued for."""
        return self.connections[refresh_token.partition(".")[0]]

    # Time, and the trace.

    def now(self) -> datetime:
        """Return the instant by the provider's clock, the only right one."""
        return T0 + timedelta(seconds=self.loop.time())

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.events.append((self.loop.time(), who, what))

    def later(self, delay: float, work: Callable[..., object], *args: Any) -> None:
        """Let the world do something after a while, although an instance may crash meanwhile."""
        self.loop.call_later(delay, work, *args, context=self._context)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, instant: float) -> None:
        """Let time pass until so many seconds from the start."""
        await asyncio.sleep(max(0.0, instant - self.loop.time()))

    def latency(self, slowest: float = 0.05) -> float:
        """Draw how long something travels; now and then two things arrive at once."""
        slow = slowest * self._delays.random()
        return self._delays.choice((0.0, 0.001, slow, slow))

    # Instances.

    def give_birth(self, slot: int) -> None:
        """Start an instance, with a clock of its own."""
        self.births += 1
        skew = self.fate.uniform(-1, 1) * SKEW.total_seconds()
        instance = Instance(name=f"i{self.births}", slot=slot, skew=skew)
        clock, entropy, store = SkewedClock(self, instance), self._entropy, self.store.port
        instance.recorder = Recorder(
            store=store,
            clock=clock,
            entropy=entropy,
            rescue=RescueLines(self),
            revoke_late_tokens=lambda *late: instance.revocations.revoke_late_tokens(*late),  # noqa: PLW0108 - made below
            policy=self.policy,
        )
        poller = Poller(store)
        instance.keeper = keeper = WitnessedKeeper(
            self,
            instance,
            recorder=instance.recorder,
            server=lambda: self.server,
            clock=clock,
            entropy=entropy,
            policy=self.policy,
            intents=intent_limit(),
            poller=lambda: poller,
        )
        instance.revocations = Revocations(
            keeper=keeper, recorder=instance.recorder, server=lambda: self.server
        )
        instance.sweep = Sweep(
            keeper_of=lambda _: keeper,
            revocations_of=lambda _: instance.revocations,
            store=store,
            clock=clock,
            entropy=entropy,
            client_of=self.client_of,
        )
        self.instances.append(instance)
        self.loop.add(instance)
        self.note(instance.name, f"starts, clock {skew:+.1f} s")

    def _before_step(self, process: Process) -> None:
        self._steps_left -= 1
        if self._steps_left > 0 or not isinstance(process, Instance):
            return
        self._steps_left = self.faults.steps_to_instance_fault()
        fault = self.faults.instance_fault()
        if fault is not None:
            self.strike(process, fault)

    def reach(self, process: Process, point: Point) -> None:
        """Let an instance suffer a planned fault at a point of its attempt."""
        if not isinstance(process, Instance) or not process.is_alive:
            return
        match self.faults.at_point(point):
            case InstanceFault() as fault:
                self.strike(process, fault)
            case StoreFault():
                self.store.go_away()
            case None:
                pass

    def strike(self, instance: Instance, fault: InstanceFault) -> None:
        """Let an instance suffer."""
        self.injected[fault.value] += 1
        match fault:
            case InstanceFault.CRASH:
                self.note(instance.name, "crashes")
                self.loop.kill(instance)
                self.instances.remove(instance)
                for connection in self.connections.values():
                    connection.forget_calls(instance)
                self.later(self.fate.choice((0.1, 5.0, 90.0)), self.give_birth, instance.slot)
            case InstanceFault.STALL:
                stall = self.fate.choice(self.stalls)
                self.note(instance.name, f"stalls for {stall:.0f} s")
                instance.stalled_until = self.loop.time() + stall
                instance.troubled_until = instance.stalled_until + STALLS_AFTER
                for connection in self.connections.values():
                    connection.stalled(instance, self.now() + timedelta(seconds=stall))
            case InstanceFault.CLOCK_STEP:
                instance.skew = self.fate.uniform(-1, 1) * SKEW.total_seconds()
                self.note(instance.name, f"sets its clock to {instance.skew:+.1f} s")

    # Programs and sweeps.

    def begin_sweep(self, instance: Instance) -> "asyncio.Task[SweepReport | None]":
        """Let an instance sweep."""
        return instance.run(self.loop.create_task, sweep(self, instance))

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
        # Thousands of planned faults would fill a screen.
        log.setLevel(logging.CRITICAL + 1)
        try:
            self.loop.run(self._live(story))
        finally:
            log.setLevel(level)

    async def _live(self, story: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        for connection in self.connections.values():
            await connection.log_in()
        await story(self)
        await self._heal()
        for _ in range(2):
            for connection in self.connections.values():
                await connection.revive()
            await asyncio.sleep(self.access_life.total_seconds())

    @property
    def _context(self) -> Context:
        return self.loop.world_context

    def judging(self) -> "Judging":
        """Return a context in which a broken rule stops the run."""
        return Judging(self)

    def begin_faults(self, faults: Faults) -> None:
        """Let things go wrong again."""
        self.faults = faults
        self._steps_left = self.faults.steps_to_instance_fault()

    def end_faults(self) -> None:
        """Let nothing go wrong any more."""
        self.note("world", "the faults are over")
        self.begin_faults(Quiet())
        self.store.heal()
        self.server.away_until = -1

    async def _heal(self) -> None:
        """End all faults, and wait until nothing travels any more and nobody stalls."""
        self.end_faults()
        await asyncio.sleep(max(STALLS) + LEASE.total_seconds() + SLOWEST_STORE * 8)
        for connection in self.connections.values():
            await connection.heal()


def stream(seed: str, purpose: str) -> Random:
    """Return a source of chance that nothing else draws from."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a seed is the point


class Judging:
    """Stop the run at a broken rule, wherever it is found: nobody may catch it on its way."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, BrokenRuleError):
            return False
        if self._world.is_spoilt and error.rule not in NEVER_OFF:
            return True
        self._world.loop.fail(error)
        return False

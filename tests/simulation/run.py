"""Run one seed, and report a failure so that it can be replayed.

python -m tests.simulation.run KIND SEED [STORY [STORE]]
"""

import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from functions.refresh.sweep_outcomes import SweepOutcome
from tests.simulation.adopting_connection import AdoptingConnection
from tests.simulation.exchanges import Loss
from tests.simulation.faults import Chaos, Doubts
from tests.simulation.left_out import (
    LEFT_NAMES,
    REFRESH_LIFE,
    Absence,
    FrailServer,
    be_left,
    client_of,
)
from tests.simulation.loop import DeadlockError
from tests.simulation.promises import BrokenRuleError, Rule
from tests.simulation.provider import KINDS
from tests.simulation.served_postgres import ServedPostgres
from tests.simulation.served_redis import ServedRedis
from tests.simulation.simulated_store import SimulatedStore
from tests.simulation.simulated_table import SimulatedTable
from tests.simulation.stories import (
    adopt_from_others,
    lie_idle,
    live_dangerously,
    live_in_doubt,
    meet_refusals,
    revoke_and_return,
)
from tests.simulation.world import LONG_REFRESH_LIFE, MakeStore, World, stream

# Events long before a rule was broken seldom explain it.
TRACED = 120
ACCESS_LIVES = (timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
# In lifetimes of an access token; most runs have the usual value instead.
SHORT_REFRESH_LIVES = (2, 3.5)
# A sweep a day needs two days' time.
IDLE_LIVES = (timedelta(days=3), timedelta(days=7), timedelta(days=30), timedelta(days=90))
Story = Callable[[World], Coroutine[Any, Any, None]]
STORES: Mapping[str, MakeStore] = {
    "memory": SimulatedStore,
    "dynamodb": SimulatedTable,
    "redis": ServedRedis,
    "postgres": ServedPostgres,
}
SERVED = ("redis", "postgres")
"""The stores that are real servers."""


@dataclass(kw_only=True)
class Tally:
    """Counts of the events in any number of runs."""

    runs: int = 0
    steps: int = 0
    logins: int = 0
    requests: int = 0
    false_alarms: int = 0
    recoveries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    losses: Counter[Loss] = field(default_factory=Counter)
    swept: Counter[SweepOutcome] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Take in the runs of another tally."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


class SimulationFailedError(AssertionError):
    """A run broke a rule; the message says which, how, and how to see it again."""

    def __init__(self, rule: Rule | None, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def run_chaos(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of everything at once. Raises SimulationFailedError."""
    name = f"{kind}/{seed}"
    random = stream(name, "world")
    access_life = random.choice(ACCESS_LIVES)
    lives = [access_life * lives for lives in SHORT_REFRESH_LIVES]
    world = _world(
        kind,
        name,
        store,
        access_life=access_life,
        refresh_life=random.choice([*lives, *[LONG_REFRESH_LIFE] * 8]),
        connection_count=random.choice((1, 1, 1, 2, 3)),
    )
    return run_story(world, live_dangerously, replay=f"{kind} {seed} chaos")


def run_doubt(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of attempts of which little is heard. Raises SimulationFailedError."""
    name = f"{kind}/{seed}/doubt"
    access_life = stream(name, "world").choice(ACCESS_LIVES)
    stalls = (61.0, 65.0, 130.0, 130.0)
    world = _world(kind, name, store, faults=Doubts, access_life=access_life, stalls=stalls)
    return run_story(world, live_in_doubt, replay=f"{kind} {seed} doubt")


def run_idle(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of connections that nobody uses. Raises SimulationFailedError."""
    name = f"{kind}/{seed}/idle"
    random = stream(name, "world")
    world = _world(
        kind,
        name,
        store,
        access_life=ACCESS_LIVES[-1],
        refresh_life=random.choice(IDLE_LIVES),
        connection_count=random.choice((1, 2, 3)),
    )
    return run_story(world, lie_idle, replay=f"{kind} {seed} idle")


def run_revocations(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of an owner who revokes. Raises SimulationFailedError."""
    name = f"{kind}/{seed}/revoke"
    random = stream(name, "world")
    world = _world(
        kind,
        name,
        store,
        access_life=random.choice(ACCESS_LIVES),
        connection_count=random.choice((1, 2)),
    )
    return run_story(world, revoke_and_return, replay=f"{kind} {seed} revoke")


def run_adoptions(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of tokens that other programs got. Raises SimulationFailedError."""
    name = f"{kind}/{seed}/adopt"
    random = stream(name, "world")
    access_life = random.choice(ACCESS_LIVES)
    refresh_lives = (access_life * SHORT_REFRESH_LIVES[-1], LONG_REFRESH_LIFE)
    # Nobody knows when an adopted token expires, nor what such a refusal means then.
    is_refusing = KINDS[kind].rules.refuses_what_lives
    world = _world(
        kind,
        name,
        store,
        faults=random.choice((Chaos, Chaos, Doubts)),
        access_life=access_life,
        refresh_life=LONG_REFRESH_LIFE if is_refusing else random.choice(refresh_lives),
        make_connection=AdoptingConnection,
    )
    return run_story(world, adopt_from_others, replay=f"{kind} {seed} adopt")


def run_refusals(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of APIs that refuse access tokens. Raises SimulationFailedError."""
    name = f"{kind}/{seed}/refusals"
    access_life = stream(name, "world").choice(ACCESS_LIVES[1:])
    world = _world(kind, name, store, access_life=access_life)
    return run_story(world, meet_refusals, replay=f"{kind} {seed} refusals")


def run_left(kind: str, seed: int, store: str = "memory") -> Tally:
    """Run one seed of sweeps that leave connections. Raises SimulationFailedError."""
    world = _world(
        kind,
        f"{kind}/{seed}/left",
        store,
        faults=Absence,
        access_life=ACCESS_LIVES[-1],
        refresh_life=REFRESH_LIFE,
        names=LEFT_NAMES,
        connection_count=len(LEFT_NAMES),
        client_of=client_of,
        make_server=FrailServer,
    )
    return run_story(world, be_left, replay=f"{kind} {seed} left")


def _world(
    kind: str,
    name: str,
    store: str,
    *,
    faults: type[Chaos | Doubts | Absence] = Chaos,
    **options: Any,
) -> World:
    return World(
        kind=KINDS[kind],
        seed=name,
        faults=faults(stream(name, "faults")),
        make_store=STORES[store],
        **options,
    )


def run_story(world: World, story: Story, *, replay: str) -> Tally:
    """Run a story. Raises SimulationFailedError, whose message says how to `replay` it."""
    try:
        world.run(story)
    except (BrokenRuleError, DeadlockError) as error:
        rule = error.rule if isinstance(error, BrokenRuleError) else None
        raise SimulationFailedError(rule, _report(world, error, replay)) from error
    return _tally(world)


def _tally(world: World) -> Tally:
    tally = Tally(
        runs=1,
        steps=world.loop.steps,
        faults=world.injected,
        answers=world.answers,
        swept=world.swept,
    )
    for connection in world.connections.values():
        tally.logins += connection.logins - 1
        requests, losses = connection.tally()
        tally.requests += requests
        tally.false_alarms += connection.judge.false_alarms
        tally.losses += losses
        tally.recoveries += connection.recoveries
    return tally


def _report(world: World, error: Exception, replay: str) -> str:
    [store] = [name for name, made in STORES.items() if made is world.make_store]
    lines = [f"{at:10.3f}  {who:8} {what}" for at, who, what in world.events[-TRACED:]]
    left_out = len(world.events) - len(lines)
    head = [str(error), f"replay: python -m tests.simulation.run {replay} {store}"]
    return "\n".join([*head, f"… {left_out} events before", *lines])


STORIES = {
    "chaos": run_chaos,
    "doubt": run_doubt,
    "idle": run_idle,
    "revoke": run_revocations,
    "adopt": run_adoptions,
    "refusals": run_refusals,
    "left": run_left,
}

if __name__ == "__main__":
    kind, seed, story, store = [*sys.argv[1:], *("chaos", "memory")[len(sys.argv) - 3 :]]
    print(STORIES[story](kind, int(seed), store))  # noqa: T201 - it prints

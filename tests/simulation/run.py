"""Run one seed, and tell of a failure so that it can be replayed.

python -m tests.simulation.run KIND SEED
"""

import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from domain.grant import Authorized, Refreshing, Unauthorized
from tests.domain.examples import T0
from tests.simulation.faults import Chaos, Faults
from tests.simulation.loop import DeadlockError
from tests.simulation.oracle import LEASE, BrokenRuleError, Loss, Rule
from tests.simulation.provider import KINDS
from tests.simulation.world import STALLS, World

# What happened long before a rule was broken seldom explains it.
TRACED = 120
ROUNDS = 14
ACCESS_LIVES = (timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
# Either side of every margin that the rules know.
OFFSETS = (-301.0, -61.0, -60.0, -59.0, -2.0, 0.0, 1.0, 59.0, 61.0)
MIN_TTLS = (0, 59, 60, 61, 10_000)
Story = Callable[[World], Coroutine[Any, Any, None]]


@dataclass(kw_only=True)
class Tally:
    """What happened in any number of runs."""

    runs: int = 0
    steps: int = 0
    logins: int = 0
    requests: int = 0
    false_alarms: int = 0
    recoveries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    losses: Counter[Loss] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Take in the runs of another tally."""
        self.runs += other.runs
        self.steps += other.steps
        self.logins += other.logins
        self.requests += other.requests
        self.false_alarms += other.false_alarms
        self.recoveries += other.recoveries
        self.faults += other.faults
        self.answers += other.answers
        self.losses += other.losses


class SimulationFailedError(AssertionError):
    """A run broke a rule; the message says which, how, and how to see it again."""

    def __init__(self, rule: Rule | None, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def run_chaos(kind: str, seed: int) -> Tally:
    """Run one seed of everything at once. Raises SimulationFailedError."""
    random = Random(f"{kind}/{seed}")  # noqa: S311 - a seed is the point
    faults = Chaos(random)
    replay = f"python -m tests.simulation.run {kind} {seed}"
    life = random.choice(ACCESS_LIVES)
    return run_story(kind, random, faults, live_dangerously, life, replay=replay)


def run_story(
    kind: str,
    random: Random,
    faults: Faults,
    story: Story,
    life: timedelta,
    *,
    replay: str,
    stalls: tuple[float, ...] = STALLS,
) -> Tally:
    """Run a story. Raises SimulationFailedError, whose message says how to `replay` it."""
    world = World(kind=KINDS[kind], random=random, faults=faults, access_life=life, stalls=stalls)
    try:
        world.run(story)
    except (BrokenRuleError, DeadlockError) as error:
        rule = error.rule if isinstance(error, BrokenRuleError) else None
        raise SimulationFailedError(rule, _report(world, error, replay)) from error
    return Tally(
        runs=1,
        steps=world.loop.steps,
        logins=world.logins - 1,
        requests=len(world.oracle.exchanges),
        false_alarms=world.oracle.false_alarms,
        faults=world.injected,
        answers=world.answers,
        losses=world.oracle.losses,
        recoveries=world.recoveries,
    )


async def live_dangerously(world: World) -> None:
    """Let programs ask around every instant that matters, alone and in crowds."""
    random = world.random
    for _ in range(ROUNDS):
        await world.sleep_until(_next_instant(world) + random.choice(OFFSETS))
        spread = random.choice((0.0, 0.05, 5.0))
        for _ in range(random.choice((1, 2, 6))):
            instance = await world.some_instance()
            world.ask(instance, timedelta(seconds=random.choice(MIN_TTLS)))
            await world.sleep(spread * random.random())
        await world.sleep(random.choice((0.0, 0.2, 10.0, 40.0)))
        if world.login_wanted and random.random() < 1 / 2:
            await world.log_in()
        if world.rescue_lines and random.random() < 1 / 2:
            await world.recover()


def _next_instant(world: World) -> float:
    """Find the next instant that matters to the grant, or not the next one but the last."""
    grant = world.oracle.grant
    if isinstance(grant, Unauthorized):
        return 0.0
    ends: list[datetime | None] = [grant.tokens.expires_at]
    if isinstance(grant, Refreshing):
        ends.append(grant.attempt.started_at + LEASE)
    if isinstance(grant, Authorized) and grant.setbacks is not None:
        ends.append(grant.setbacks.retry_at)
    coming = [(end - T0).total_seconds() for end in ends if end is not None and end > world.now()]
    if not coming:
        return world.loop.time()
    return world.random.choice((min(coming), min(coming), max(coming)))


def _report(world: World, error: Exception, replay: str) -> str:
    lines = [f"{at:10.3f}  {who:8} {what}" for at, who, what in world.events[-TRACED:]]
    left_out = len(world.events) - len(lines)
    head = [str(error), f"replay: {replay}"]
    return "\n".join([*head, f"… {left_out} events before", *lines])


if __name__ == "__main__":
    print(run_chaos(sys.argv[1], int(sys.argv[2])))  # noqa: T201 - a command prints

"""The stories of a client that needs no login: stampedes, faults, outages and wrong clocks.

python -m tests.simulation.own_tokens STORY KIND SEED
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.commands import AskForAuthorization, Serve
from domain.grant import tokens_of
from domain.tokens import MAX_CLOCK_SKEW
from functions.refresh.keeper import PATIENCE
from ports.store import StoreUnavailableError
from tests.domain.examples import T0
from tests.simulation.instance import Instance
from tests.simulation.loop import DeadlockError
from tests.simulation.own_world import CONNECTION, OWN_KINDS, OwnWorld
from tests.simulation.promises import (
    LEASE,
    LONGEST_BACKOFF,
    LONGEST_REJECTION_WAIT,
    SKEW,
    BrokenRuleError,
    Rule,
)
from tests.simulation.run import SimulationFailedError, Tally
from tests.simulation.world import stream

LIVES = (timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1))
MINUTE = timedelta(minutes=1)
AROUND = (-301.0, -299.0, -61.0, -59.0, -2.0, 0.0, 1.0, 61.0)
# A store at its slowest, a revocation in progress, and the rest of a stall.
LONGEST_CALL = PATIENCE + timedelta(seconds=200)
LONGEST_LOAD = timedelta(seconds=0.2)
OFFSETS = (-1461, -1, 1, 1461)
ROUNDS = 25


async def ask(world: OwnWorld, instance: Instance, *, min_ttl: timedelta = MINUTE) -> bool:
    """Let a program ask, and judge its answer. Return whether it got a token."""
    began = world.now()
    try:
        if world.random.random() < 1 / 10:
            answer = (await instance.keeper.refresh(CONNECTION)).answer
        else:
            answer = await instance.keeper.token(CONNECTION, min_ttl=min_ttl)
    except StoreUnavailableError:
        world.answers["StoreUnavailableError"] += 1
        return False
    except Exception as error:
        world.fail(Rule.RAISED, repr(error))
        raise
    world.answers[type(answer).__name__] += 1
    world.note(instance.name, f"answers {type(answer).__name__}")
    is_stalled = instance.stalled_until > (began - T0).total_seconds()
    if world.now() - began > LONGEST_CALL and not is_stalled:
        world.fail(Rule.ANSWERED, f"{world.now() - began}")
    if isinstance(answer, AskForAuthorization):
        world.fail(Rule.LOST, answer.cause.value)
    if not isinstance(answer, Serve):
        return False
    if abs(instance.skew) <= SKEW.total_seconds():
        _judge_token(world, instance, answer, began)
    return True


def _judge_token(world: OwnWorld, instance: Instance, served: Serve, began: datetime) -> None:
    """Judge a token that is served by a clock that is right."""
    token, provider = served.tokens.access_token, world.provider
    if token not in world.store.had | world.rescued:
        world.fail(Rule.STORED_FIRST, token)
    # An instance that froze answers with what it had read before.
    was_frozen = instance.stalled_until > (began - T0).total_seconds() - 1
    last_look = began if was_frozen else world.now()
    issued = provider.expires_at[token] - provider.life
    # Nobody has looked until the wrong time had come round.
    is_excused = issued + MAX_CLOCK_SKEW < served.tokens.issued_at <= world.now()
    if provider.expires_at[token] + 2 * SKEW <= last_look and not is_excused:
        world.fail(Rule.EXPIRED, f"{token} at {world.now()}")
    # A call may share a load that began before.
    ended_at = provider.ended_at.get(token, began)
    if ended_at + LONGEST_LOAD < began and not was_frozen:
        world.fail(Rule.ENDED if provider.kind.ends else Rule.RESURRECTED, token)


def _start(world: OwnWorld, instance: Instance) -> "asyncio.Task[bool]":
    task: asyncio.Task[bool] = instance.run(world.loop.create_task, ask(world, instance))
    return task


async def stampede(world: OwnWorld) -> None:
    """Let crowds ask all instances at once whenever the token has expired: one request each."""
    for number in range(1, ROUNDS):
        crowd = [_start(world, each) for each in world.instances * world.random.choice((1, 5, 20))]
        await asyncio.gather(*crowd)
        if len(world.requests) > number:
            world.fail(Rule.SHARED, f"{len(world.requests)} for {number} tokens")
        await asyncio.sleep(world.life.total_seconds() + 2 * SKEW.total_seconds())


async def live_dangerously(world: OwnWorld) -> None:
    """Let programs ask at instants that matter, and the owner revoke, amid faults."""
    world.rate = world.random.choice((0.02, 0.1, 0.3))
    for _ in range(ROUNDS):
        for _ in range(world.random.choice((1, 1, 3, 8))):
            _start(world, await world.some_instance())
            await asyncio.sleep(world.random.choice((0.0, 0.05, 5.0)))
        act = world.random.random()
        if act < 1 / 5:
            await _revoke(world)
        elif act < 2 / 5:
            instance = await world.some_instance()
            instance.run(world.loop.create_task, _sweep(instance))
        await asyncio.sleep(max(0.0, _until_it_matters(world)))
    await _recover(world)


def _until_it_matters(world: OwnWorld) -> float:
    tokens = tokens_of(world.store._current(CONNECTION).grant)
    if tokens is None or tokens.expires_at is None or world.random.random() < 1 / 2:
        return world.random.choice((0.2, 10.0, 59.0, 61.0, 130.0))
    left: timedelta = tokens.expires_at - world.now()
    return left.total_seconds() + world.random.choice(AROUND)


async def _revoke(world: OwnWorld) -> None:
    instance = await world.some_instance()
    task = instance.run(world.loop.create_task, _ended(instance))
    await asyncio.wait({task}, timeout=40)


async def _ended(instance: Instance) -> None:
    try:
        await instance.revocations.revoke(CONNECTION)
    except StoreUnavailableError:
        return


async def _sweep(instance: Instance) -> None:
    try:
        await instance.sweep.run()
    except StoreUnavailableError:
        return


async def _recover(world: OwnWorld) -> None:
    """End all faults: then everybody gets a token soon."""
    world.rate, world.is_away = 0.0, False
    await asyncio.sleep((LONGEST_BACKOFF + 2 * LEASE + timedelta(seconds=130)).total_seconds())
    for instance in list(world.instances):
        if not await _start(world, instance):
            world.fail(Rule.RECOVERS, instance.name)


async def outage(world: OwnWorld) -> None:
    """Let the provider be away for hours while programs ask: few requests, and a token after."""
    if world.random.random() < 1 / 2:
        await asyncio.gather(*(_start(world, each) for each in world.instances))
    world.is_away, before = True, len(world.requests)
    end = world.loop.time() + 3 * 3600
    while world.loop.time() < end:
        await asyncio.gather(*(_start(world, each) for each in world.instances))
        await asyncio.sleep(world.random.uniform(0, 60))
    # Doubling waits up to five minutes, of which jitter leaves a half.
    most = 10 + 3 * 3600 / (LONGEST_BACKOFF.total_seconds() / 2)
    if len(world.requests) - before > most:
        world.fail(Rule.BACKOFF, f"{len(world.requests) - before} in three hours")
    await _recover(world)


async def meet_refusals(world: OwnWorld) -> None:
    """Let an API refuse every token: the programs get others, and they cost few requests.

    Tokens live so long here that no request has another reason.
    """
    world.life = world.provider.life = timedelta(days=1)
    world.is_refusing = True
    world.rate = world.random.choice((0.0, 0.02))
    await asyncio.gather(*(_insist(world) for _ in range(4)))
    world.rate = 0.0
    await asyncio.sleep((LONGEST_REJECTION_WAIT + 2 * LEASE).total_seconds())
    instance = await world.some_instance()
    had = await _token(world, instance)
    began, answer = world.now(), await _token(world, instance, refused=had)
    if answer is None:
        world.fail(Rule.REFUSED_WAITS, f"since {began}")


async def _insist(world: OwnWorld) -> None:
    """Begin a program whose tokens are refused, each once it has another."""
    had: int | None = None
    for _ in range(2 * ROUNDS):
        instance = await world.some_instance()
        task = instance.run(world.loop.create_task, _token(world, instance, refused=had))
        # Nothing ends the task of an instance that crashes.
        done, _ = await asyncio.wait({task}, timeout=LONGEST_CALL.total_seconds())
        had = next((each.result() for each in done if each.result() is not None), had)
        await asyncio.sleep(world.random.choice((0.0, 1.0, 10.0, 30.0)))


async def _token(world: OwnWorld, instance: Instance, *, refused: int | None = None) -> int | None:
    """Ask for a token, and judge the answer. Return its generation, or None without a token."""
    try:
        answer = await instance.keeper.token(CONNECTION, min_ttl=MINUTE, refused=refused)
    except StoreUnavailableError:
        return None
    world.answers[type(answer).__name__] += 1
    world.note(instance.name, f"answers {type(answer).__name__} to a refusal of {refused}")
    if isinstance(answer, AskForAuthorization):
        world.fail(Rule.LOST, answer.cause.value)
    if not isinstance(answer, Serve):
        return None
    generation: int = answer.tokens.public_generation
    if generation == refused:
        world.fail(Rule.REFUSED_SERVED, answer.tokens.access_token)
    return generation


async def wrong_clocks(world: OwnWorld) -> None:
    """Let one instance's clock be wrong by a day or years, and be put right, again and again."""
    for instance in world.instances[1:]:
        world.loop.kill(instance)
        world.instances.remove(instance)
    (instance,) = world.instances
    for _ in range(ROUNDS):
        if world.random.random() < 1 / 3:
            wrong = world.random.choice(OFFSETS) * 86400.0
            instance.skew = 0.0 if abs(instance.skew) > SKEW.total_seconds() else wrong
            world.note(instance.name, f"sets its clock to {instance.skew:+.0f} s")
        await _start(world, instance)
        pause = world.random.choice((0.0, 11.0, 61.0, world.life.total_seconds() + 5, 14400.0))
        await asyncio.sleep(pause)
    instance.skew = 0.0
    await _recover(world)


Story = Callable[[OwnWorld], Coroutine[Any, Any, None]]
STORIES: Mapping[str, Story] = {
    "stampede": stampede,
    "danger": live_dangerously,
    "outage": outage,
    "clocks": wrong_clocks,
    "refusals": meet_refusals,
}


def run_own(kind: str, seed: int, story: str = "danger") -> Tally:
    """Run one seed of a story. Raises SimulationFailedError."""
    random = stream(f"{kind}/{seed}/{story}", "own")
    world = OwnWorld(kind=OWN_KINDS[kind], random=random, life=random.choice(LIVES))
    log = logging.getLogger("functions")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        world.loop.run(STORIES[story](world))
    except (BrokenRuleError, DeadlockError) as error:
        rule = error.rule if isinstance(error, BrokenRuleError) else None
        head = [str(error), f"replay: python -m tests.simulation.own_tokens {story} {kind} {seed}"]
        raise SimulationFailedError(rule, "\n".join([*head, *world.trace[-120:]])) from error
    finally:
        log.setLevel(level)
    return Tally(
        runs=1, steps=world.loop.steps, requests=len(world.requests), answers=world.answers
    )


if __name__ == "__main__":
    print(run_own(sys.argv[2], int(sys.argv[3]), sys.argv[1]))  # noqa: T201 - it prints

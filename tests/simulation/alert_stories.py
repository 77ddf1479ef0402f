"""The stories of the outbox: states that come and go, while channels and instances fail.

python -m tests.simulation.alert_stories STORY KIND SEED
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.alerts import AlertKind
from domain.grant import Inactive
from functions.alerts.deployment import DEPLOYMENT
from functions.refresh.keeper import PATIENCE
from ports.store import StoreUnavailableError
from tests.domain.examples import T0
from tests.simulation.alert_adoptions import adopt
from tests.simulation.alert_channels import FOR_EVER, OUTAGES, SimulatedChannel
from tests.simulation.alert_world import ALERT_KINDS, AlertWorld, ProviderMode, Subject
from tests.simulation.instance import Instance
from tests.simulation.loop import DeadlockError
from tests.simulation.promises import BrokenRuleError, Rule
from tests.simulation.run import SimulationFailedError, Tally
from tests.simulation.world import stream

HOUR = 3600.0
DAY = 24 * HOUR
MINUTE = timedelta(minutes=1)
ROUNDS = 16
# An answer takes so long at most, though channels hang: the provider answers at once. With a store
# that fails, a caller waits for the rest of its patience.
LONGEST_CALL = timedelta(seconds=5)
LONGEST_TROUBLED_CALL = PATIENCE + timedelta(seconds=200)
# How long a state lasts: less than a lease, a backoff, an hour of failures, and days.
PAUSES = (0.0, 2.0, 61.0, 400.0, 1900.0, 3700.0, 8 * HOUR, DAY)
AWAY_FOR = (600.0, 5 * HOUR, 1.5 * DAY, 2.9 * DAY, 3.2 * DAY, 5 * DAY)
SWEEPS_EVERY = (HOUR, 6 * HOUR, DAY)
MODES = (
    ProviderMode.WELL,
    ProviderMode.WELL,
    ProviderMode.AWAY,
    ProviderMode.CLIENT_REFUSED,
    ProviderMode.REFUSES,
)


async def ask(world: AlertWorld, instance: Instance, subject: Subject) -> None:
    """Let a program ask for a token, or for a refresh, and judge how long that takes."""
    began, longest = world.now(), LONGEST_TROUBLED_CALL if world.rate else LONGEST_CALL
    try:
        if world.random.random() < 1 / 3:
            answer = (await instance.keeper.refresh(subject.name)).answer
        else:
            answer = await instance.keeper.token(subject.name, min_ttl=MINUTE)
    except StoreUnavailableError:
        world.answers["StoreUnavailableError"] += 1
        return
    world.answers[type(answer).__name__] += 1
    world.note(instance.name, f"{subject.name}: answers {type(answer).__name__}")
    is_stalled = instance.stalled_until >= (began - T0).total_seconds()
    if world.now() - began > longest and not is_stalled:
        world.fail(Rule.ANSWERED, f"{world.now() - began}")


def start(world: AlertWorld, instance: Instance, subject: Subject) -> "asyncio.Task[None]":
    """Begin a program's request."""
    return instance.run(world.loop.create_task, ask(world, instance, subject))


async def crowd(world: AlertWorld, subject: Subject) -> None:
    """Let several ask at once on all instances, so that each of them meets the new state."""
    for _ in range(world.random.choice((1, 1, 3, 6))):
        start(world, await world.some_instance(), subject)
        await asyncio.sleep(world.random.choice((0.0, 0.0, 0.02, 3.0)))


async def sweep(world: AlertWorld, instance: Instance) -> None:
    """Sweep. One that nothing disturbed has noticed every state that time has begun."""
    began, troubles = world.now(), world.troubles
    try:
        report = await instance.sweep.run()
    except StoreUnavailableError:
        return
    world.note(instance.name, f"{report}")
    if report.is_complete and world.troubles == troubles and world.has_alerts:
        with world.judging():
            world.judge.swept(began, world.now())


async def sweep_every(world: AlertWorld, seconds: float) -> None:
    """Let sweeps come by, now and then two at once."""
    while True:
        await asyncio.sleep(seconds + world.random.choice((0.0, 1.0, 59.0)))
        for _ in range(world.random.choice((1, 1, 2))):
            instance = await world.some_instance()
            instance.run(world.loop.create_task, sweep(world, instance))


async def change(world: AlertWorld, subject: Subject) -> None:
    """Let something happen to a connection at its provider, or to its person or owner."""
    act = world.random.random()
    if act < 1 / 10:
        instance = await world.some_instance()
        instance.run(world.loop.create_task, revoke(world, instance, subject))
    elif act < 1 / 5:
        subject.end_logins()
    else:
        subject.mode = world.random.choice(MODES)
        world.note("world", f"{subject.name}: the provider is {subject.mode.value}")


async def revoke(world: AlertWorld, instance: Instance, subject: Subject) -> None:
    """Let the owner revoke a connection."""
    try:
        await instance.revocations.revoke(subject.name)
    except StoreUnavailableError:
        return
    world.note("owner", f"revokes {subject.name}")


async def come_and_go(world: AlertWorld) -> None:
    """Let states begin and end, and programs meet them."""
    for _ in range(ROUNDS):
        subject = world.random.choice(list(world.subjects.values()))
        await change(world, subject)
        for _ in range(world.random.choice((1, 1, 2, 4))):
            await crowd(world, subject)
            await asyncio.sleep(world.random.choice(PAUSES))
        if needs_login(world, subject) and world.random.random() < 1 / 2:
            subject.mode = ProviderMode.WELL
            await world.log_in(subject)


def needs_login(world: AlertWorld, subject: Subject) -> bool:
    """Whether a person would log in."""
    truth = world.judge.truths[subject.name]
    return AlertKind.LOGIN_NEEDED in truth.open or isinstance(truth.grant, Inactive)


async def ordinary(world: AlertWorld) -> None:
    """Let states come and go while everything else works: each alert arrives once, and soon."""
    await come_and_go(world)


async def away(world: AlertWorld) -> None:
    """Let one channel be away for hours or days, again and again, and another one all the time."""
    world.channels[1].go_away(3650 * DAY, world.random.choice(OUTAGES))

    async def outages() -> None:
        while True:
            how = world.random.choice(OUTAGES)
            world.channels[2].go_away(world.random.choice(AWAY_FOR), how)
            await asyncio.sleep(max(0.0, world.channels[2].away_until - world.loop.time()))
            await asyncio.sleep(world.random.choice((60.0, HOUR, DAY)))

    outage = world.loop.create_task(outages())
    await come_and_go(world)
    outage.cancel()


async def gone(world: AlertWorld) -> None:
    """Let one channel be gone for good."""
    world.channels[1].is_gone = True
    await come_and_go(world)


async def adopt_now_and_then(world: AlertWorld) -> None:
    """Let somebody send tokens of other programs, while states come and go."""

    async def send_tokens() -> None:
        while True:
            await asyncio.sleep(world.random.choice(PAUSES))
            subject = world.random.choice(list(world.subjects.values()))
            instance = await world.some_instance()
            instance.run(world.loop.create_task, adopt(world, instance, subject))

    sending = world.loop.create_task(send_tokens())
    await come_and_go(world)
    sending.cancel()


async def live_dangerously(world: AlertWorld) -> None:
    """Let states come and go amid crashes, stalls, lost answers and failures of the store."""
    world.rate = world.random.choice((0.01, 0.05, 0.2))
    for channel in world.channels:
        channel.rate = world.random.choice((0.0, 0.2, 0.6))
    await world.random.choice((come_and_go, adopt_now_and_then))(world)


async def lose_records(world: AlertWorld) -> None:
    """Let the store go back to earlier records, which an instance notices."""
    for _ in range(ROUNDS):
        subject = world.random.choice(list(world.subjects.values()))
        await change(world, subject)
        await crowd(world, subject)
        await asyncio.sleep(world.random.choice(PAUSES))
        if needs_login(world, subject) and world.random.random() < 1 / 2:
            subject.mode = ProviderMode.WELL
            await world.log_in(subject)
        # Until nothing is under way: an instance that remembers less would put back less.
        await asyncio.sleep(400)
        if (instance := world.store.lose(subject.name)) is not None:
            world.judge.lost.add(subject.name)
            await asyncio.wait([start(world, instance, subject)])


async def idle(world: AlertWorld) -> None:
    """Let nobody ask: time alone changes the states, and a daily sweep finds them."""
    for _ in range(world.random.choice((10, 25, 40))):
        await asyncio.sleep(DAY)
        for subject in world.subjects.values():
            if needs_login(world, subject) and world.random.random() < 1 / 3:
                await world.log_in(subject)


async def miss_sweeps(world: AlertWorld) -> None:
    """Let the scheduler of sweeps fail for hours or days, while programs ask."""
    for _ in range(ROUNDS // 2):
        if world.random.random() < 1 / 2:
            world.channels[2].go_away(world.random.choice(AWAY_FOR), world.random.choice(OUTAGES))
        for _ in range(world.random.choice((1, 2, 4, 9))):
            await asyncio.sleep(world.random.choice((1900.0, 3 * HOUR, 8 * HOUR, 14 * HOUR)))
            for subject in world.subjects.values():
                if needs_login(world, subject):
                    await world.log_in(subject)
                await crowd(world, subject)
        if world.random.random() < 3 / 4:
            instance = await world.some_instance()
            await instance.run(world.loop.create_task, sweep(world, instance))


async def switch_on(world: AlertWorld) -> None:
    """Let states begin without alerts, and then nobody ask: the first sweeps find each."""
    for _ in range(world.random.choice((1, 2, 4))):
        for subject in world.subjects.values():
            await change(world, subject)
            await crowd(world, subject)
        await asyncio.sleep(world.random.choice((*PAUSES, 5 * DAY, 8 * DAY)))
    await asyncio.sleep(400)
    world.switch_on()
    await asyncio.sleep(world.random.choice((2, 5, 12)) * DAY)


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story, and whether only its channels fail.

    `is_swept`: whether a scheduler requests sweeps. `has_alerts`: whether there are channels from
    the beginning.
    """

    live: Callable[[AlertWorld], Coroutine[Any, Any, None]]
    is_prompt: bool = True
    is_swept: bool = True
    has_alerts: bool = True


STORIES: Mapping[str, Story] = {
    "ordinary": Story(live=ordinary),
    "away": Story(live=away),
    "gone": Story(live=gone),
    "idle": Story(live=idle),
    "lost": Story(live=lose_records),
    "unswept": Story(live=miss_sweeps, is_swept=False),
    "switched-on": Story(live=switch_on, has_alerts=False),
    "adopted": Story(live=adopt_now_and_then),
    "danger": Story(live=live_dangerously, is_prompt=False),
}


async def live(world: AlertWorld, story: Story, seconds: float) -> None:
    """Live through a story, then judge what became of every alert."""
    for subject in world.subjects.values():
        await world.log_in(subject)
    sweeps = world.loop.create_task(sweep_every(world, seconds if story.is_swept else FOR_EVER))
    await story.live(world)
    sweeps.cancel()
    await heal(world)


async def heal(world: AlertWorld) -> None:
    """End all faults, and let sweeps come by until every alert has had its turn."""
    world.note("world", "the faults are over")
    world.rate = 0.0
    await asyncio.sleep(400)
    for channel in world.channels:
        channel.away_until, channel.rate = min(channel.away_until, world.loop.time()), 0.0
    for subject in world.subjects.values():
        subject.mode = ProviderMode.WELL
        await world.recover(subject)
    for _ in range(10):
        instance = await world.some_instance()
        await instance.run(world.loop.create_task, sweep(world, instance))
        await asyncio.sleep(3 * HOUR)
    with world.judging():
        names = world.subjects
        world.judge.settled({name: world.store._current(name) for name in (*names, DEPLOYMENT)})


def run_alerts(kind: str, seed: int, story: str = "danger") -> Tally:
    """Run one seed of a story. Raises SimulationFailedError."""
    random = stream(f"{kind}/{seed}/{story}", "alerts")
    told = STORIES[story]
    world = AlertWorld(
        kind=ALERT_KINDS[kind],
        random=random,
        connection_count=random.choice((1, 2)),
        is_prompt=told.is_prompt,
        has_alerts=told.has_alerts,
    )
    world.begin(
        SimulatedChannel(world=world, name="pager", kinds=frozenset(PAGED)),
        SimulatedChannel(world=world, name="chat"),
        SimulatedChannel(world=world, name="mail"),
        SimulatedChannel(world=world, name="hook"),
    )
    log = logging.getLogger("functions")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        every = DAY if story == "idle" else random.choice(SWEEPS_EVERY)
        world.loop.run(live(world, told, every))
    except (BrokenRuleError, DeadlockError) as error:
        rule = error.rule if isinstance(error, BrokenRuleError) else None
        replay = f"replay: python -m tests.simulation.alert_stories {story} {kind} {seed}"
        raise SimulationFailedError(
            rule, "\n".join([str(error), replay, *world.trace[-120:]])
        ) from error
    finally:
        log.setLevel(level)
    return Tally(
        runs=1,
        steps=world.loop.steps,
        logins=sum(subject.logins for subject in world.subjects.values()),
        answers=world.answers,
        alerts=world.judge.counts,
    )


PAGED = (AlertKind.LOGIN_NEEDED, AlertKind.RECOVERED)

if __name__ == "__main__":
    print(run_alerts(sys.argv[2], int(sys.argv[3]), sys.argv[1]))  # noqa: T201 - it prints

"""The stories: the acts of programs, sweeps and persons in a run."""

from datetime import timedelta
from itertools import count

from domain.commands import Serve
from tests.domain.examples import T0
from tests.simulation.adopting_connection import AdoptingConnection
from tests.simulation.connection import Connection
from tests.simulation.faults import Faults
from tests.simulation.promises import LEASE, BrokenRuleError, Rule
from tests.simulation.world import World

ROUNDS = 14
# On either side of every margin of the rules: around an expiry, and around the end of each other
# wait (an attempt, a backoff, a sleeping instance).
AROUND_ENDS = (-301.0, -299.0, -61.0, -60.0, -59.0, -2.0, 0.0, 1.0)
AROUND_OTHERS = (-38.0, -2.0, -1.0, 0.0, 0.0, 1.0, 15.0)
# In a short grace window, when its lease runs out, and when its sender wakes up.
AFTER_AN_ATTEMPT = (
    2.0,
    19.6,
    20.0,
    20.4,
    31.0,
    60.0,
    61.5,
    62.5,
    64.5,
    64.9,
    66.0,
    129.5,
    129.9,
    131.0,
)
MIN_TTLS = (0, 59, 60, 61, 10_000)
SOON = timedelta(hours=3).total_seconds()
DAY = timedelta(days=1).total_seconds()
# How much later than yesterday a sweep may come, and how long it may take.
LATENESS = (0.0, 1.0, 59.0)
SWEEP_TIME = 600.0


async def live_dangerously(world: World) -> None:
    """Let programs ask around every instant that matters, alone and in crowds, amid sweeps."""
    random = world.random
    for _ in range(ROUNDS):
        connection = random.choice(list(world.connections.values()))
        await world.sleep_until(next_instant(world, connection))
        if random.random() < 1 / 3:
            await sweep_on_some(world)
        await crowd(world, connection)
        await world.sleep(random.choice((0.0, 0.2, 10.0, 40.0)))
        for each in world.connections.values():
            if each.is_missed() and random.random() < 1 / 2:
                await each.log_in()
            if each.rescue_lines and random.random() < 1 / 2:
                await each.recover()


async def crowd(world: World, connection: Connection) -> None:
    """Let up to six ask for the same thing, most of them of the same connection; or nobody."""
    random = world.random
    spread = random.choice((0.0, 0.05, 5.0))
    wants_new = random.random() < 1 / 5
    min_ttl = timedelta(seconds=random.choice(MIN_TTLS))
    for _ in range(random.choice((0, 1, 2, 6))):
        asked = random.choice((connection, connection, *world.connections.values()))
        instance = await world.some_instance()
        if wants_new:
            asked.request_refresh(instance)
        else:
            asked.ask(instance, min_ttl)
        await world.sleep(spread * random.random())


async def sweep_on_some(world: World) -> None:
    """Begin sweeps on one instance, or on two at once."""
    for _ in range(world.random.choice((1, 2))):
        world.begin_sweep(await world.some_instance())


def next_instant(world: World, connection: Connection) -> float:
    """Find an instant at or around the next one that matters to the grant, or a later one.

    Now and then that is days away, when the sweep has something to do; and an instance that wakes
    up matters to everybody.
    """
    random, now = world.random, world.loop.time()
    ends = connection.ends(world.now())
    if random.random() < 1 / 40:
        return now + (max(ends, default=now) - now) * random.choice((0.5, 0.7, 1))
    wakings = [other.stalled_until for other in world.instances]
    others = [*connection.waits(world.now()), *wakings]
    near: list[tuple[float, tuple[float, ...]]] = [(end, AROUND_ENDS) for end in ends]
    near += [(instant, AROUND_OTHERS) for instant in others]
    coming = sorted((at, around) for at, around in near if now < at < now + SOON)
    if not coming:
        return now
    instant, around = random.choice((coming[0], coming[0], coming[-1], random.choice(coming)))
    return instant + random.choice(around)


async def live_in_doubt(world: World) -> None:
    """Let a few ask while attempts are in flight, when leases end, and when sleepers wake up."""
    random = world.random
    for _ in range(ROUNDS):
        connection = random.choice(list(world.connections.values()))
        await world.sleep_until(_instant_of_doubt(world, connection))
        for _ in range(random.choice((1, 1, 3))):
            instance = await world.some_instance()
            match random.randrange(4):
                case 0:
                    world.begin_sweep(instance)
                case 1:
                    connection.request_refresh(instance)
                case _:
                    connection.ask(instance, timedelta(seconds=random.choice((0, 60))))
            await world.sleep(random.choice((0.0, 0.02, 2.0)))
        if connection.is_missed() and random.random() < 1 / 3:
            await connection.log_in()


def _instant_of_doubt(world: World, connection: Connection) -> float:
    """Find an instant after the last attempt if all is not well, else one towards the end."""
    random, now = world.random, world.loop.time()
    started = connection.unsettled_since()
    if started is not None:
        return started + random.choice(AFTER_AN_ATTEMPT)
    ends = [end for end in connection.ends(world.now()) if end < now + SOON]
    return min(ends, default=now) + random.choice((-601.0, -299.0, -59.0, -1.0, 1.0))


async def meet_refusals(world: World) -> None:
    """Let programs use their tokens at an API that refuses each, or at times only some."""
    random = world.random
    for _ in range(ROUNDS):
        connection = random.choice(list(world.connections.values()))
        if random.random() < 1 / 3:
            await world.sleep_until(next_instant(world, connection))
        crowd = random.choice((1, 1, 2, 3))
        patience = random.choice((0, 1, 5, 20))
        min_ttl = timedelta(seconds=random.choice((0, 60)))
        for _ in range(crowd):
            _try_until_accepted(world, connection, min_ttl, patience)
            await world.sleep(random.choice((0.0, 0.02, 3.0)))
        await world.sleep(random.choice((0.2, 9.0, 11.0, 40.0, 301.0, 700.0)))
        if connection.is_missed() and random.random() < 1 / 2:
            await connection.log_in()


def _try_until_accepted(
    world: World, connection: Connection, min_ttl: timedelta, patience: int
) -> None:
    """Begin a program whose tokens are refused so many times; it asks again every ten seconds."""

    async def work() -> None:
        answer = await connection.ask(await world.some_instance(), min_ttl)
        had = answer.tokens if isinstance(answer, Serve) else None
        for _ in range(patience if had else 0):
            assert had is not None
            answer = await connection.be_refused(await world.some_instance(), had, min_ttl)
            if isinstance(answer, Serve):
                had = answer.tokens
            else:
                await world.sleep(10.0)

    world.loop.create_task(work(), context=world.loop.world_context)


async def revoke_and_return(world: World) -> None:
    """Let programs ask before, while and after the owner revokes, who then logs in again."""
    random = world.random
    for _ in range(ROUNDS):
        connection = random.choice(list(world.connections.values()))
        await world.sleep_until(next_instant(world, connection))
        await crowd(world, connection)
        await world.sleep(random.choice((0.0, 0.02, 0.2, 5.0)))
        if random.random() < 1 / 2:
            await connection.revoke()
            await crowd(world, connection)
            await connection.recover()
            # Whose clock is behind would take a login of now for one of before.
            await world.sleep(random.choice((6.0, 70.0)))
        if connection.is_missed() or connection.history.revoked_at:
            await connection.log_in()


async def lie_idle(world: World) -> None:
    """Only sweep, once a day, for longer than the lifetime of a refresh token."""
    dangers = world.faults
    days = world.refresh_life.total_seconds() / DAY + 3
    for day in count(1):
        await world.sleep_until(day * DAY + world.random.choice(LATENESS))
        await _sweep_in_turn(world, dangers)
        for connection in world.connections.values():
            if connection.is_missed():
                await connection.log_in()
        if day > days:
            return


async def _sweep_in_turn(world: World, dangers: Faults) -> None:
    """Sweep, amid faults if another sweep comes before a grant would die; then none may die."""
    next_sweep = world.loop.time() + DAY + 2 * SWEEP_TIME
    if _ends_before(world, next_sweep) or world.random.random() < 1 / 3:
        world.end_faults()
        await world.sleep(SWEEP_TIME)
        await _recover(world)
        await world.begin_sweep(await world.some_instance())
        # A refresh that a sweep started and counted as skipped still runs.
        await world.sleep(LEASE.total_seconds())
        for name in () if world.is_spoilt else _ends_before(world, next_sweep):
            raise BrokenRuleError(Rule.DIED_IDLE, f"{name}, day {world.loop.time() / DAY:.2f}")
        return
    world.begin_faults(dangers)
    for _ in range(world.random.choice((1, 1, 2))):
        world.begin_sweep(await world.some_instance())
    await world.sleep(SWEEP_TIME)
    await _recover(world)


async def _recover(world: World) -> None:
    """Let the operator replay what no store has taken, and what it has not taken again."""
    for connection in world.connections.values():
        await connection.recover()


def _ends_before(world: World, instant: float) -> list[str]:
    """Return the connections that are valid now and will have expired by then."""
    return [
        connection.name
        for connection in world.connections.values()
        if connection.is_dying(T0 + timedelta(seconds=instant))
    ]


async def adopt_from_others(world: World) -> None:
    """Let somebody send refresh tokens of other programs amid programs, sweeps and logins.

    In some runs the other program goes on using its copy, and in some nobody logs in.
    """
    random = world.random
    is_careless, is_away = random.random() < 1 / 5, random.random() < 1 / 2
    for _ in range(ROUNDS):
        connection = random.choice(list(world.connections.values()))
        assert isinstance(connection, AdoptingConnection)
        await world.sleep_until(next_instant(world, connection))
        if random.random() < 1 / 4:
            await sweep_on_some(world)
        for _ in range(random.choice((0, 1, 1, 2))):
            connection.send_tokens(await world.some_instance())
            await world.sleep(random.choice((0.0, 0.02, 0.2)))
        await crowd(world, connection)
        await world.sleep(random.choice((0.0, 0.2, 10.0, 65.0)))
        if is_careless and connection.sent and random.random() < 1 / 4:
            connection.use_elsewhere()
        if connection.is_missed() and not is_away and random.random() < 1 / 2:
            await connection.log_in()
        if connection.rescue_lines and random.random() < 1 / 2:
            await connection.recover()

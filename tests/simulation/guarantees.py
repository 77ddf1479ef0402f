"""Write `docs/guarantees.md`: every fault alone against every kind of provider, and all at once.

python -m tests.simulation.guarantees > docs/guarantees.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from domain.provider import RotationKind
from tests.simulation.exchanges import Loss
from tests.simulation.faults import Blow, Fault, NetworkFault, OneFault, Point, Quiet, StoreFault
from tests.simulation.promises import LEASE
from tests.simulation.provider import KINDS, ProviderKind
from tests.simulation.run import Story, Tally, run_story
from tests.simulation.stories import lie_idle
from tests.simulation.world import LONG_REFRESH_LIFE, World, stream

RUNS = 8
# What can cost a login is run until it does: how many runs that takes is not told.
MOST_RUNS = 60
ACCESS_LIFE = timedelta(minutes=10)
LIVES = 3
KEPT = "kept"
# Only stalls that outlast a lease are worth a row.
LONG_STALLS = (65.0, 130.0, 400.0)

Cells: TypeAlias = Mapping[tuple[str, str], str]
"""The text of each cell, by the name of its row and the kind of provider."""

HEADINGS: Mapping[str, str] = {
    "no-rotation": "no rotation",
    "no-rotation-refuses-early": "no rotation, refuses a refresh until the access token ends",
    "no-rotation-refuses-for-minutes": "no rotation, refuses now and then for 4 min",
    "no-rotation-ends-access": "no rotation, a refresh ends the old access token",
    "optional": "may rotate",
    "grace-repeats": "rotates, repeats the pair for 10 min",
    "short-repeats": "rotates, repeats the pair for 30 s",
    "overlap": "rotates, overlaps for 3 min, else revokes",
    "no-grace": "rotates",
    "ends-access": "rotates, a refresh ends the old access token",
    "reuse-revokes": "rotates, reuse revokes all",
}


IDLE_REFRESH_LIFE = timedelta(days=7)


async def live_on(world: World) -> None:
    """Let programs ask all the time."""
    end = world.loop.time() + LIVES * ACCESS_LIFE.total_seconds()
    while world.loop.time() < end:
        await _ask(world)
        await world.sleep(world.random.choice((1.0, 60.0, 90.0)))
        for connection in world.connections.values():
            if connection.login_wanted:
                await connection.log_in()


async def fall_silent(world: World) -> None:
    """Let programs ask until something has gone wrong, and then not for an hour."""
    end = world.loop.time() + LIVES * ACCESS_LIFE.total_seconds()
    while world.loop.time() < end and not world.injected:
        await _ask(world)
        await world.sleep(world.random.choice((1.0, 60.0, 90.0)))
    await world.sleep(timedelta(hours=1).total_seconds())


async def forget(world: World) -> None:
    """Let nobody ask, and nothing sweep, for longer than the refresh token lives."""
    await world.sleep(world.refresh_life.total_seconds() + 1)


async def _ask(world: World) -> None:
    """Ask every instance: what one of them cannot do is for the others to do."""
    for connection in world.connections.values():
        for instance in world.instances:
            connection.ask(instance, timedelta(seconds=60))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, where it strikes, and what programs do meanwhile."""

    name: str
    fault: Fault | None
    point: Point | None = None
    story: Story = live_on
    refresh_life: timedelta = LONG_REFRESH_LIFE

    def run(self, kind: str, seed: int) -> Tally:
        """Run one seed. Raises SimulationFailedError."""
        name = f"{self.name}/{kind}/{seed}"
        skip = stream(name, "faults").randrange(3)
        world = World(
            kind=KINDS[kind],
            seed=name,
            faults=OneFault(fault=self.fault, point=self.point, skip=skip)
            if self.fault
            else Quiet(),
            access_life=ACCESS_LIFE,
            refresh_life=self.refresh_life,
            stalls=LONG_STALLS,
        )
        replay = f"row {self.name!r} of tests.simulation.guarantees, {kind}, seed {seed}"
        return run_story(world, self.story, replay=replay)

    def may_cost_a_login(self, kind: ProviderKind) -> bool:
        """Whether no client could keep the grant."""
        rules = kind.rules
        if self.story is forget:
            return True
        if self.fault in {StoreFault.DAMAGED, StoreFault.GONE}:
            return rules.rotation is not RotationKind.NONE
        if self.story is lie_idle:
            # A refresh token that is not replaced dies of its age, however often it is used.
            return rules.rotation is not RotationKind.ALWAYS
        if rules.rotation is RotationKind.NONE or self not in COSTLY:
            return False
        if self.fault is StoreFault.OUTAGE:
            # Others try again when the lease has run out; only where that ends everything is
            # the answer lost that the first instance still has.
            return rules.revokes and not rules.grace
        is_over = rules.grace < LEASE or self.fault is NetworkFault.LANDS_AFTER_LEASE
        return is_over or self.story is fall_silent


ROWS = (
    *(Row(name=fault.value, fault=fault) for fault in NetworkFault),
    Row(
        name="answer lost, and nobody asks for an hour",
        fault=NetworkFault.ANSWER_LOST,
        story=fall_silent,
    ),
    *(Row(name=fault.value, fault=fault) for fault in StoreFault if fault is not StoreFault.OUTAGE),
    *(
        Row(name=f"{fault.value} when {point.value}", fault=fault, point=point)
        for fault in (StoreFault.OUTAGE, Blow.CRASH, Blow.STALL, Blow.CLOCK_STEP)
        for point in Point
    ),
    Row(
        name="nobody asks for weeks, a sweep every day, refresh token lives for 7 days",
        fault=None,
        story=lie_idle,
        refresh_life=IDLE_REFRESH_LIFE,
    ),
    Row(
        name="nobody asks and nothing sweeps until the refresh token has expired",
        fault=None,
        story=forget,
        refresh_life=IDLE_REFRESH_LIFE,
    ),
)
# What can cost a login where a refresh token is spent by its use: what strikes after the request
# has landed, and before its answer is stored.
COSTLY = frozenset(
    row
    for row in ROWS
    if row.fault
    in {
        NetworkFault.ANSWER_LOST,
        NetworkFault.CUT,
        NetworkFault.LANDS_LATE,
        NetworkFault.LANDS_AFTER_LEASE,
    }
    or (row.fault in {Blow.CRASH, Blow.STALL} and row.point in {Point.SENT, Point.ANSWERED})
    or (row.fault is StoreFault.OUTAGE and row.point is not Point.WRITTEN)
)


def measure(row: Row, kind: str, *, part: float = 1) -> Tally:
    """Run this part of a cell's seeds. Raises SimulationFailedError."""
    tally = Tally()
    most = MOST_RUNS if row.may_cost_a_login(KINDS[kind]) else RUNS
    for seed in range(round(part * most)):
        tally.add(row.run(kind, seed))
        if tally.losses:
            break
    return tally


def page(cells: Cells) -> str:
    """Write the page with these cells."""
    return "\n".join([*_head(), *_table(cells), *_losses(), *_chaos()])


def read_cells(text: str) -> Cells:
    """Read the cells of a page."""
    _rule, *lines = text[text.index("| fault |") :].partition("\n\n")[0].splitlines()[1:]
    rows = [[part.strip() for part in line.strip("|").split(" | ")] for line in lines]
    return {
        (name, kind): value
        for name, *values in rows
        for kind, value in zip(HEADINGS, values, strict=True)
    }


def _head() -> Iterator[str]:
    yield "# What is guaranteed"
    yield ""
    yield (
        "As long as the provider honours a refresh token that the store or any living instance "
        "has, programs are given access tokens, and nobody has to log in again: across any number "
        "of instances, their crashes and stalls, an unreliable network and a store that comes and "
        "goes. A grant that nobody uses is kept by a sweep once a day. A login is asked for only "
        "where no client could have kept the grant, and then the answer says why."
    )
    yield ""
    yield (
        "This page is written by the simulation that tests it "
        "(`python -m tests.simulation.guarantees > docs/guarantees.md`): three instances whose "
        "clocks are off by up to 2 s, a store, a network and a provider, in simulated time, "
        "interleaved at every await. After every event it is checked that no promise is broken."
    )
    yield ""
    yield "## One fault at a time"
    yield ""
    yield (
        f"Each cell is {RUNS} runs, and up to {MOST_RUNS} where a login may be needed, over "
        f"{LIVES} lives of an access token and a recovery, with the fault at a random one of its "
        "first opportunities. *Kept* means that no run needed a login; else a run did, for the "
        "reason that the letter names."
    )
    yield ""


def _table(cells: Cells) -> Iterator[str]:
    yield "| fault | " + " | ".join(HEADINGS.values()) + " |"
    yield "|---" * (len(HEADINGS) + 1) + "|"
    for row in ROWS:
        yield f"| {row.name} | " + " | ".join(cells[row.name, kind] for kind in HEADINGS) + " |"
    yield ""


def cell(tally: Tally) -> str:
    """Return the text of a cell."""
    letters = [LETTERS[loss] for loss in Loss if loss in tally.losses]
    return f"login: {', '.join(letters)}" if letters else KEPT


LETTERS = {loss: chr(ord("a") + number) for number, loss in enumerate(Loss)}
REASONS: Mapping[Loss, str] = {
    Loss.ANSWER_LOST: (
        "The provider has replaced the refresh token, and its replacement was in an answer that "
        "nobody received. A grace window helps, if the loss is noticed and somebody asks within it."
    ),
    Loss.CAME_TOO_LATE: (
        "The same: the answer came when the connection it belonged to was closed."
    ),
    Loss.CRASH_BEFORE_ANSWER: (
        "The same: the connection died with the instance, and the answer with the connection."
    ),
    Loss.CRASH_BEFORE_WRITE: (
        "The replacement was in the memory of one process, which ended between receiving it and "
        "handing it to the store. The time between is one write."
    ),
    Loss.STALL: (
        "An instance froze with the answer before it, or before it could be sent one, for longer "
        "than a request can be in flight. To the others it is dead, and they try once more what it "
        "had tried: where reuse revokes everything, that ends the grant; elsewhere it is kept if "
        "the instance comes back with the answer."
    ),
    Loss.STORE_AWAY: (
        "The store did not take the answer, however often it was asked, until others had to try "
        "again what had been tried, and the provider took that for theft. Elsewhere the tokens "
        "are written when the store is back, or brought back from the rescue line in the log."
    ),
    Loss.LANDED_AFTER_LEASE: (
        "A request arrived at the provider more than a minute after it was sent, by a sender that "
        "was long gone; by then it had to be taken for lost. Nobody can wait for ever."
    ),
    Loss.EXPIRED: (
        "Nobody used it in time. Where refreshing brings a new one, a daily sweep prevents that; "
        "where the provider never replaces it, its age is the provider's last word."
    ),
    Loss.DAMAGED: (
        "An instance puts back what it remembers of it: the newest that it has seen, of the last "
        "thousand connections, for as long as it lives. A login is needed where no instance that "
        "lives has seen it, or where the refresh token was replaced since by one that does not "
        "live any more. While merely a key is missing, programs are told so, nothing is "
        "overwritten, and when the key is back all goes on."
    ),
}


def _losses() -> Iterator[str]:
    yield "## Where loss is unavoidable, and why"
    yield ""
    yield (
        "Nearly all of it takes a provider that replaces the refresh token when it is used and "
        "does not honour the old one afterwards. Then there is an instant at which the only living "
        "refresh token exists in one place, and what happens to that place happens to the grant."
    )
    yield ""
    for loss in Loss:
        yield f"- **{LETTERS[loss]}**: {loss.value}. {REASONS[loss]}"
    yield ""


def _chaos() -> Iterator[str]:
    yield "## Everything at once"
    yield ""
    yield (
        "The tests make thousands of runs more, against these providers and two with shorter "
        "overlaps: many faults together at rates of up to six in ten, at any step, on several "
        "connections, while programs ask alone and in crowds, others want new tokens, and sweeps "
        "meet; attempts whose outcome is unclear, one upon the other; and idle connections whose "
        "sweeps fail, all but the last before a refresh token's end. Every grant that is lost is "
        "lost for one of the reasons above, and rules that are broken on purpose are noticed."
    )
    yield ""


assert set(HEADINGS) <= set(KINDS)

if __name__ == "__main__":
    measured = {(row.name, kind): cell(measure(row, kind)) for row in ROWS for kind in HEADINGS}
    print(page(measured), end="")  # noqa: T201 - a command prints

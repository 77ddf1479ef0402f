"""Write `docs/guarantees.md`: every fault alone against every kind of provider, and all at once.

python -m tests.simulation.guarantees > docs/guarantees.md
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from random import Random

from domain.provider import RotationKind
from tests.simulation.faults import Blow, Fault, NetworkFault, OneFault, Point, StoreFault
from tests.simulation.oracle import Loss
from tests.simulation.provider import KINDS, ProviderKind
from tests.simulation.run import Tally, run_chaos, run_story
from tests.simulation.world import World

RUNS = 8
CHAOS_RUNS = 40
ACCESS_LIFE = timedelta(minutes=10)
LIVES = 3
# Only stalls that outlast a lease are worth a row.
LONG_STALLS = (65.0, 130.0, 400.0)

HEADINGS: Mapping[str, str] = {
    "no-rotation": "no rotation",
    "no-rotation-ends-access": "no rotation, a refresh ends the old access token",
    "optional": "may rotate",
    "grace-repeats": "rotates, repeats the pair for 10 min",
    "overlap": "rotates, overlaps for 3 min, else revokes",
    "no-grace": "rotates",
    "ends-access": "rotates, a refresh ends the old access token",
    "reuse-revokes": "rotates, reuse revokes all",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, where it strikes, and whether programs go on asking."""

    name: str
    fault: Fault
    point: Point | None = None
    is_asked: bool = True

    def run(self, kind: str, seed: int) -> Tally:
        """Run one seed. Raises SimulationFailedError."""
        random = Random(f"{self.name}/{kind}/{seed}")  # noqa: S311 - a seed is the point
        faults = OneFault(fault=self.fault, point=self.point, skip=random.randrange(3))
        replay = f"row {self.name!r} of tests.simulation.guarantees, {kind}, seed {seed}"
        story = live_on if self.is_asked else fall_silent
        return run_story(
            kind, random, faults, story, ACCESS_LIFE, replay=replay, stalls=LONG_STALLS
        )

    def may_cost_a_login(self, kind: ProviderKind) -> bool:
        """Whether no client could keep the grant."""
        rules = kind.rules
        if rules.rotation is RotationKind.NONE or self not in COSTLY:
            return False
        if self.fault is StoreFault.OUTAGE:
            # Others try again when the lease has run out; only where that ends everything is
            # the answer lost that the first instance still has.
            return rules.revokes and not rules.grace
        return not rules.grace or not self.is_asked or self.fault in OUTLIVES_GRACE


ROWS = (
    *(Row(name=fault.value, fault=fault) for fault in NetworkFault),
    Row(
        name="answer lost, and nobody asks for an hour",
        fault=NetworkFault.ANSWER_LOST,
        is_asked=False,
    ),
    *(Row(name=fault.value, fault=fault) for fault in StoreFault if fault is not StoreFault.OUTAGE),
    *(
        Row(name=f"{fault.value} when {point.value}", fault=fault, point=point)
        for fault in (StoreFault.OUTAGE, Blow.CRASH, Blow.STALL, Blow.CLOCK_STEP)
        for point in Point
    ),
)
# What can cost a login where a refresh token is spent by its use: what strikes after the request
# has landed, and before its answer is stored.
COSTLY = frozenset(
    row
    for row in ROWS
    if row.fault
    in {NetworkFault.ANSWER_LOST, NetworkFault.LANDS_LATE, NetworkFault.LANDS_AFTER_LEASE}
    or (row.fault in {Blow.CRASH, Blow.STALL} and row.point in {Point.SENT, Point.ANSWERED})
    or (row.fault is StoreFault.OUTAGE and row.point is not Point.WRITTEN)
)
OUTLIVES_GRACE = frozenset({NetworkFault.LANDS_AFTER_LEASE})


async def live_on(world: World) -> None:
    """Let programs ask all the time."""
    end = world.loop.time() + LIVES * ACCESS_LIFE.total_seconds()
    while world.loop.time() < end:
        await _ask(world)
        await world.sleep(world.random.choice((1.0, 30.0, 90.0)))
        if world.login_wanted:
            await world.log_in()


async def fall_silent(world: World) -> None:
    """Let programs ask until something has gone wrong, and then not for an hour."""
    end = world.loop.time() + LIVES * ACCESS_LIFE.total_seconds()
    while world.loop.time() < end and not world.injected:
        await _ask(world)
        await world.sleep(world.random.choice((1.0, 30.0, 90.0)))
    await world.sleep(timedelta(hours=1).total_seconds())


async def _ask(world: World) -> None:
    for _ in range(world.random.choice((1, 3))):
        world.ask(await world.some_instance(), timedelta(seconds=60))


@cache
def measure(row: Row, kind: str) -> Tally:
    """Run all seeds of a cell. Raises SimulationFailedError."""
    tally = Tally()
    for seed in range(RUNS):
        tally.add(row.run(kind, seed))
    return tally


def page() -> str:
    """Run everything, and write the page. Raises SimulationFailedError."""
    cells = {(row, kind): measure(row, kind) for row in ROWS for kind in HEADINGS}
    chaos = {kind: _chaos(kind) for kind in HEADINGS}
    return "\n".join([*_head(cells), *_table(cells), *_losses(cells), *_chaos_table(chaos)])


def _chaos(kind: str) -> Tally:
    tally = Tally()
    for seed in range(CHAOS_RUNS):
        tally.add(run_chaos(kind, seed))
    return tally


def _head(cells: Mapping[tuple[Row, str], Tally]) -> Iterator[str]:
    yield "# What is guaranteed"
    yield ""
    yield (
        "As long as the provider honours a refresh token that the store or any living instance "
        "has, programs are given access tokens, and nobody has to log in again: across any number "
        "of instances, their crashes and stalls, an unreliable network and a store that comes and "
        "goes. A login is asked for only where no client could have kept the grant, and then the "
        "answer says why."
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
        f"Each cell is {RUNS} runs, {RUNS * len(cells)} in all, over {LIVES} lives of an access "
        "token and a recovery, with the fault at a random one of its first opportunities. *Kept* "
        "means that no run needed a login; a number is of the runs that did, and the letter says "
        "why. Everything else was kept."
    )
    yield ""


def _table(cells: Mapping[tuple[Row, str], Tally]) -> Iterator[str]:
    yield "| fault | " + " | ".join(HEADINGS.values()) + " |"
    yield "|---" * (len(HEADINGS) + 1) + "|"
    for row in ROWS:
        yield f"| {row.name} | " + " | ".join(_cell(cells[row, kind]) for kind in HEADINGS) + " |"
    yield ""


def _cell(tally: Tally) -> str:
    if not tally.losses:
        return "kept"
    counts = ", ".join(f"{tally.losses[loss]} {LETTERS[loss]}" for loss in _sorted(tally.losses))
    return f"login: {counts}"


def _sorted(losses: Iterable[Loss]) -> list[Loss]:
    return [loss for loss in Loss if loss in losses]


LETTERS = {loss: chr(ord("a") + number) for number, loss in enumerate(Loss)}
REASONS: Mapping[Loss, str] = {
    Loss.ANSWER_LOST: (
        "The provider has replaced the refresh token, and its replacement was in an answer that "
        "nobody received. A grace window helps, if somebody asks within it."
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
}


def _losses(cells: Mapping[tuple[Row, str], Tally]) -> Iterator[str]:
    total: Tally = Tally()
    for tally in cells.values():
        total.add(tally)
    yield "## Where loss is unavoidable, and why"
    yield ""
    yield (
        "All of it takes a provider that replaces the refresh token when it is used and does not "
        "honour the old one afterwards. Then there is an instant at which the only living refresh "
        "token exists in one place, and what happens to that place happens to the grant."
    )
    yield ""
    for loss in Loss:
        yield f"- **{LETTERS[loss]}**: {loss.value} ({total.losses[loss]} runs). {REASONS[loss]}"
    yield ""


def _chaos_table(chaos: Mapping[str, Tally]) -> Iterator[str]:
    yield "## Everything at once"
    yield ""
    yield (
        f"{CHAOS_RUNS} runs a kind of those that the tests make by the thousand: about half of all "
        "faults at rates of up to six in ten, at any step. *Alarms* are calls for a login that "
        "proved wrong when a frozen instance woke up or the store came back; nobody needed to "
        "heed them. Logins are by the letters above."
    )
    yield ""
    yield "| provider | steps | token requests | faults | tokens served | alarms | grants lost |"
    yield "|---|---|---|---|---|---|---|"
    for kind, tally in chaos.items():
        counts = ", ".join(
            f"{tally.losses[loss]} {LETTERS[loss]}" for loss in _sorted(tally.losses)
        )
        yield (
            f"| {HEADINGS[kind]} | {tally.steps} | {tally.requests} | {tally.faults.total()} "
            f"| {tally.answers['Serve']} | {tally.false_alarms} | {counts or 'none'} |"
        )
    yield ""


assert set(HEADINGS) == set(KINDS)

if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - a command prints

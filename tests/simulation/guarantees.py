"""Write `docs/guarantees.md`: every fault alone against every kind of provider, and all at once.

python -m tests.simulation.guarantees > docs/guarantees.md
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from domain.provider import RotationKind
from tests.simulation.exchanges import Loss
from tests.simulation.faults import (
    Fault,
    InstanceFault,
    NetworkFault,
    OneFault,
    Point,
    Quiet,
    StoreFault,
)
from tests.simulation.own_tokens import STORIES
from tests.simulation.promises import LEASE
from tests.simulation.provider import KINDS, ProviderKind
from tests.simulation.run import Story, Tally, run_story
from tests.simulation.stories import lie_idle
from tests.simulation.world import LONG_REFRESH_LIFE, World, stream

RUNS = 8
# A cell that can cost a login runs until it does.
MOST_RUNS = 60
ACCESS_LIFE = timedelta(minutes=10)
LIVES = 3
SILENCE = timedelta(hours=1)
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
    "until-used-repeats": "rotates, repeats the pair until it is used, for 1 h at most",
    "until-used-revokes": "rotates, overlaps until one is used, for 30 d at most, else revokes",
    "no-grace": "rotates",
    "early-declared": "rotates, known to refuse a refresh until 30 s before the access token ends",
    "login-ends": "rotates, a login ends at a fixed time",
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
    await world.sleep(SILENCE.total_seconds())


async def forget(world: World) -> None:
    """Let no program ask, and no sweep run, until the refresh token has expired."""
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
            # A refresh token that is not replaced expires, however often it is used.
            return rules.rotation is not RotationKind.ALWAYS or rules.login_lives is not None
        if rules.rotation is RotationKind.NONE or self not in COSTLY:
            return False
        if self.fault is StoreFault.OUTAGE:
            # Others try again when the lease has run out; only where that ends everything is
            # the answer lost that the first instance still has.
            return rules.revokes and not rules.grace
        is_over = rules.grace < LEASE or self.fault is NetworkFault.LANDS_AFTER_LEASE
        return is_over or (self.story is fall_silent and rules.grace <= SILENCE)


ROWS = (
    *(Row(name=fault.value, fault=fault) for fault in NetworkFault),
    Row(
        name="answer lost, and no request for an hour",
        fault=NetworkFault.ANSWER_LOST,
        story=fall_silent,
    ),
    *(Row(name=fault.value, fault=fault) for fault in StoreFault if fault is not StoreFault.OUTAGE),
    *(
        Row(name=f"{fault.value} when {point.value}", fault=fault, point=point)
        for fault in (
            StoreFault.OUTAGE,
            InstanceFault.CRASH,
            InstanceFault.STALL,
            InstanceFault.CLOCK_STEP,
        )
        for point in Point
    ),
    Row(
        name="no request for weeks, a daily sweep, refresh tokens valid for 7 days",
        fault=None,
        story=lie_idle,
        refresh_life=IDLE_REFRESH_LIFE,
    ),
    Row(
        name="no request and no sweep until the refresh token has expired",
        fault=None,
        story=forget,
        refresh_life=IDLE_REFRESH_LIFE,
    ),
)
# These can cost a login where a refresh token is spent by its use: faults after the request has
# arrived, and before its answer is stored.
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
    or (
        row.fault in {InstanceFault.CRASH, InstanceFault.STALL}
        and row.point in {Point.SENT, Point.ANSWERED}
    )
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
    return "\n".join(
        [*_head(), *_table(cells), *_losses(), *_own(), *_adoptions(), *_alerts(), *_chaos()]
    )


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
        "Programs get access tokens without a new login, as long as the provider honours a "
        "refresh token that the store or a running instance has. This holds for any number of "
        "instances, and through their crashes and stalls, an unreliable network and an unreliable "
        "store. A daily sweep keeps unused grants. A login is required only if no client could "
        "have kept the grant, and then the response gives the reason."
    )
    yield ""
    yield (
        "The simulation that tests these guarantees writes this page "
        "(`python -m tests.simulation.guarantees > docs/guarantees.md`). It simulates three "
        "instances with clock errors of up to 2 s, a store, a network and a provider. They run in "
        "simulated time, interleaved at every await. After every event it checks all promises."
    )
    yield ""
    yield "## One fault at a time"
    yield ""
    yield (
        f"Each cell is {RUNS} runs, or up to {MOST_RUNS} if a login may be needed. A run lasts for "
        f"{LIVES} access tokens and a recovery, and the fault occurs at a random one of its first "
        "opportunities. *Kept* means that no run needed a login. Otherwise the letter names the "
        "reason."
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
        "The provider replaced the refresh token, and the lost answer held the new one. A grace "
        "window helps if the loss is noticed, and a program requests a token within it. A window "
        "until the new tokens are used lasts for its whole bound: tokens are served only once they "
        "are stored, so the lost ones are never used."
    ),
    Loss.CAME_TOO_LATE: "The same: the answer arrived after its connection was closed.",
    Loss.CRASH_BEFORE_ANSWER: "The same: the crash closed the connection of the answer.",
    Loss.CRASH_BEFORE_WRITE: (
        "The new refresh token was in the memory of one process. It crashed after it received the "
        "token and before it stored it. The time between is one write."
    ),
    Loss.STALL: (
        "An instance froze before it could read the answer, for longer than a request can be in "
        "flight. The others assume a crash, and send the same refresh token again. If reuse "
        "revokes everything, that ends the grant. Elsewhere it is kept, if the instance wakes up "
        "with the answer."
    ),
    Loss.STORE_AWAY: (
        "The store refused the answer for so long that other instances had to send the same "
        "refresh token again. The provider treated that as theft. Elsewhere the tokens are "
        "written when the store is back, or restored from the rescue line in the log."
    ),
    Loss.LANDED_AFTER_LEASE: (
        "A request arrived at the provider more than a minute after it was sent, when its sender "
        "no longer listened. By then it had to count as lost: no client can wait for ever."
    ),
    Loss.EXPIRED: (
        "It was not used in time. If a refresh brings a new one, a daily sweep prevents that. If "
        "the provider never replaces it, its lifetime is final. The end of a login is final as "
        "well: the sweep does not refresh what no refresh extends, and `verify` has the date."
    ),
    Loss.DAMAGED: (
        "A running instance puts back the newest record it has read, of each of the last thousand "
        "connections. A login is needed if no running instance has read it, or if the instance "
        "that last replaced the refresh token no longer runs. If only an encryption key is "
        "missing, programs get an error, nothing is overwritten, and all works again once the key "
        "is back."
    ),
    Loss.USED_ELSEWHERE: (
        "Only of [adopted tokens](#adopted-tokens). Most providers replace a refresh token when it "
        "is used, so one of two programs loses, and many end the whole login then."
    ),
}


def _losses() -> Iterator[str]:
    yield "## Where loss is unavoidable, and why"
    yield ""
    yield (
        "Nearly all of these need a provider that replaces the refresh token with each use, and "
        "does not honour the old one afterwards. For a moment the only valid refresh token then "
        "exists in one place. If that place fails, the grant is lost."
    )
    yield ""
    for loss in Loss:
        yield f"- **{LETTERS[loss]}**: {loss.value}. {REASONS[loss]}"
    yield ""


OWN_PROMISES: Mapping[str, str] = {
    "stampede": "many callers at once, after every expiry | one request for each token",
    "danger": (
        "lost and late answers, errors, crashes, stalls, a store that fails, revocations, all at "
        "once | one request in flight, waits that double after failures, no token from before a "
        "revocation, and a token once the faults are over"
    ),
    "outage": (
        "provider away for three hours | a request every few minutes, and a token at the latest "
        "five minutes after"
    ),
    "clocks": "clock wrong by a day or by years, and corrected | no token that has expired",
    "refusals": (
        "an API that refuses every token | another token for each program that names its own as "
        "refused, six at most in ten minutes, and then one every five minutes"
    ),
}


def _own() -> Iterator[str]:
    yield "## Client credentials"
    yield ""
    yield (
        "[Client credentials](client-credentials.md) need no login, and a lost answer costs one "
        "more request. Another simulation tests that against three providers: one that ends the "
        "old token with a new one, one that returns the same token again, and a plain one. No "
        "answer asks for a login, and no token is served after its end."
    )
    yield ""
    yield "| story | what holds |"
    yield "|---|---|"
    for promise in OWN_PROMISES.values():
        yield f"| {promise} |"
    yield ""


# Of `run_adoptions`, and of `tests/system/test_adopt_kill.py`.
_ADOPTIONS = (
    (
        "instance stops before the refresh, provider away, or answer late | a later request or "
        "sweep proves the tokens"
    ),
    (
        "answer lost | a connection that worked keeps its earlier grant. Any other may need a "
        "login, for the reasons above"
    ),
    "tokens refused | the earlier grant is as it was",
    "the same tokens sent again after the proof | they are not used a second time",
    "tokens sent for a connection that works, without `replace` | its grant stays",
    (
        "tokens of another account, without `replace` | the earlier grant stays, also if only the "
        "refresh names the account"
    ),
    "the other program uses its copy | the provider decides which of the two keeps the login",
)


def _adoptions() -> Iterator[str]:
    yield "## Adopted tokens"
    yield ""
    yield (
        "[Adopted tokens](adopt.md) are stored before they are used, and the earlier grant stays "
        "until a refresh has proven them. The simulation sends refresh tokens of other programs, "
        "with and without `replace`, of the same account and of others, and again after errors. "
        "Programs, sweeps and logins go on meanwhile, all faults of this page included. Another "
        "test kills a worker at random moments."
    )
    yield ""
    yield "| story | what holds |"
    yield "|---|---|"
    for promise in _ADOPTIONS:
        yield f"| {promise} |"
    yield ""


# Of `tests.simulation.alert_stories`.
_ALERTS = (
    (
        "a state begins or ends | "
        "its alert is stored in the same write: one for each change, however many instances see "
        "it. A request in flight, another failure and a revocation are not recoveries"
    ),
    "a state that time alone begins, and nobody asks | the next sweep finds it",
    (
        "a channel refuses or hangs for days | "
        "the others get each alert at once, and callers their answers. The channel gets what it "
        "lacks in order, or the history has what was given up after three days"
    ),
    "a channel is gone for good | an instance asks it once",
    (
        "crashes, stalls, lost answers and a store that fails | "
        "each alert arrives, with the same id. It is repeated only if its sender cannot know or "
        "store that it arrived"
    ),
    (
        "a record goes back to an earlier one, or is lost | "
        "one alert reports that an instance has put it back"
    ),
)


def _alerts() -> Iterator[str]:
    yield "## Alerts"
    yield ""
    yield (
        "Another simulation has connections whose providers are away, refuse the client or refuse "
        "a refresh token, and logins that end. Four channels fail in their own ways. A judge "
        "derives from the stored grants which alerts must be sent. It stops at one that is "
        "missing, made up, out of order, changed or sent again without need."
    )
    yield ""
    yield "| story | what holds |"
    yield "|---|---|"
    for promise in _ALERTS:
        yield f"| {promise} |"
    yield ""


def _chaos() -> Iterator[str]:
    yield "## Everything at once"
    yield ""
    yield (
        "The tests make thousands of further runs, against these providers and three with shorter "
        "windows:"
    )
    yield ""
    yield (
        "- many faults together, at rates of up to six in ten, at any step and on several "
        "connections, with single and concurrent requests, refreshes and overlapping sweeps;"
    )
    yield "- several attempts with unknown outcomes in a row;"
    yield "- unused connections whose sweeps fail, all but the last before the expiry;"
    yield (
        "- sweeps that [leave connections](operating.md#many-connections), because their provider "
        "is away for days, or fails some accounts for good. A later sweep refreshes each in time."
    )
    yield ""
    yield (
        "The store of most runs is a model in memory. Others run the adapters of DynamoDB, Redis "
        "and Postgres. Real servers of Redis and Postgres run their scripts and statements."
    )
    yield ""
    yield (
        "Every lost grant is lost for one of the reasons above. Rules that are broken on purpose "
        "are detected."
    )
    yield ""


assert set(HEADINGS) <= set(KINDS)
assert set(OWN_PROMISES) == set(STORIES)

if __name__ == "__main__":
    measured = {(row.name, kind): cell(measure(row, kind)) for row in ROWS for kind in HEADINGS}
    print(page(measured), end="")  # noqa: T201 - a command prints

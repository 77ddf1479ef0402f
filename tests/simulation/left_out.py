"""Sweeps that leave connections: one client's provider is away, or fails some accounts for good."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from domain.grant import Authorized
from tests.domain.examples import T0
from tests.simulation.faults import NetworkFault, Quiet
from tests.simulation.promises import LEASE, MOST_ASKED_WHILE_AWAY, BrokenRuleError, Rule
from tests.simulation.simulated_server import SimulatedServer

if TYPE_CHECKING:
    from tests.simulation.world import World

# More than a sweep asks before it leaves the rest, twice: those that fail for good, and others.
FRAIL = tuple(f"frail:{number:02}" for number in range(24))
WELL = tuple(f"well:{number}" for number in range(4))
LEFT_NAMES = (*FRAIL[:14], *WELL, *FRAIL[14:])
REFRESH_LIFE = timedelta(days=15)
# A sweep refreshes an unused grant in the last third of that. A day after the last one is too late.
FIRST_DAY, LAST_DAY = 11, 14
BACK_ON = (FIRST_DAY + 1, FIRST_DAY + 2)
_DAY = timedelta(days=1)
_WAYS = (
    NetworkFault.UNAVAILABLE,
    NetworkFault.TOO_MANY,
    NetworkFault.NOT_SENT,
    NetworkFault.REQUEST_LOST,
)


class Absence(Quiet):
    """A provider that is away answers no request, in one way a run."""

    def __init__(self, random: Random) -> None:
        self._way = random.choice(_WAYS)

    def on_request(self) -> NetworkFault | None:
        """Answer none."""
        return self._way


class FrailServer(SimulatedServer):
    """Faults concern one client only. Some accounts of it get an error for good."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.slowest = 1.0
        self.broken: AbstractSet[str] = frozenset()

    def _fault(self, connection: str) -> NetworkFault | None:
        if connection in self.broken:
            return NetworkFault.SERVER_ERROR
        return super()._fault(connection) if connection in FRAIL else None


def client_of(connection: str) -> str:
    """Name the client of a connection."""
    return connection.partition(":")[0]


async def be_left(world: "World") -> None:
    """Sweep every day: amid an absence at first, and then amid errors for some accounts."""
    server = world.server
    assert isinstance(server, FrailServer)
    absence = world.faults
    back_on = world.random.choice(BACK_ON)
    server.broken = frozenset(FRAIL[: world.random.choice((0, 0, 10, 14))])
    for day in range(FIRST_DAY, LAST_DAY + 1):
        is_away = day < back_on
        world.begin_faults(absence if is_away else Quiet())
        await world.sleep_until(day * _DAY.total_seconds())
        await _sweep(world, is_away=is_away)
    # The next sweep would be too late.
    for name in _ending(world, (*FRAIL, *WELL)) - server.broken:
        raise BrokenRuleError(Rule.DIED_IDLE, name)
    server.broken = frozenset()


async def _sweep(world: "World", *, is_away: bool) -> None:
    failed = {name for name in FRAIL if _has_failed(world, name)}
    before = {name: _requests(world, name) for name in FRAIL}
    await world.begin_sweep(await world.some_instance())
    # A refresh that the sweep counted as skipped still runs.
    await world.sleep(LEASE.total_seconds())
    for name in _ending(world, WELL):
        raise BrokenRuleError(Rule.STARVED, name)
    # A repeated failure says nothing new about the provider.
    asked = {name for name in FRAIL if _requests(world, name) > before[name]} - failed
    if is_away and len(asked) > MOST_ASKED_WHILE_AWAY:
        raise BrokenRuleError(Rule.ASKED_WHILE_AWAY, f"{len(asked)} of them")


def _ending(world: "World", names: Iterable[str]) -> set[str]:
    """Return those that no sweep has refreshed: they end with the tokens of the login."""
    end = T0 + REFRESH_LIFE + _DAY
    return {name for name in names if world.connections[name].is_dying(end)}


def _requests(world: "World", name: str) -> int:
    return len(world.connections[name].history.exchanges)


def _has_failed(world: "World", name: str) -> bool:
    grant = world.connections[name].record
    return isinstance(grant, Authorized) and grant.failure_state is not None

"""`make load`: requests a second, waits and memory, with one server process and with four.

For each store, all connections have a login. Callers ask for the tokens of random connections, each
again as soon as it has its answer. Tokens expire meanwhile, and are refreshed at a provider that
takes its time and ends a login whose refresh token comes twice. The servers of each store are
measured alone. Then all are kept under load at the same time, to see whether their memory grows.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from urllib.parse import urlsplit

from tests.bench.load import Answer, Target, percentile, statuses
from tests.bench.soak_parts import (
    API_KEY,
    environ_for,
    figures_of,
    log_in_all,
    provider_running,
)
from tests.system.stores import StoreKind, store_of
from tests.system.workers import doors, running

# Of a token: Digi-Key's.
LIFE = timedelta(minutes=30)
CALLERS_IN_SOAK = 4
"""Of each store and number of processes, while all are under load."""
# Before the measurement, so that each process has made its clients.
_WARM_UP = timedelta(seconds=5)
_APP = "tests.bench.soak_server:app"
# No connection is to end just as it is used again.
_KEEP_ALIVE = ("--timeout-keep-alive", "600")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A measurement: so many connections and callers, for so many seconds.

    `soak`: for how many seconds all servers are then under load.
    """

    connections: int
    callers: int
    seconds: float
    soak: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Servers over one store. `ports`: of each process."""

    store: StoreKind
    ports: Sequence[int]
    provider_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """The figures of one. Times are in seconds, memory in bytes of all processes together."""

    served: Served
    a_second: float
    p50: float
    p99: float
    statuses: Mapping[int, int]
    memory_at_first: int
    memory: int
    refreshes: int
    refused: int

    @property
    def is_right(self) -> bool:
        """Whether every caller had a token, and no refresh token was sent twice."""
        return set(self.statuses) == {200} and not self.refused


@contextmanager
def serving(kind: StoreKind, processes: int, plan: Plan) -> Iterator[Served]:
    """Run the servers over a store in which all connections have a login."""
    with (
        TemporaryDirectory() as folder,
        provider_running("--life", str(int(LIFE.total_seconds()))) as provider_port,
        store_of(kind) as store,
        doors(processes) as opened,
    ):
        environ = environ_for(Path(folder), provider_port)
        if store.environ is not None:
            del environ["SQLITE_PATH"]
            environ.update(store.environ)
        asyncio.run(log_in_all(environ, connections=plan.connections, life=LIFE))
        with running(opened, environ, Path(folder), app=_APP, arguments=_KEEP_ALIVE) as workers:
            ports = [urlsplit(url).port or 0 for url in workers.urls]
            yield Served(store=kind, ports=ports, provider_port=provider_port)


def measure(served: Served, plan: Plan) -> Throughput:
    """Run all callers against the servers of one store."""
    return asyncio.run(_measure(served, plan))


async def _measure(served: Served, plan: Plan) -> Throughput:
    warm_up = min(_WARM_UP.total_seconds(), plan.seconds)
    await _drive(served, plan, seconds=warm_up)
    return await _drive(served, plan, seconds=plan.seconds)


def soak(all_served: Sequence[Served], plan: Plan) -> Sequence[Throughput]:
    """Run some callers against all servers at the same time."""
    return asyncio.run(_soak(all_served, plan))


async def _soak(all_served: Sequence[Served], plan: Plan) -> Sequence[Throughput]:
    driven = (
        _drive(served, plan, seconds=plan.soak, callers=CALLERS_IN_SOAK) for served in all_served
    )
    return await asyncio.gather(*driven)


async def _drive(
    served: Served, plan: Plan, *, seconds: float, callers: int | None = None
) -> Throughput:
    targets = [Target(port=port) for port in served.ports]
    provider = Target(port=served.provider_port)
    at_first, calls = await _memory(targets), (await figures_of(provider, "/stats"))["calls"]
    began_at = monotonic()
    crowd = _Callers(targets, plan, end=began_at + seconds)
    await crowd.run(callers or plan.callers)
    took, stats = monotonic() - began_at, await figures_of(provider, "/stats")
    found = Throughput(
        served=served,
        a_second=len(crowd.answers) / took,
        p50=percentile(crowd.answers, 0.5),
        p99=percentile(crowd.answers, 0.99),
        statuses=statuses(crowd.answers),
        memory_at_first=at_first,
        memory=await _memory(targets),
        refreshes=stats["calls"] - calls,
        refused=stats["refused"],
    )
    for target in (*targets, provider):
        target.close()
    return found


class _Callers:
    """Callers that ask until the end, spread over the servers."""

    def __init__(self, targets: Sequence[Target], plan: Plan, *, end: float) -> None:
        self._targets = targets
        self._connections = plan.connections
        self._end = end
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self.answers: list[Answer] = []

    async def run(self, callers: int) -> None:
        """Ask, and wait for the last answer."""
        number = len(self._targets)
        await asyncio.gather(
            *(self._ask(self._targets[index % number]) for index in range(callers))
        )

    async def _ask(self, target: Target) -> None:
        while (begun := monotonic()) < self._end:
            connection = f"c{self._chance.randrange(self._connections)}"
            status, _ = await target.get(
                f"/api/token?connection={connection}", (f"x-api-key: {API_KEY}",)
            )
            self.answers.append(Answer(due=begun, took=monotonic() - begun, status=status))


async def _memory(targets: Sequence[Target]) -> int:
    return sum([(await figures_of(target, "/figures"))["memory"] for target in targets])

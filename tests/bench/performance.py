"""`make load` prints docs/performance.md.

The page has what one and four server processes do over each store, and what else a user could
import. It returns 1 if a caller had no token, or a login was lost.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from tests.bench.alternatives import LIBRARIES, Outcome, measure_keeper, measure_library
from tests.bench.alternatives import PROCESSES as ALTERNATIVE_PROCESSES
from tests.bench.throughput import (
    CALLERS_IN_SOAK,
    LIFE,
    Plan,
    Throughput,
    measure,
    serving,
    soak,
)
from tests.system.stores import StoreKind

PROCESSES = (1, 4)

_HEAD = """\
# Performance

`make load` prints this page. All parts run on one machine: the servers, the store, the provider and
the callers. So the figures compare stores and numbers of processes. They are not what a deployment
of its own reaches. `make bench` prints what the keeper adds to a bare store and a bare function.

- Machine: {machine}
- Connections: {connections:,}
- Callers at a time: {callers}
- Duration of each row: {seconds:g} seconds

## Requests

Each caller asks for the token of a random connection (`GET /api/token`), and again as soon as it
has the answer. An access token is valid for {life:g} minutes, so that refreshes go on meanwhile.
The provider takes 0.15 to 0.45 seconds for each, and ends a login whose refresh token comes twice.
The callers are one process, which takes as much of the machine as a server.

| store | processes | requests a second | p50 | p99 | refreshes | without a token |
|---|---|---|---|---|---|---|
"""
_NOTES = """
*redis-over-rest* is a Redis behind a stand-in for Upstash's REST API, and *dynamodb* is an
imitation of DynamoDB in one Python process: they limit these rows. The services are other programs.
"""
_MEMORY = """
## Memory

After that, all these servers are under load at the same time for {minutes:g} minutes, each with
{callers} callers. Memory is that of all processes of a row together: before and after its own
measurement, and at the end.

| store | processes | before | after | at the end | requests meanwhile | without a token |
|---|---|---|---|---|---|---|
"""
_ALTERNATIVES = """
## Instead of a library's own refresh

{logins} logins whose access token has expired. For each, {callers} callers in {processes} processes
need a token at the same instant. With a library, the processes share a file, and each caller lets
the library refresh the token that it read, as the library's documentation shows.

| | provider calls | callers with a token | logins lost |
|---|---|---|---|
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the page."""
    options = _options(arguments)
    plan = Plan(
        connections=options.connections,
        callers=options.callers,
        seconds=options.seconds,
        soak=options.soak,
    )
    _print(_head(plan), end="")
    found, soaked = _measure_all([StoreKind(name) for name in options.stores.split(",")], plan)
    outcomes = list(_outcomes(options.logins, options.stampede))
    _print(_alternatives(outcomes), end="")
    ours = outcomes[-1]
    is_right = ours.served == ours.logins * ours.callers and not ours.dead_logins
    return int(not (is_right and all(each.is_right for each in (*found, *soaked))))


def _measure_all(
    kinds: Sequence[StoreKind], plan: Plan
) -> tuple[Sequence[Throughput], Sequence[Throughput]]:
    """Print and return the figures of each store alone, and of all under load."""
    found = []
    with ExitStack() as running:
        for kind, processes in product(kinds, PROCESSES):
            _progress(f"{kind.value}, {processes} processes")
            served = running.enter_context(serving(kind, processes, plan))
            found.append(measure(served, plan))
            _print(_line(found[-1]))
        _progress(f"all of them for {plan.soak:g} s")
        soaked = soak([each.served for each in found], plan)
    _print(_NOTES, end="")
    _print(_MEMORY.format(minutes=plan.soak / 60, callers=CALLERS_IN_SOAK), end="")
    for alone, beside in zip(found, soaked, strict=True):
        _print(_line_of_memory(alone, beside, plan))
    return found, soaked


def _outcomes(logins: int, callers: int) -> Iterator[Outcome]:
    for name in LIBRARIES:
        _progress(name)
        yield measure_library(name, logins=logins, callers=callers)
    _progress("oauth-callback")
    yield measure_keeper(logins=logins, callers=callers)


def _head(plan: Plan) -> str:
    return _HEAD.format(
        machine=_machine(),
        connections=plan.connections,
        callers=plan.callers,
        seconds=plan.seconds,
        life=LIFE.total_seconds() / 60,
    )


def _line(found: Throughput) -> str:
    return _row(
        found.served.store.value,
        len(found.served.ports),
        f"{found.a_second:,.0f}",
        f"{found.p50 * 1000:.1f} ms",
        f"{found.p99 * 1000:.1f} ms",
        f"{found.refreshes:,}",
        _without_token(found),
    )


def _line_of_memory(alone: Throughput, beside: Throughput, plan: Plan) -> str:
    memory = (alone.memory_at_first, alone.memory, beside.memory)
    return _row(
        alone.served.store.value,
        len(alone.served.ports),
        *(f"{size / 1e6:.0f} MB" for size in memory),
        f"{beside.a_second * plan.soak:,.0f}",
        _without_token(beside),
    )


def _without_token(found: Throughput) -> int:
    return sum(count for status, count in found.statuses.items() if status != 200)


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _alternatives(outcomes: Sequence[Outcome]) -> str:
    head = _ALTERNATIVES.format(
        logins=outcomes[0].logins, callers=outcomes[0].callers, processes=ALTERNATIVE_PROCESSES
    )
    rows = (
        f"| {each.name} | {each.provider_calls} | {each.served} of {each.logins * each.callers} | "
        f"{each.dead_logins} of {each.logins} |\n"
        for each in outcomes
    )
    return head + "".join(rows)


def _machine() -> str:
    """Name the processor, the number of its cores, and the Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    cores = os.cpu_count()
    return f"{cores} cores ({model}), Python {platform.python_version()}"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.performance", description=__doc__)
    every = ",".join(kind.value for kind in StoreKind)
    parser.add_argument("--stores", default=every, help="%(default)s")
    parser.add_argument("--connections", type=int, default=10_000, help="%(default)s")
    parser.add_argument("--callers", type=int, default=32, help="at a time; %(default)s")
    parser.add_argument("--seconds", type=float, default=60, help="for each row; %(default)s")
    parser.add_argument("--soak", type=float, default=600, help="for all, in seconds; %(default)s")
    parser.add_argument("--logins", type=int, default=10, help="of the comparison; %(default)s")
    callers = "for each login of the comparison; %(default)s"
    parser.add_argument("--stampede", type=int, default=200, help=callers)
    return parser.parse_args(arguments)


def _print(text: str, *, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201 - a command prints


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command says how far it is


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        # A store that cannot be run here.
        sys.exit(str(missing))

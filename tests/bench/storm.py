"""Many tokens that expire at once, over a slow store; and one refresh among wrong API keys.

Each connection has a caller of its own. All ask at the same instant, spread over the workers, and
retry after the time in Retry-After. Then strangers send a wrong API key each, from an address
each, while one refresh is timed.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.bench.storm_stage import (
    WRONG_KEY,
    Answered,
    Call,
    StormStage,
    call_at_once,
    generation_of,
    records,
    storm_stage,
)
from tests.bench.storm_stores import (
    StormStore,
    dynamodb_store,
    postgres_store,
    redis_store,
    sqlite_store,
    upstash_store,
)

# In seconds: a disk on its way out, a cheap one, and for how long strangers come.
STORM_FSYNC = 0.04
STRANGERS_FSYNC = 0.015
STRANGERS_SECONDS = 3.0
# To the other side of the world, and back.
ROUND_TRIP = 0.3
# A small table. The imitation of DynamoDB takes little more: --connections 100 go with it.
CAPACITY = 25
# In seconds: for how long callers retry.
PATIENCE = 60.0
STORES = ("sqlite", "upstash", "redis", "dynamodb", "postgres")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a refresh token was sent twice, or tokens were lost."""
    options = _options(arguments)
    with TemporaryDirectory() as folder:
        wrong = _storm(options, Path(folder))
    if options.strangers:
        with TemporaryDirectory() as folder:
            _strangers(options, Path(folder))
    return int(wrong)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.storm", description=__doc__)
    parser.add_argument("--store", choices=STORES, default="sqlite", help="%(default)s")
    parser.add_argument("--connections", type=int, default=600, help="%(default)s")
    parser.add_argument("--workers", type=int, default=4, help="%(default)s")
    capacity = "calls a second that DynamoDB takes; %(default)s"
    parser.add_argument("--capacity", type=int, default=CAPACITY, help=capacity)
    strangers = "wrong keys during one refresh; %(default)s, 0 for none"
    parser.add_argument("--strangers", type=int, default=900, help=strangers)
    return parser.parse_args(arguments)


def _store(
    options: argparse.Namespace, folder: Path, *, fsync: float
) -> AbstractContextManager[StormStore]:
    match options.store:
        case "upstash":
            return upstash_store(seconds=ROUND_TRIP)
        case "redis":
            return redis_store(seconds=ROUND_TRIP)
        case "postgres":
            return postgres_store(seconds=ROUND_TRIP)
        case "dynamodb":
            return dynamodb_store(calls_a_second=options.capacity)
        case _:
            return sqlite_store(folder, seconds=fsync)


def _storm(options: argparse.Namespace, folder: Path) -> bool:
    names = [f"c{number}" for number in range(options.connections)]
    with _store(options, folder, fsync=STORM_FSYNC) as store:
        with storm_stage(store, folder, workers=options.workers, connections=names) as stage:
            title = (
                f"{store.text}: {len(names)} connections end at once, {options.workers} processes"
            )
            pairs = zip(stage.urls(), names, strict=False)
            calls = [Call.for_token(url, name) for url, name in pairs]
            answers = asyncio.run(call_at_once(calls, patience=PATIENCE))
            _print(title)
            _print_answers(answers)
            _print(f"  asked to retry      {sum(answer.tries - 1 for answer in answers)} times")
            _print(f"  largest process     {stage.peak_memory()} MB at its peak")
            # Finishes the work that goes on after the responses.
            stage.workers.stop_all()
            asked = stage.provider_calls()
            logs = stage.workers.describe()
        _print(f"  provider calls      {asked.total()} for {len(asked)} refresh tokens")
        _print(f"  stalled, not sent   {logs.count('stalled before sending')} intents")
        # Reached without its slowness.
        kept = records({**stage.workers.environment, **store.environ}, names)
    spent = [asked[f"{name}.0"] for name in names]
    return spent != [generation_of(record) for record in kept] or max(spent) > 1


def _strangers(options: argparse.Namespace, folder: Path) -> None:
    with (
        _store(options, folder, fsync=STRANGERS_FSYNC) as store,
        storm_stage(store, folder, workers=1, connections=["alone", "among"]) as stage,
    ):
        alone, among, strangers = asyncio.run(_among_strangers(stage, options.strangers))
    _print(f"{store.text}: {len(strangers)} wrong keys, each from its own address, 1 process")
    _print_answers(strangers)
    _print(f"  a refresh           {alone.status} in {alone.wait:.2f} s alone")
    _print(f"                      {among.status} in {among.wait:.2f} s among them")


async def _among_strangers(
    stage: StormStage, number: int
) -> tuple[Answered, Answered, list[Answered]]:
    url = stage.workers.urls[0]
    (alone,) = await call_at_once([Call.for_token(url, "alone")])
    strangers = asyncio.gather(*(_stranger(url, index, number) for index in range(number)))
    await asyncio.sleep(STRANGERS_SECONDS * 2 / 3)
    (beside,) = await call_at_once([Call.for_token(url, "among")])
    return alone, beside, await strangers


async def _stranger(url: str, index: int, number: int) -> Answered:
    """Ask in the order of the addresses, so that a server has time for all of them."""
    await asyncio.sleep(STRANGERS_SECONDS * index / number)
    headers = {**WRONG_KEY, "x-forwarded-for": _address(index)}
    (answered,) = await call_at_once([Call(url=url, path="/api/token", headers=headers)])
    return answered


def _address(index: int) -> str:
    return f"203.0.{index // 250}.{index % 250 + 1}"


def _print_answers(answers: Sequence[Answered]) -> None:
    waits = sorted(answer.wait for answer in answers)
    for (status, problem), number in Counter((a.status, a.problem) for a in answers).most_common():
        _print(f"  answered {status or 'nothing':<10} {number:>4} {problem}")
    if waits:
        _print(f"  the slowest took    {waits[-1]:.2f} s, half {waits[len(waits) // 2]:.2f} s")


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command prints


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        # A server is missing here; the parts that the tests start say so to pytest.
        sys.exit(str(missing))

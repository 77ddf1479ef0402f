"""Sweeps over many connections in a SQLite file: the calls of the store, and the peak memory.

`python -m tests.bench.sweep` prints the table. Each sweep has a process of its own.
"""

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from adapters.entropy_system import SystemEntropy
from adapters.sealed_records import SealedRecords
from adapters.sealing import KeyRing
from adapters.store_sqlite import SqliteStore
from domain.grant import Authorized
from domain.token_endpoint import Outcome, TokenErrorResponse
from functions.refresh.sweep_walk import PAGE_SIZE
from ports.store import Due, Record, RecordPage
from tests.functions.keeper_rig import FRESH, KeeperRig, tokens_with
from tests.records import record_of

SIZES = (1_000, 10_000, 100_000)
# How long the refresh tokens of each situation are valid.
SITUATIONS: Mapping[str, timedelta] = {
    "nothing is due": timedelta(days=90),
    "all are far from due": timedelta(days=3650),
    "all are due, and the provider is away": timedelta(days=2),
}
_RECORDS = SealedRecords(KeyRing([bytes(range(32))]))
_HEAD = ("connections", "situation", "pages", "loads", "swaps", "requests", "left", "memory", "s")
_NOTES = f"""
pages     Calls of the store for a page: {PAGE_SIZE} names by date, or their records.
loads     Calls of the store for one record. One is the position of the sweep.
swaps     Writes of the store: the position, and the refreshes.
requests  To the provider.
left      Connections that are left for the next sweep.
memory    The growth of the process's peak memory during the sweep.
s         Seconds on the clock, on a machine that may be busy.
"""


class CountingStore(SqliteStore):
    """A store that counts its calls."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _RECORDS)
        self.calls: Counter[str] = Counter()

    async def load(self, connection: str) -> Record:
        """Count, and load."""
        self.calls["loads"] += 1
        return await super().load(connection)

    async def swap(self, connection: str, record: Record, *, expected_etag: str | None) -> None:
        """Count, and swap."""
        self.calls["swaps"] += 1
        await super().swap(connection, record, expected_etag=expected_etag)

    async def due(self, after: Due | None, before: datetime | None, *, limit: int) -> list[Due]:
        """Count, and return the page."""
        self.calls["pages"] += 1
        return await super().due(after, before, limit=limit)

    async def load_records(self, connections: Sequence[str]) -> RecordPage:
        """Count, and return the page."""
        self.calls["pages"] += 1
        return await super().load_records(connections)


def fill(path: Path, connections: int, refresh_left: timedelta) -> None:
    """Write so many records, past the store: a commit for each would take minutes."""
    asyncio.run(_create(path))
    record = record_of(Authorized(tokens=tokens_with(FRESH, refresh_left=refresh_left)), "first")
    assert record.due_at is not None
    due = record.due_at.timestamp()

    def rows() -> Iterator[tuple[object, ...]]:
        for number in range(connections):
            name = f"{number:06}"
            yield name, record.etag, _RECORDS.seal_record(name, record), due + number / 1e6

    with closing(sqlite3.connect(path)) as database, database:
        database.executemany("INSERT INTO grants VALUES (?, ?, ?, ?)", rows())


async def _create(path: Path) -> None:
    store = SqliteStore(path, _RECORDS)
    await store.load("nothing")
    await store.close()


async def measure(path: Path) -> Mapping[str, object]:
    """Sweep once, and return what it took."""
    store = CountingStore(path)

    async def reply() -> Outcome:
        return TokenErrorResponse(status=503, error=None)

    rig = KeeperRig(reply)
    rig.store = cast("Any", store)
    sweep = rig.sweep(entropy=SystemEntropy())
    await store.due(None, datetime.now(UTC), limit=1)
    store.calls.clear()
    before, start = _peak_memory(), time.monotonic()
    report = await sweep.run()
    taken = {"s": round(time.monotonic() - start, 1), "memory": _peak_memory() - before}
    await store.close()
    asked = {"requests": len(rig.server.requests), "left": report.left}
    return {**dict.fromkeys(("pages", "loads", "swaps"), 0), **store.calls, **asked, **taken}


def _peak_memory() -> int:
    """Return the peak of this process, in KiB. `getrusage` would count its parent's, too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise OSError("/proc/self/status has no VmHWM")


def rows(sizes: Sequence[int]) -> Iterator[Mapping[str, object]]:
    """Measure each situation with each number of connections."""
    for size in sizes:
        for situation, refresh_left in SITUATIONS.items():
            with TemporaryDirectory() as name:
                path = Path(name) / "records.sqlite3"
                fill(path, size, refresh_left)
                command = [sys.executable, "-m", "tests.bench.sweep", "--measure", str(path)]
                run = subprocess.run(command, capture_output=True, text=True, check=True)
            yield {"connections": size, "situation": situation, **json.loads(run.stdout)}


def table(found: Sequence[Mapping[str, object]]) -> str:
    """Return the rows as a table of Markdown."""
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    for row in found:
        cells = {**row, "memory": f"{int(str(row['memory'])) / 1024:.1f} MiB"}
        lines.append(f"| {' | '.join(str(cells[name]) for name in _HEAD)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, or what one sweep took."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sweep", description=__doc__)
    parser.add_argument("--connections", type=int, nargs="+", default=SIZES, help="%(default)s")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure is not None:
        print(json.dumps(asyncio.run(measure(options.measure))))  # noqa: T201 - for the parent
        return
    sys.stdout.write(table(list(rows(options.connections))) + _NOTES)


if __name__ == "__main__":
    main()

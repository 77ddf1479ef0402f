"""`python -m tests.bench` prints what the keeper costs, and fails only where a count is wrong."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

import pytest

from tests.bench.cold_start import cold_start_rows
from tests.bench.command import command_rows
from tests.bench.figures import Row, table
from tests.bench.fresh_token import REQUESTS_A_ROUND, fresh_token_rows
from tests.bench.key_timing import key_timing_rows
from tests.bench.lambda_start import lambda_start_rows
from tests.bench.stage import WORKERS, Stage, stage
from tests.bench.stampede import MOST_LOOKS, PROVIDER_DELAY, stampede_rows

_NOTES = f"""
Times are medians, and in brackets the quartiles, between which half of all lie. Both sides of a
ratio are measured by turns. It is taken in each round, and printed in the same way.

bare GET       The keeper's own client for reading gets a string as long as a sealed record, from
               the same REST front: a process before a real Redis on this machine.
in process     GET /api/token of the ASGI application in the measuring process, with that client.
over HTTP      The same of one uvicorn worker, over a kept connection: one hop more.
stampede       Callers at one instant, all in the measuring process, over {WORKERS} uvicorn
               workers, on an expired token. A worker that is not the one to refresh looks for the
               new token where the last refreshes say that it is due, {MOST_LOOKS} times a second at
               most: the worst wait ends with such a look. The first stampede knows none of them.
provider call  The refresh of a grant of its own, alone, by the keeper's own adapter. The simulated
               Digi-Key takes {PROVIDER_DELAY:g} s for it, and for that of a stampede.
cold start     Processor time from the start of a process to its first answer, with a fresh token,
               on Vercel's own runtime, over TLS to the store. Imports are those that a function
               which answers ok has not. Creating the TLS context, some 20 ms, is not counted.
Lambda's       Time on the clock, of AWS's runtime for Python in AWS's emulator: from the start of a
               process until it asks for an event, and to the answer that somebody has to log in.
               The table is reached before the first event. Processor time of INIT: of a process
               of its own that imports the runtime and the handler.
command        Processor time of `oauth-callback token`, from the start of the interpreter to the
               end. The first row only imports what it cannot do without.
key, control   The time to refuse a key, relative to one whose first byte is wrong. Then the share
               of pairs in which it is longer (50 %: no difference), and the probability that chance
               alone makes such a difference (p). The control is not part of the keeper: it stops at
               the first wrong byte, and has to show a difference.
"""
_LOAD = """\
This machine has {processors} processors; its load was {before:.2f} before, and {after:.2f} after.
All parts share them. Other load lengthens all times, and of the ratios most the stampede's, where
everybody wants a turn at once; those of the fresh token less, as both sides are slowed; counts not
at all. A real Upstash is some ms of network away: that comes to both sides, and brings these ratios
nearer to that of the round trips.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a count is wrong."""
    options = _options(arguments)
    before = os.getloadavg()[0]
    with stage() as parts:
        rows = asyncio.run(_measure(parts, options))
        rows += cold_start_rows(parts, starts=options.cold_starts)
    rows += lambda_start_rows(starts=options.cold_starts)
    rows += command_rows(starts=options.cold_starts)
    rows += key_timing_rows(comparisons=options.comparisons)
    load = _LOAD.format(processors=os.cpu_count(), before=before, after=os.getloadavg()[0])
    print(table(rows), _NOTES, load, sep="\n", end="")  # noqa: T201 - a command prints
    return exit_status(rows)


def exit_status(rows: Sequence[Row]) -> int:
    """Return 1 if a count is wrong; times are never wrong."""
    return int(any(row.wrong for row in rows))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    rounds = f"of {REQUESTS_A_ROUND} fresh tokens each; %(default)s"
    parser.add_argument("--rounds", type=int, default=25, help=rounds)
    parser.add_argument("--stampedes", type=int, default=9, help="%(default)s")
    parser.add_argument("--callers", type=int, default=200, help="of a stampede; %(default)s")
    parser.add_argument("--cold-starts", type=int, default=15, help="%(default)s")
    comparisons = "keys that are refused, of each kind; %(default)s"
    parser.add_argument("--comparisons", type=int, default=20_000, help=comparisons)
    return parser.parse_args(arguments)


async def _measure(parts: Stage, options: argparse.Namespace) -> list[Row]:
    return [
        *await fresh_token_rows(parts, rounds=options.rounds),
        *await stampede_rows(parts, stampedes=options.stampedes, callers=options.callers),
    ]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        # There is no Redis here; the parts that the tests start say so to pytest.
        sys.exit(str(missing))

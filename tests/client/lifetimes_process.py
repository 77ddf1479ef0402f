"""A process of the test of lifetimes: eight threads that use one source, at each step of the clock.

It reads a line for each step, and answers with a line: the tokens in JSON, or the errors.
"""

import json
import mmap
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from oauth_callback import KeeperError, TokenSource

THREADS = 8


def read_clock(shared: mmap.mmap) -> float:
    """Return the time that all processes share, in seconds."""
    (now,) = struct.unpack("d", shared[:8])
    return float(now)


def _no_sleep(_seconds: float) -> None:
    raise AssertionError("a caller has to wait")


def main(clock: str, min_ttl: int) -> None:
    """Answer the steps until standard input ends."""
    with Path(clock).open("rb") as file, ThreadPoolExecutor(THREADS) as threads:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
        source = TokenSource(min_ttl=min_ttl, clock=lambda: read_clock(shared), sleep=_no_sleep)
        together = Barrier(THREADS)

        def use() -> str:
            together.wait()
            try:
                return source.token()
            except (KeeperError, AssertionError) as error:
                return f"{type(error).__name__}: {error}"

        for _ in sys.stdin:
            tokens = [threads.submit(use) for _ in range(THREADS)]
            sys.stdout.write(json.dumps([token.result() for token in tokens]) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

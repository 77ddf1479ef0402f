"""`make fuzz`: 200,000 inputs, shared by the targets. ARGS=--help lists the options."""

import argparse
import logging
import secrets
import sys
from time import monotonic

from tests.fuzz.runs import run
from tests.fuzz.targets import TARGETS

_INPUTS = 200_000


def main() -> int:
    """Fuzz, print the results, and return how many targets failed."""
    asked = _parser().parse_args()
    # The parsers log odd inputs, which are most of these.
    logging.disable()
    names = [asked.target] if asked.target else list(TARGETS)
    return sum(not _fuzz(name, asked.inputs // len(names), asked.seed) for name in names)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=…", description=__doc__)
    parser.add_argument("--inputs", type=int, default=_INPUTS)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--target", choices=TARGETS)
    return parser


def _fuzz(name: str, inputs: int, seed: int) -> bool:
    begun = monotonic()
    try:
        fed = run(TARGETS[name], inputs=inputs, first_seed=seed)
    except Exception as error:  # noqa: BLE001 - any error is a finding
        notes = "\n".join(getattr(error, "__notes__", ()))
        sys.stdout.write(f"{name}: FAILED: {type(error).__name__}: {error}\n{notes}\n")
        sys.stdout.write(f"again: make fuzz ARGS='--target {name} --seed {seed}'\n")
        return False
    sys.stdout.write(f"{name}: {fed} inputs from seed {seed}, {monotonic() - begun:.0f} s\n")
    sys.stdout.flush()
    return True


if __name__ == "__main__":
    sys.exit(main())

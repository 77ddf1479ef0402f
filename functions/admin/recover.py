"""`recover`: tokens that the store would not take are brought back."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from enum import Enum
from io import TextIOWrapper

from domain.events import TokensRescued
from domain.grant import Revoked, Revoking, tokens_of
from functions.admin.command import Command
from functions.wiring import Wired
from ports.rescue import Rescued
from ports.store import StoreUnavailableError, UnreadableRecordError

_DESCRIPTION = """\
recover < LOGS

Reads logs, finds their rescue lines, and says for each whether it was applied, was already there,
or has been superseded by newer tokens, which are never overwritten. What was
revoked since does not come back: the provider is told of those tokens as well."""


class Recovery(Enum):
    """What became of a rescue line."""

    APPLIED = "applied"
    ALREADY_THERE = "already there"
    SUPERSEDED = "superseded"
    REVOKED = "revoked since, and so are these tokens"


async def recover(wired: Wired, lines: Iterable[str]) -> bool:
    """Replay the rescue lines among the lines, in their order; say whether all could be."""
    is_complete = True
    for text in lines:
        try:
            rescued = wired.rescue.read(text)
            if rescued is not None:
                print(f"{rescued.connection}: {(await _replay(wired, rescued)).value}")
        except (StoreUnavailableError, UnreadableRecordError) as error:
            print(f"failed: {error}")
            is_complete = False
    return is_complete


async def _replay(wired: Wired, rescued: Rescued) -> Recovery:
    before = await wired.keeper.load(rescued.connection)
    tokens = tokens_of(rescued.record.grant)
    if tokens is None or tokens_of(before.grant) == tokens:
        return Recovery.ALREADY_THERE
    after = await wired.recorder.keep(rescued.connection, before, TokensRescued(tokens=tokens))
    if isinstance(after.grant, Revoking | Revoked):
        await wired.recorder.finish()
        return Recovery.REVOKED
    is_applied = tokens_of(after.grant) == tokens
    return Recovery.APPLIED if is_applied else Recovery.SUPERSEDED


def _declare(_parser: ArgumentParser) -> None:
    """It takes no arguments."""


async def _run(wired: Wired, _options: Namespace) -> str | None:
    if isinstance(sys.stdin, TextIOWrapper):
        # What strangers have sent is in logs as it came, in no encoding.
        sys.stdin.reconfigure(errors="replace")
    if not await recover(wired, sys.stdin):
        return "Not every line could be replayed; run this again once the cause is gone."
    return None


COMMAND = Command(
    summary="bring back tokens that the store would not take when they came",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

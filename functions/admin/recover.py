"""`recover`: tokens that the store would not take are brought back."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Iterable
from enum import Enum
from io import TextIOWrapper
from typing import assert_never

from domain.events import TokensRescued
from domain.grant import Revoked, Revoking, tokens_of
from functions.admin.command import Command, say
from functions.wiring import Wired
from ports.rescue import Rescue, Rescued, Unread
from ports.store import StoreUnavailableError, UnreadableRecordError

_DESCRIPTION = """\
recover < LOGS

Reads logs to their end, finds their rescue lines, and says for each whether it was applied, was
already there, or has been superseded by newer tokens, which are never overwritten. What was
revoked since does not come back: the provider is told of those tokens as well.

A rescue line that is cut off, damaged, or sealed with another key is said by its number, and the
command fails: get it whole from where the log is kept, for it may hold the only refresh token that
is good. A stranger can put what looks like one into a log, and it cannot be told from that."""


class Recovery(Enum):
    """What became of a rescue line."""

    APPLIED = "applied"
    ALREADY_THERE = "already there"
    SUPERSEDED = "superseded"
    REVOKED = "revoked since, and so are these tokens"


def find(rescue: Rescue, lines: Iterable[str]) -> list[Rescued | Unread]:
    """Find the rescue lines among the lines, in their order."""
    found: list[Rescued | Unread] = []
    for number, text in enumerate(lines, start=1):
        for each in rescue.read(text):
            match each:
                case Rescued():
                    found.append(each)
                case Unread(why=why):
                    found.append(Unread(f"line {number}: {why}"))
                case _:
                    assert_never(each)
    return found


async def recover(wired: Wired, found: Iterable[Rescued | Unread]) -> bool:
    """Replay rescue lines, in their order; say whether all could be."""
    is_complete = True
    for each in found:
        try:
            match each:
                case Rescued():
                    print(f"{each.connection}: {(await _replay(wired, each)).value}")
                case Unread(why=why):
                    print(f"failed: {why}")
                    is_complete = False
                case _:
                    assert_never(each)
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


def _run(wired: Wired, _options: Namespace) -> Awaitable[str | None]:
    # Before there is an event loop, on which the first Ctrl-C would not end the wait for a line.
    return _replay_all(wired, _read(wired.rescue))


def _read(rescue: Rescue) -> list[Rescued | Unread] | None:
    """Find the rescue lines in what is on standard input; None where that is closed."""
    # As it is, whatever the type checker was told.
    logs: object = sys.stdin
    if not isinstance(logs, TextIOWrapper):
        return None
    if logs.isatty():
        say("Reading logs from this terminal, up to Ctrl-D at the beginning of a line.")
    # What strangers have sent is in logs as it came, in no encoding.
    logs.reconfigure(errors="replace")
    return find(rescue, logs)


async def _replay_all(wired: Wired, found: list[Rescued | Unread] | None) -> str | None:
    if found is None:
        return "Nothing was read: standard input is closed. Give it the logs: recover < LOGS."
    if not found:
        say("No rescue line was found in what was read.")
    if not await recover(wired, found):
        return (
            "Not every rescue line could be replayed; run this again once the cause is gone, with "
            "the whole of what is cut off."
        )
    return None


COMMAND = Command(
    summary="bring back tokens that the store would not take when they came",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

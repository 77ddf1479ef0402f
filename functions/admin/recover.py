"""`recover`: stores the tokens of rescue lines in a log."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Iterable
from enum import Enum
from io import TextIOWrapper
from typing import assert_never

from domain.events import TokensRescued
from domain.grant import Revoked, Revoking, tokens_of
from functions.admin.command import Command, print_note
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.rescue import Rescue, RescuedRecord, UnreadableLine
from ports.store import StoreUnavailableError, UnreadableRecordError

_DESCRIPTION = """\
recover < LOGS

Reads logs to their end, and reports for each rescue line whether it was applied, was already there,
or was superseded by newer tokens, which are never overwritten. Tokens of a connection that was
revoked since are revoked at the provider as well.

A rescue line that is cut off, damaged or encrypted with another key fails the command, which names
its line. Get the whole line from the log's source: it may have the only valid refresh token. A
stranger can write a fake line into a log, which looks like a damaged one."""


class Recovery(Enum):
    """The result of a rescue line."""

    APPLIED = "applied"
    ALREADY_THERE = "already there"
    SUPERSEDED = "superseded"
    REVOKED = "revoked since, and so are these tokens"


def find(rescue: Rescue, lines: Iterable[str]) -> list[RescuedRecord | UnreadableLine]:
    """Return the rescue lines, in order."""
    found: list[RescuedRecord | UnreadableLine] = []
    for number, text in enumerate(lines, start=1):
        for each in rescue.read(text):
            match each:
                case RescuedRecord():
                    found.append(each)
                case UnreadableLine(why=why):
                    found.append(UnreadableLine(f"line {number}: {why}"))
                case _:
                    assert_never(each)
    return found


async def recover(wiring: Wiring, found: Iterable[RescuedRecord | UnreadableLine]) -> bool:
    """Replay rescue lines, in order; return whether all succeeded."""
    is_complete = True
    for each in found:
        try:
            match each:
                case RescuedRecord():
                    print(f"{each.connection}: {(await _replay(wiring, each)).value}")
                case UnreadableLine(why=why):
                    print(f"failed: {why}")
                    is_complete = False
                case _:
                    assert_never(each)
        except (
            SettingsError,
            StoreUnavailableError,
            UnknownClientError,
            UnreadableRecordError,
        ) as error:
            print(f"failed: {error}")
            is_complete = False
    return is_complete


async def _replay(wiring: Wiring, rescued: RescuedRecord) -> Recovery:
    client = wiring.client_of(rescued.connection)
    before = await client.keeper.load(rescued.connection)
    tokens = tokens_of(rescued.record.grant)
    if tokens is None or tokens_of(before.grant) == tokens:
        return Recovery.ALREADY_THERE
    after = await client.recorder.keep(rescued.connection, before, TokensRescued(tokens=tokens))
    if isinstance(after.grant, Revoking | Revoked):
        await client.recorder.finish()
        return Recovery.REVOKED
    is_applied = tokens_of(after.grant) == tokens
    return Recovery.APPLIED if is_applied else Recovery.SUPERSEDED


def _declare(_parser: ArgumentParser) -> None:
    """Declare no arguments."""


def _run(wiring: Wiring, _options: Namespace) -> Awaitable[str | None]:
    # Before there is an event loop, which would swallow the first Ctrl-C.
    return _replay_all(wiring, _read(wiring.rescue))


def _read(rescue: Rescue) -> list[RescuedRecord | UnreadableLine] | None:
    """Return the rescue lines of standard input; None if it is closed."""
    # `object`, because sys.stdin may be None or a replacement.
    logs: object = sys.stdin
    if not isinstance(logs, TextIOWrapper):
        return None
    if logs.isatty():
        print_note("Reading logs from this terminal, up to Ctrl-D at the beginning of a line.")
    # Logs quote requests of strangers, in any encoding.
    logs.reconfigure(errors="replace")
    return find(rescue, logs)


async def _replay_all(
    wiring: Wiring, found: list[RescuedRecord | UnreadableLine] | None
) -> str | None:
    if found is None:
        return "Nothing was read: standard input is closed. Run recover < LOGS."
    if not found:
        print_note("No rescue line was found.")
    if not await recover(wiring, found):
        return (
            "Not every rescue line could be replayed. Run this again with whole lines, once the "
            "cause is gone."
        )
    return None


COMMAND = Command(
    summary="store the tokens of rescue lines in a log",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

"""`import`: takes over grants that another deployment handed over."""

from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from domain.events import GrantArrived
from domain.grant import Adopting, Moved, Revoked, Revoking, tokens_of
from functions.admin.command import Command, map_concurrently, print_note, printable, stream
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.export import ExportedGrant, UnreadableExportError
from ports.store import Record, UnreadableRecordError

_PROGRESS_INTERVAL = 100

_DESCRIPTION = """\
Reads a FILE that `export` wrote in the environment of another deployment. It checks the whole file
first, then stores each grant and reads it back. It never overwrites a grant that is here already,
or newer. It can be run again after an interruption.

Import a file into one deployment only: two that refresh the same grant end it."""


class Import(Enum):
    """The result of an imported grant."""

    IMPORTED = "imported"
    ALREADY_THERE = "already there"
    NEWER = "kept what is here, which is newer"
    REVOKED = "not imported: it was revoked here after it had been handed over"
    LOGGED_IN = "kept what is here: somebody has logged in since"
    HANDED_OVER = "not imported: this deployment has itself handed it over; see take-back"
    ADOPTING = "not imported: tokens that were adopted here wait for their first refresh"
    UNREADABLE = "not imported: what is here cannot be read"
    NOT_READ_BACK = "not imported: it does not read back as it was written"


_FAILED = frozenset(
    {
        Import.ADOPTING,
        Import.HANDED_OVER,
        Import.NOT_READ_BACK,
        Import.REVOKED,
        Import.UNREADABLE,
    }
)


async def take_over(wiring: Wiring, connection: str, arrived: ExportedGrant) -> Import:
    """Store a grant unless a newer one is there, and read it back.

    Raises StoreUnavailableError.
    """
    moved, event = arrived.moved, GrantArrived(moved=arrived.moved, ledger=arrived.ledger)
    try:
        before = await wiring.store.load(connection)
        after = await wiring.client_of(connection).recorder.keep(connection, before, event)
        there = await wiring.store.load(connection)
    except UnreadableRecordError:
        return Import.UNREADABLE
    if after is before or after.grant != moved.grant:
        return _explain_kept(after, moved)
    return Import.IMPORTED if _follows(there, after) else Import.NOT_READ_BACK


def _explain_kept(there: Record, moved: Moved) -> Import:
    if isinstance(there.grant, Revoking | Revoked):
        return Import.REVOKED
    if isinstance(there.grant, Adopting):
        return Import.ADOPTING
    tokens = tokens_of(there.grant)
    if tokens is None or isinstance(there.grant, Moved):
        return Import.HANDED_OVER
    if tokens.authorized_at > moved.tokens.authorized_at:
        return Import.LOGGED_IN
    return Import.NEWER if tokens.age > moved.tokens.age else Import.ALREADY_THERE


def _follows(there: Record, written: Record) -> bool:
    """Whether a record is the written one, or its successor by another instance."""
    if there.etag == written.etag:
        return there == written
    now, then = tokens_of(there.grant), tokens_of(written.grant)
    return now is not None and then is not None and now.age >= then.age


async def take_over_all(wiring: Wiring, grants: Mapping[str, ExportedGrant]) -> Counter[Import]:
    """Take grants over, print each result, and count. Raises StoreUnavailableError."""
    counts = Counter[Import]()
    done = map_concurrently(stream(grants), lambda name: take_over(wiring, name, grants[name]))
    async for connection, outcome in done:
        print(f"{connection}: {outcome.value}", flush=True)
        counts[outcome] += 1
        if counts.total() % _PROGRESS_INTERVAL == 0:
            print_note(f"{counts.total()} of {len(grants)}")
    return counts


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that `export` wrote")


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    try:
        lines = options.file.read_text(encoding="utf-8").splitlines()
        # Editors leave blank lines.
        grants = wiring.export.read(line for line in lines if line.strip())
    except (OSError, UnicodeError) as error:
        return f"Nothing was imported: {error}."
    except (SettingsError, UnknownClientError, UnreadableExportError) as error:
        reason = str(error).removesuffix(".")
        return f"Nothing was imported from {printable(str(options.file))}: {reason}."
    counts = await take_over_all(wiring, grants)
    failed = sum(counts[outcome] for outcome in _FAILED)
    return f"{failed} of {len(grants)} were not imported." if failed else None


COMMAND = Command(
    summary="take over the connections in a file that another deployment wrote",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
    may_create_store=True,
)

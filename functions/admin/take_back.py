"""`take-back`: what was handed over, and nobody else has taken, is used here again."""

from argparse import ArgumentParser, Namespace

from domain.events import ReturnRequested
from domain.grant import Moved
from functions.admin.command import Command, declare_connections, do_for_each, named, printable, say
from functions.wiring import Wired
from ports.store import UnreadableRecordError

_DESCRIPTION = """\
Undoes `export`: this deployment uses again what it has handed over, all of it unless some
connections are named. Without --not-imported it only lists them.

Once another deployment has imported a connection, do not: both would refresh, and the provider may
end the grant. Let that one export it, and import it here. Where nothing has imported it, take it
back, and delete the file."""
_WARNING = (
    "Nothing was changed. If no deployment has imported these, run this again with --not-imported, "
    "and delete the exported file."
)


async def take_back(wired: Wired, connection: str, *, really: bool) -> str | None:
    """Say what was, or would be, taken back; None where nothing was handed over.

    Raises StoreUnavailableError.
    """
    try:
        before = await wired.store.load(connection)
    except UnreadableRecordError as error:
        say(str(error))
        return None
    if before.etag is None:
        say(f"{printable(connection)}: no such connection is stored here")
    if not isinstance(before.grant, Moved):
        return None
    if not really:
        return f"handed over at {before.grant.since:%Y-%m-%d %H:%M:%S} UTC"
    await wired.recorder.keep(connection, before, ReturnRequested())
    return "taken back"


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--not-imported", action="store_true", help="no other deployment has imported them"
    )
    declare_connections(parser)


async def _run(wired: Wired, options: Namespace) -> str | None:
    names = named(options.connections) if options.connections else wired.store.connections()
    really: bool = options.not_imported
    found = 0
    async for connection, said in do_for_each(
        names, lambda name: take_back(wired, name, really=really)
    ):
        if said is not None:
            print(f"{printable(connection)}: {said}")
            found += 1
    if not found:
        return "Nothing is handed over."
    if not really:
        return _WARNING
    left = len(options.connections) - found
    return f"{left} of {len(options.connections)} were not taken back." if left > 0 else None


COMMAND = Command(
    summary="undo an export that no deployment has imported",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

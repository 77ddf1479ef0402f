"""`take-back`: undoes `export` for connections that no deployment imported."""

from argparse import ArgumentParser, Namespace

from domain.events import ReturnRequested
from domain.grant import Moved
from functions.admin.command import (
    Command,
    declare_connections,
    map_concurrently,
    print_note,
    printable,
    stored_connections,
    stream,
)
from functions.wiring import Wiring
from ports.store import UnreadableRecordError

_DESCRIPTION = """\
Undoes `export`: this deployment uses the named connections, or all that it handed over, again.
Without --not-imported it only lists them.

Do not take back a connection that another deployment imported: both would refresh it, and the
provider may end the grant. Export it there and import it here instead. After taking back, delete
the exported file."""
_WARNING = (
    "Nothing was changed. If no deployment imported these, run this again with --not-imported, and "
    "delete the exported file."
)


async def take_back(wiring: Wiring, connection: str, *, is_confirmed: bool) -> str | None:
    """Return what was, or would be, taken back; None if nothing was handed over.

    Raises StoreUnavailableError.
    """
    try:
        before = await wiring.store.load(connection)
    except UnreadableRecordError as error:
        print_note(str(error))
        return None
    if before.etag is None:
        print_note(f"{printable(connection)}: no such connection is stored here")
    if not isinstance(before.grant, Moved):
        return None
    if not is_confirmed:
        return f"handed over at {before.grant.since:%Y-%m-%d %H:%M:%S} UTC"
    await wiring.client_of(connection).recorder.keep(connection, before, ReturnRequested())
    return "taken back"


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--not-imported", action="store_true", help="no other deployment has imported them"
    )
    declare_connections(parser)


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    names = stream(options.connections) if options.connections else stored_connections(wiring)
    is_confirmed: bool = options.not_imported
    found = 0
    async for connection, result in map_concurrently(
        names, lambda name: take_back(wiring, name, is_confirmed=is_confirmed)
    ):
        if result is not None:
            print(f"{printable(connection)}: {result}")
            found += 1
    if not found:
        return "Nothing is handed over."
    if not is_confirmed:
        return _WARNING
    left = len(options.connections) - found
    return f"{left} of {len(options.connections)} were not taken back." if left > 0 else None


COMMAND = Command(
    summary="undo an export that no deployment has imported",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

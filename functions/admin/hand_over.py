"""`export`: hands grants over, and writes them to a file for another deployment."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import assert_never

from domain.events import MoveRequested
from domain.grant import (
    Adopting,
    AuthorizationRequired,
    Authorized,
    Moved,
    Refreshing,
    Requesting,
    Revoked,
    Revoking,
    Unauthorized,
)
from functions.admin.command import (
    Command,
    declare_connections,
    map_concurrently,
    print_note,
    printable,
    stored_connections,
    stream,
)
from functions.admin.new_file import new_file
from functions.settings.clients import UnknownClientError
from functions.settings.settings import SettingsError
from functions.wiring import Wiring
from ports.export import ExportedGrant
from ports.store import StoreUnavailableError, UnreadableRecordError

# A refresh usually takes a second or two, and at most its lease.
_POLL_INTERVAL = timedelta(seconds=0.5)
_PROGRESS_INTERVAL = 100

_DESCRIPTION = """\
Hands over the named connections, or all of them: from then on this deployment answers 410 and
refreshes nothing. Then writes FILE, encrypted, for `import` in the environment of another
deployment. It waits for a refresh in flight.

It can be run again with another FILE at any time: it writes connections that were handed over
before, too. An interruption loses nothing. `take-back` undoes it."""


class NothingToHandOverError(Exception):
    """No connection was handed over; the message has the reason."""


class UnprovenAdoptionError(Exception):
    """The connection is not handed over before its adopted tokens are proven."""


async def hand_over(wiring: Wiring, connection: str) -> ExportedGrant | None:
    """Hand a grant over once no refresh is in flight; None without a grant.

    Raises StoreUnavailableError, UnreadableRecordError, UnknownClientError, SettingsError,
    UnprovenAdoptionError.
    """
    has_reported, name = False, printable(connection)
    while True:
        before = await wiring.store.load(connection)
        recorder = wiring.client_of(connection).recorder
        after = await recorder.keep(connection, before, MoveRequested())
        match after.grant:
            case Moved() as moved:
                return ExportedGrant(moved=moved, ledger=after.ledger)
            case Unauthorized() | Requesting() | Revoking() | Revoked():
                return None
            case Refreshing():
                if not has_reported:
                    print_note(f"{name}: waiting for a refresh in flight (a minute at most)")
                has_reported = True
                await asyncio.sleep(_POLL_INTERVAL.total_seconds())
            case Authorized() | AuthorizationRequired():
                raise AssertionError("a grant without an attempt was not handed over")
            case Adopting():
                raise UnprovenAdoptionError(
                    "adopted tokens wait for their first refresh: send POST /api/refresh, then run "
                    "this again"
                )
            case _:
                assert_never(after.grant)


async def hand_over_all(
    wiring: Wiring, connections: AsyncIterable[str], grants: dict[str, ExportedGrant]
) -> list[str]:
    """Hand grants over, and add each to `grants`; return the errors of the others.

    Raises NothingToHandOverError, StoreUnavailableError.
    """

    async def try_to_hand_over(connection: str) -> ExportedGrant | str | None:
        try:
            return await hand_over(wiring, connection)
        except (
            SettingsError,
            UnknownClientError,
            UnprovenAdoptionError,
            UnreadableRecordError,
        ) as error:
            return str(error).removesuffix(".")

    faults = list[str]()
    async for connection, found in map_concurrently(connections, try_to_hand_over):
        match found:
            case ExportedGrant():
                grants[connection] = found
                if len(grants) % _PROGRESS_INTERVAL == 0:
                    print_note(f"{len(grants)} connections are handed over")
            case str():
                faults.append(found)
            case None:
                print_note(
                    f"{printable(connection)}: nothing to hand over, because nobody has logged in"
                )
    if not grants:
        raise NothingToHandOverError("; ".join(faults) or "nobody has logged in here")
    return faults


def _declare(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="the file to write, which must not exist"
    )
    declare_connections(parser)


async def _run(wiring: Wiring, options: Namespace) -> str | None:
    names = stream(options.connections) if options.connections else stored_connections(wiring)
    grants: dict[str, ExportedGrant] = {}
    try:
        with new_file(options.file) as file:
            faults = await hand_over_all(wiring, names, grants)
            file.writelines(f"{line}\n" for line in wiring.export.write(grants))
    except (OSError, NothingToHandOverError, StoreUnavailableError) as error:
        if grants:
            return f"No file was written: {error}. {_handover_advice(grants)}"
        if isinstance(error, StoreUnavailableError):
            raise
        return f"Nothing was written: {error}."
    print(f"connections handed over, and in {printable(str(options.file))}: {len(grants)}")
    return f"Not handed over: {'; '.join(faults)}." if faults else None


def _handover_advice(grants: Mapping[str, ExportedGrant]) -> str:
    """Return the next step after a handover without a file."""
    return (
        f"Handed over already, and answered 410 from now on: {len(grants)}. Run this again with "
        "another FILE to write them, or undo it with take-back."
    )


COMMAND = Command(
    summary="hand connections over to another deployment, and write a file for it",
    description=_DESCRIPTION,
    declare=_declare,
    run=_run,
)

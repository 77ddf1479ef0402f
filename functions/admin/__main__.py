"""`python -m functions.admin COMMAND`, in the same environment as the application."""

import asyncio
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Awaitable, Mapping, Sequence

from functions.admin import (
    adopt,
    alerts,
    hand_over,
    keys,
    migrate,
    page_link,
    recover,
    reseal,
    take_back,
    take_over,
)
from functions.admin.command import Command, LocalCommand, describe_store
from functions.admin.doctor import command as doctor
from functions.refresh.shared_tasks import wait_within_limit
from functions.settings.settings import Settings, SettingsError
from functions.settings.store import SqliteSettings, StoreSettings
from functions.wiring import Wiring
from ports.store import StoreDamagedError, StoreUnavailableError

COMMANDS: Mapping[str, Command | LocalCommand] = {
    "keys": keys.COMMAND,
    "page-link": page_link.COMMAND,
    "recover": recover.COMMAND,
    "reseal": reseal.COMMAND,
    "export": hand_over.COMMAND,
    "import": take_over.COMMAND,
    "take-back": take_back.COMMAND,
    "adopt": adopt.COMMAND,
    "migrate": migrate.COMMAND,
    "alerts": alerts.COMMAND,
    "doctor": doctor.COMMAND,
}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m functions.admin",
        description="Operator commands. Run them in the environment of the deployment.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        declared = commands.add_parser(
            name,
            help=command.summary,
            description=command.description,
            formatter_class=RawDescriptionHelpFormatter,
        )
        command.declare(declared)
        declared.set_defaults(command=command)
    return parser


async def _finish_and_close(running: Awaitable[str | None], wiring: Wiring) -> str | None:
    try:
        fault = await running
    except StoreDamagedError as error:
        return (
            f"The store's data is damaged: {error}. Move the file away or put a backup in its "
            "place (docs/sqlite.md)."
        )
    except StoreUnavailableError as error:
        return f"The store is not available: {error}. Run this again."
    else:
        if wiring.alerting.channels:
            # Alerts of the command go out before it ends.
            await wait_within_limit(wiring.finish())
        return fault
    finally:
        await wiring.store.close()


def _is_missing(store: StoreSettings) -> bool:
    """Whether the store is a file that does not exist, which the first use would create."""
    try:
        return isinstance(store, SqliteSettings) and not store.path.exists()
    except OSError:
        # The store reports it itself.
        return False


def main(arguments: Sequence[str]) -> str | None:
    """Run a command; return its error text, None on success."""
    options = _parser().parse_args(arguments)
    command: Command | LocalCommand = options.command
    if isinstance(command, LocalCommand):
        return command.run(options)
    try:
        # Those of `make run` as well.
        settings = Settings.from_environ(allows_programs=True)
        wiring = Wiring(settings)
    except SettingsError as error:
        return f"Invalid configuration: {error}."
    if not command.may_create_store and _is_missing(settings.store):
        return (
            f"{describe_store(settings.store)} does not exist, and was not created. Set the "
            "deployment's file."
        )
    try:
        # Some commands read their input before there is an event loop.
        running = command.run(wiring, options)
        return asyncio.run(_finish_and_close(running, wiring))
    except KeyboardInterrupt:
        return "Interrupted. No data was lost; run this again."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

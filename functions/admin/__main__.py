"""`python -m functions.admin COMMAND`, in the same environment as the application."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence

from functions.admin import hand_over, recover, take_back, take_over
from functions.admin.command import Command
from functions.settings import Settings, SettingsError
from functions.wiring import Wired
from ports.store import StoreUnavailableError

COMMANDS: Mapping[str, Command] = {
    "recover": recover.COMMAND,
    "export": hand_over.COMMAND,
    "import": take_over.COMMAND,
    "take-back": take_back.COMMAND,
}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m functions.admin",
        description="For who runs a deployment; in the same environment as the deployment.",
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
        declared.set_defaults(run=command.run)
    return parser


async def _run_and_close(wired: Wired, options: Namespace) -> str | None:
    try:
        fault: str | None = await options.run(wired, options)
    except StoreUnavailableError as error:
        return f"The store is not available: {error}. Nothing is lost; run this again."
    else:
        return fault
    finally:
        await wired.store.close()


def main(arguments: Sequence[str]) -> str | None:
    """Run a command; return what went wrong, where something did."""
    options = _parser().parse_args(arguments)
    try:
        wired = Wired(Settings.from_environ())
    except SettingsError as error:
        return f"The environment cannot be used: {error}."
    return asyncio.run(_run_and_close(wired, options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

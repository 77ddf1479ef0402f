"""The entrance: finds the command, runs it, and returns its exit code."""

from __future__ import annotations

import os
import sys

from oauth_callback.cli import exits
from oauth_callback.cli.output import (
    close_quietly,
    print_error,
    print_message,
    print_result,
    reason_of,
)
from oauth_callback.cli.table import BY_NAME, COMMANDS
from oauth_callback.errors import KeeperError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """Run a command, and return its exit code. Arguments are those of the process if None."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(_by_name(sys.argv[0] if program is None else program, given))
    except BrokenPipeError:
        close_quietly()
        return exits.BROKEN_PIPE
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except (KeeperError, exits.CommandFailed) as error:
        print_error(error)
        return exits.code_of(error)
    except OSError as error:
        print_message(f"Cannot write the output: {reason_of(error)}.")
        close_quietly()
        return exits.OTHER


def _by_name(program: str, arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments, with the command that the name of a symbolic link chooses.

    The connection follows the name and a hyphen.
    """
    name = os.path.basename(program)
    name = name[:-4] if name.lower().endswith(".exe") else name
    for prefix, command in BY_NAME.items():
        if name == prefix:
            return [*command, *arguments]
        if name.startswith(f"{prefix}-"):
            return [*command, f"--connection={name[len(prefix) + 1 :]}", *arguments]
    return arguments


def _run(arguments: Sequence[str]) -> int:
    profile, rest = _leading_profile(arguments)
    if not rest or rest[0] in {"-h", "--help"}:
        print_result(_help()) if rest else print_message(f"A command is missing.\n{_help()}")
        return 0 if rest else exits.USAGE
    if rest[0] == "--version":
        from oauth_callback.keeper import VERSION

        print_result(f"oauth-callback {VERSION}\n")
        return 0
    if rest[0] not in COMMANDS:
        raise exits.CommandFailed(
            f"Unknown command. Commands: {', '.join(COMMANDS)}.", code=exits.USAGE
        )
    return _command(rest[0], [*profile, *rest[1:]])


def _leading_profile(arguments: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """Take `--profile NAME` in front of the command off, for the command's own parser."""
    if arguments and arguments[0] == "--profile" and len(arguments) > 1:
        return [f"--profile={arguments[1]}"], arguments[2:]
    if arguments and arguments[0].startswith("--profile="):
        return [arguments[0]], arguments[1:]
    return [], arguments


def _command(name: str, arguments: list[str]) -> int:
    from importlib import import_module

    from oauth_callback.cli.arguments import Parser

    module_name, summary = COMMANDS[name]
    command = import_module(f"oauth_callback.cli.commands.{module_name}")
    parser = Parser(name, summary)
    command.add_arguments(parser)
    try:
        return int(command.run(parser, arguments))
    except SystemExit as end:
        # argparse has printed the help, or the usage and an error.
        return end.code if isinstance(end.code, int) else 0


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: oauth-callback [--profile NAME] COMMAND [OPTIONS]",
            "",
            *lines,
            "",
            "OAUTH_CALLBACK_URL and OAUTH_CALLBACK_KEY (or OAUTH_CALLBACK_KEY_FILE) name the",
            "deployment. `oauth-callback COMMAND --help` has the options.",
            "",
        ]
    )

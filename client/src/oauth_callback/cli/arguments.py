"""The parser of a command's arguments, and the arguments that several commands have."""

from __future__ import annotations

import argparse
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

DEFAULT_WAIT = 10
"""Seconds. A refresh takes a few; a mail program that gives up loses a message's hour."""

_SECONDS = r"[0-9]{1,9}"
_OPTION = r"--?[A-Za-z][A-Za-z0-9-]*"


class Parser(argparse.ArgumentParser):
    """Refuses unknown arguments without a quote of their values, which may be secrets."""

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(
            prog=f"oauth-callback {command}",
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,
            formatter_class=_formatter,
        )
        self.command = command

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options. Prints the usage and raises SystemExit (2) if one is wrong."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            name = re.match(_OPTION, unknown[0])
            self.error(f"unknown option {name.group()}" if name else "too many arguments")
        return options

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and raise SystemExit (2)."""
        self.exit(2, f"{self.format_usage()}{self.prog}: {message}\n")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return a formatter of a fixed width. argparse imports `shutil` to find the terminal's."""
    return argparse.HelpFormatter(prog, width=100)


def seconds(text: str) -> int:
    """Read a duration."""
    if not re.fullmatch(_SECONDS, text):
        raise argparse.ArgumentTypeError("use a whole number of seconds")
    return int(text)


def add_profile(parser: Parser) -> None:
    """Add the choice of a profile."""
    parser.add_argument("--profile", metavar="NAME", help="a profile of the profile file")


def add_connection(parser: Parser) -> None:
    """Add the connection as an argument."""
    parser.add_argument("connection", nargs="?", metavar="CONNECTION", help="default: default")
    add_profile(parser)


def add_connection_option(parser: Parser) -> None:
    """Add the connection as an option, for a command with other arguments."""
    parser.add_argument("--connection", metavar="ID", help="default: default")
    add_profile(parser)


def add_token_options(parser: Parser) -> None:
    """Add the options of a request for a token."""
    parser.add_argument(
        "--min-ttl",
        type=seconds,
        metavar="S",
        help="seconds for which the token is valid at least; default 60",
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=DEFAULT_WAIT,
        metavar="S",
        help=f"seconds to retry while the deployment is unavailable; default {DEFAULT_WAIT}",
    )

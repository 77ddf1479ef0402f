"""`python -m oauth_callback.shims [OPTIONS] PROGRAM ARGUMENTS…`: start a program with tokens.

The first token is there before the program starts. Without one the program does not start, and the
exit code is that of the command line `oauth-callback`: 75, 77 or 78.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from oauth_callback.cli.exits import CommandFailed, code_of
from oauth_callback.cli.output import print_error
from oauth_callback.errors import KeeperError
from oauth_callback.source import TokenSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAMS = {
    "digikey-api": ("digikey_api", "a script that uses digikey-api: SCRIPT or -m MODULE"),
    "kicost": ("kicost", "KiCost with its plug-ins for Digi-Key"),
    "inventree-part-import": ("inventree_part_import", "the importer for InvenTree"),
    "digikey-mcp": ("digikey_mcp", "an MCP server for Digi-Key: digikey_mcp_server.py"),
}
"""Each program's module here, and what is started."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start a program, and return an exit code if it returns."""
    options = _parser().parse_args(arguments)
    try:
        source = TokenSource(
            connection=options.connection, min_ttl=options.min_ttl, profile=options.profile
        )
        source.get()
        import_module(f"oauth_callback.shims.{PROGRAMS[options.program][0]}").run(
            source, options.arguments
        )
    except (KeeperError, CommandFailed) as error:
        print_error(error)
        return code_of(error)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m oauth_callback.shims",
        description="Start a program with the keeper's tokens.",
        epilog="programs:\n"
        + "\n".join(f"  {name:<24}{what}" for name, (_, what) in PROGRAMS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--connection", metavar="ID", help="default: default")
    parser.add_argument(
        "--min-ttl",
        type=int,
        default=300,
        metavar="S",
        help="seconds for which a token is valid at least; default 300, for a slow call",
    )
    parser.add_argument("--profile", metavar="NAME", help="a profile of the profile file")
    parser.add_argument("program", choices=PROGRAMS, metavar="PROGRAM")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS")
    return parser


if __name__ == "__main__":
    sys.exit(main())

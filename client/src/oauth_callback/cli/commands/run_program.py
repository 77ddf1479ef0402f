"""`oauth-callback exec`: a program with tokens in its variables, or in files that stay fresh.

Without a file the program takes the place of this process. With files this process stays, passes
signals on, and renews the files.
"""

from __future__ import annotations

import os
import re

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection_option, add_token_options
from oauth_callback.cli.asking import ask, keeper_of
from oauth_callback.cli.programs import find, replace_process, run_as_child
from oauth_callback.cli.sinks.files import Sink, parse_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from oauth_callback.keeper import Keeper
    from oauth_callback.tokens import TokenAnswer

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.usage = "%(prog)s [OPTIONS] -- COMMAND [ARGUMENTS]"
    add_connection_option(parser)
    add_token_options(parser)
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=CONNECTION]",
        help="a variable of the program; may be repeated",
    )
    parser.add_argument(
        "--sink",
        action="append",
        default=[],
        metavar="KIND:PATH",
        help="a token file, kept fresh while the program runs; may be repeated",
    )


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Run the program, and return its exit code. Raises KeeperError, CommandFailed."""
    own, command = _split(arguments)
    options = parser.read(own)
    if not command:
        parser.error("put the program after --")
    if not options.env and not options.sink:
        parser.error("use --env, --sink or both")
    variables = [_variable(each, options.connection) for each in options.env]
    sinks = [parse_sink(each) for each in options.sink]
    path = find(command[0])
    for sink in sinks:
        sink.check()
    return _run(options, variables, sinks, path, command)


def _run(
    options: Namespace,
    variables: Sequence[tuple[str, str | None]],
    sinks: Sequence[Sink],
    path: str,
    command: Sequence[str],
) -> int:
    keeper, answers = keeper_of(options), {}
    connections = [connection for _, connection in variables]
    for each in dict.fromkeys([*connections, *([options.connection] if sinks else [])]):
        answers[each] = _ask(keeper, each, options)
    environ = dict(os.environ)
    for name, connection in variables:
        environ[name] = answers[connection].token.access_token
    if not sinks:
        return replace_process(path, command, environ)
    from oauth_callback.cli.sinks.keeping import FreshFiles

    files = FreshFiles(keeper, options.connection, sinks, min_ttl=options.min_ttl)
    files.start(answers[options.connection])
    return run_as_child(path, command, environ, files)


def _ask(keeper: Keeper, connection: str | None, options: Namespace) -> TokenAnswer:
    return ask(keeper, connection, min_ttl=options.min_ttl, wait=options.wait)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the options, and the program with its arguments."""
    if "--" not in arguments:
        return list(arguments), []
    at = list(arguments).index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def _variable(text: str, connection: str | None) -> tuple[str, str | None]:
    """Read `NAME=CONNECTION` or `NAME`. Raises CommandFailed (2)."""
    name, separator, named = text.partition("=")
    if not _VARIABLE.fullmatch(name) or (separator and not named):
        raise exits.CommandFailed(
            "Invalid --env. Use NAME or NAME=CONNECTION; a name has letters, digits and _.",
            code=exits.USAGE,
        )
    return name, named or connection

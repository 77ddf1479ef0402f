"""`oauth-callback sink`: a token file, once or for as long as the command runs."""

from __future__ import annotations

from oauth_callback.cli.arguments import Parser, add_connection_option, add_token_options
from oauth_callback.cli.asking import ask, keeper_of
from oauth_callback.cli.output import print_message
from oauth_callback.cli.sinks.files import Sink
from oauth_callback.cli.sinks.keeping import FreshFiles
from oauth_callback.cli.sinks.kinds import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("path", metavar="PATH", help="the file, which is replaced")
    add_connection_option(parser)
    add_token_options(parser)
    parser.add_argument("--watch", action="store_true", help="keep it fresh until a signal")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Write the file. Raises KeeperError, CommandFailed."""
    options = parser.read(arguments)
    sink = Sink(options.kind, options.path)
    sink.check()
    keeper = keeper_of(options)
    answer = ask(keeper, options.connection, min_ttl=options.min_ttl, wait=options.wait)
    files = FreshFiles(keeper, options.connection, [sink], min_ttl=options.min_ttl)
    files.start(answer)
    if options.watch:
        print_message(f"{sink.path} is written, and kept fresh.")
        _watch(files)
    return 0


def _watch(files: FreshFiles) -> None:
    """Keep the file fresh until SIGTERM, the usual end of a service, or SIGINT."""
    import signal
    from threading import Event

    # Not by the event: its lock may be held when the signal arrives.
    signal.signal(signal.SIGTERM, _stop)
    try:
        files.keep(Event())
    except _Stopped:
        return


class _Stopped(BaseException):
    """SIGTERM arrived."""


def _stop(_number: int, _frame: object) -> None:
    raise _Stopped

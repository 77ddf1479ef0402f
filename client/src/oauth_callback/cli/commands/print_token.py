"""`oauth-callback token`: an access token on stdout."""

from __future__ import annotations

from oauth_callback.cli.arguments import Parser, add_connection, add_token_options
from oauth_callback.cli.asking import ask_by
from oauth_callback.cli.formats import FORMATS
from oauth_callback.cli.output import print_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_connection(parser)
    add_token_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="plain", help="default: plain")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the token. Raises KeeperError, OSError."""
    options = parser.read(arguments)
    print_result(FORMATS[options.format](ask_by(options)))
    return 0

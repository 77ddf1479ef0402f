"""`oauth-callback list`: the connections that the key may use, one a line."""

from __future__ import annotations

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_profile
from oauth_callback.cli.asking import keeper_of
from oauth_callback.cli.output import print_result
from oauth_callback.errors import NotConfigured, printable
from oauth_callback.keeper import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauth_callback.keeper import Keeper


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_profile(parser)


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the ids. Raises KeeperError, CommandFailed, OSError."""
    options = parser.read(arguments)
    print_result("".join(f"{each}\n" for each in _connections(keeper_of(options))))
    return 0


def _connections(keeper: Keeper) -> list[str]:
    answer = keeper.ask("GET", "/api/connections")
    if answer.problem == "not-found":
        raise exits.CommandFailed(
            "This deployment cannot list its connections. Name them: "
            "oauth-callback status CONNECTION…"
        )
    if not answer.is_success:
        raise error_of(answer)
    listed = answer.members.get("connections")
    if not isinstance(listed, list):
        raise NotConfigured("The member 'connections' of the answer is missing or malformed.")
    return [
        printable(each.get("connection") if isinstance(each, dict) else each) for each in listed
    ]

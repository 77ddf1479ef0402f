"""`oauth-callback status`: the state of connections, as a table or as JSON."""

from __future__ import annotations

import json

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_profile
from oauth_callback.cli.asking import keeper_of
from oauth_callback.cli.output import print_message, print_result
from oauth_callback.cli.states import COLUMNS, State, read_state, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("connections", nargs="*", metavar="CONNECTION", help="default: default")
    add_profile(parser)
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the states. Raises KeeperError, OSError."""
    options = parser.read(arguments)
    keeper = keeper_of(options)
    states = [read_state(keeper, each) for each in options.connections or [None]]
    if options.json:
        print_result(json.dumps([state.as_members() for state in states], indent=2) + "\n")
    else:
        print_result(table([COLUMNS, *(state.row() for state in states)]))
        for state in states:
            if state.error is not None:
                print_message(f"{state.connection}: {state.error}")
    return _code(states)


def _code(states: Sequence[State]) -> int:
    if any(state.needs_login for state in states):
        return exits.LOGIN_NEEDED
    is_well = all(state.is_usable and not state.members.get("action_required") for state in states)
    return 0 if is_well else exits.OTHER

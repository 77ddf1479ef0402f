"""`oauth-callback list`: the connections that the key may see, one a line or as JSON."""

from __future__ import annotations

import json

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_profile
from oauth_callback.cli.asking import keeper_of
from oauth_callback.cli.output import print_result
from oauth_callback.errors import NotConfigured, printable
from oauth_callback.keeper import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from oauth_callback.keeper import Keeper

_LARGEST_PAGE = 1000


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_profile(parser)
    parser.add_argument(
        "--state", metavar="STATE", help="only this state, or action-required; default: all"
    )
    parser.add_argument("--json", action="store_true", help="a JSON list, for programs")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the connections. Raises KeeperError, CommandFailed, OSError."""
    options = parser.read(arguments)
    found = list(_connections(keeper_of(options), options.state))
    if options.json:
        print_result(json.dumps(found, indent=2) + "\n")
    else:
        print_result("".join(f"{printable(each['connection'])}\n" for each in found))
    return 0


def _connections(keeper: Keeper, state: str | None) -> Iterator[Mapping[str, object]]:
    """Yield the connections of all pages."""
    after: str | None = None
    while True:
        members = _page(keeper, {"after": after, "limit": _LARGEST_PAGE, "state": state})
        yield from _read_page(members)
        following = members.get("next")
        if following is None:
            return
        if not isinstance(following, str) or (after is not None and following <= after):
            # Else a wrong answer would be asked for without end.
            raise NotConfigured("The member 'next' of the answer is malformed.")
        after = following


def _page(keeper: Keeper, params: Mapping[str, object]) -> Mapping[str, object]:
    answer = keeper.ask("GET", "/api/connections", params)
    if answer.problem == "not-found":
        raise exits.CommandFailed(
            "This deployment cannot list its connections. Update it, or name them: "
            "oauth-callback status CONNECTION…"
        )
    if not answer.is_success:
        raise error_of(answer)
    return answer.members


def _read_page(members: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    listed = members.get("connections")
    rows = listed if isinstance(listed, list) else [None]
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("connection"), str):
            raise NotConfigured("The member 'connections' of the answer is missing or malformed.")
        yield row

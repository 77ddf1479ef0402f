"""`oauth-callback adopt`: hands over a refresh token that another program got.

The token comes from a file or from stdin. An argument would be in the shell's history, and visible
to other users of the machine.
"""

from __future__ import annotations

import json
import sys

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection_option
from oauth_callback.cli.asking import keeper_of
from oauth_callback.cli.output import print_message, reason_of
from oauth_callback.errors import KeeperError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LARGEST = 64 * 1024
_MEMBERS = ("refresh_token", "scope", "id_token")
_REPLACEABLE = frozenset({"connection-in-use", "other-account"})


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    add_connection_option(parser)
    parser.add_argument("--file", metavar="PATH", help="default: stdin")
    parser.add_argument(
        "--replace", action="store_true", help="replace a working login, or another account's"
    )


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Send the token. Raises KeeperError, CommandFailed."""
    options = parser.read(arguments)
    body = _members(_read(options.file))
    params = {
        "connection": options.connection,
        "replace": "true" if options.replace else None,
    }
    keeper = keeper_of(options)
    try:
        answer = keeper.call("POST", "/api/adopt", params, body=body)
    except KeeperError as error:
        if error.problem in _REPLACEABLE:
            print_message("This command sends replace=true with --replace.")
        raise
    print_message(printable(answer.members.get("detail") or "The refresh token was adopted."))
    return 0


def _read(path: str | None) -> str:
    """Return the text. Raises CommandFailed."""
    try:
        if path is not None:
            with open(path, encoding="utf-8-sig") as file:
                return file.read(_LARGEST)
        if sys.stdin.isatty():
            from getpass import getpass

            return getpass("Refresh token: ")
        return sys.stdin.read(_LARGEST)
    except (OSError, EOFError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is empty"
        failure = f"Cannot read {path or 'stdin'}: {reason}."
    except ValueError:
        failure = f"{path or 'stdin'} is not UTF-8."
    raise exits.CommandFailed(failure)


def _members(text: str) -> Mapping[str, object]:
    """Return the members to send, of a JSON object or of a token alone. Raises CommandFailed."""
    text = text.strip()
    if not text:
        raise exits.CommandFailed("There is no refresh token on stdin.", code=exits.USAGE)
    if not text.startswith("{"):
        return {"refresh_token": text}
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict) or not members.get("refresh_token"):
        # Raised here, without the error of the parser, which has the text.
        raise exits.CommandFailed(
            "The file is not a JSON object with `refresh_token`.", code=exits.USAGE
        )
    return {name: members[name] for name in _MEMBERS if members.get(name) is not None}

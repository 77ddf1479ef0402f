"""`oauth-callback docker-credential`: answers docker as a credential helper.

https://github.com/docker/docker-credential-helpers. docker calls a helper by the name
`docker-credential-NAME`, so that a symbolic link `docker-credential-oauth-callback` is this
command. `docker-credential-oauth-callback-ID` is the same with the connection `ID`.
"""

from __future__ import annotations

import json
import sys

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection_option, add_token_options
from oauth_callback.cli.asking import ask_by
from oauth_callback.cli.output import print_message, print_result
from oauth_callback.errors import KeeperError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

_LARGEST_REQUEST = 64 * 1024
_OPERATIONS = ("get", "store", "erase", "list", "version")
_DEFAULT_USERNAME = "oauth2"
_USERNAMES = (
    # By the end of the registry's host, where the documentation demands a name.
    ("gcr.io", "oauth2accesstoken"),
    ("docker.pkg.dev", "oauth2accesstoken"),
    (".azurecr.io", "00000000-0000-0000-0000-000000000000"),
)


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument("operation", choices=_OPERATIONS, help="docker adds it")
    add_connection_option(parser)
    add_token_options(parser)
    parser.add_argument("--username", metavar="NAME", help="default: as the registry demands")


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Answer docker. Raises OSError."""
    options = parser.read(arguments)
    if options.operation == "get":
        return _get(options)
    if options.operation == "list":
        # It holds no credentials of its own, and answers for every registry.
        print_result("{}\n")
    elif options.operation == "version":
        from oauth_callback.keeper import VERSION

        print_result(f"oauth-callback {VERSION}\n")
    elif options.operation == "store":
        return _fail("oauth-callback stores no passwords. Remove it from `credHelpers`.")
    return 0


def _get(options: Namespace) -> int:
    server = sys.stdin.read(_LARGEST_REQUEST).strip()
    if not server.isprintable() or not server:
        return _fail("stdin is not the address of a registry.", exits.USAGE)
    try:
        token = ask_by(options).token
    except KeeperError as error:
        return _fail(str(error), exits.code_of(error))
    username = options.username or _username(server)
    document = {"ServerURL": server, "Username": username, "Secret": token.access_token}
    print_result(json.dumps(document) + "\n")
    return 0


def _username(server: str) -> str:
    host = server.partition("://")[2] or server
    host = host.partition("/")[0].partition(":")[0]
    return next((name for end, name in _USERNAMES if host.endswith(end)), _DEFAULT_USERNAME)


def _fail(message: str, code: int = exits.OTHER) -> int:
    """Report an error as the protocol demands: on stdout, which docker shows."""
    if sys.stderr is not None and sys.stderr.isatty() and sys.stdout.isatty():
        print_message(message)
    else:
        print_result(f"{message}\n")
    return code

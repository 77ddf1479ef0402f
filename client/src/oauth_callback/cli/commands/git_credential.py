"""`oauth-callback git-credential`: answers git as a credential helper (gitcredentials(7)).

git asks at each command, so that nothing is stored. After a refusal it reports the token by
`erase`, and the deployment gets another one.
"""

from __future__ import annotations

import sys

from oauth_callback.cli.arguments import Parser, add_connection_option, add_token_options
from oauth_callback.cli.asking import ask, keeper_of
from oauth_callback.cli.output import print_message, print_result
from oauth_callback.errors import KeeperError
from oauth_callback.settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

    from oauth_callback.tokens import Token

_DEFAULT_USERNAME = "oauth2"  # GitLab demands it; GitHub and Gitea take any name
_LARGEST_REQUEST = 64 * 1024
_AUTHTYPE = "authtype"  # git 2.46: schemes other than Basic


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    # git demands that a helper ignores an operation that it does not know.
    parser.add_argument("operation", metavar="get|store|erase", help="git adds it")
    add_connection_option(parser)
    add_token_options(parser)
    parser.add_argument(
        "--username", metavar="NAME", help=f"default: the one in the URL, else {_DEFAULT_USERNAME}"
    )
    parser.add_argument(
        "--bearer",
        action="store_true",
        help="use the scheme Bearer, if git can (2.46); else the token is the password",
    )


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Answer git. Raises KeeperError, OSError."""
    options = parser.read(arguments)
    if options.operation == "get":
        return _get(options, _read_request())
    if options.operation == "erase":
        _erase(options, _read_request())
    return 0


def _read_request() -> dict[str, str]:
    """Return the attributes of stdin. A name that ends with brackets appears once, with all."""
    request: dict[str, str] = {}
    for line in sys.stdin.read(_LARGEST_REQUEST).splitlines():
        name, separator, value = line.partition("=")
        if not separator:
            break
        is_list = name.endswith("[]") and name in request
        request[name] = f"{request[name]} {value}" if is_list else value
    return request


def _get(options: Namespace, request: Mapping[str, str]) -> int:
    host = request.get("host", "").rpartition(":")[0] or request.get("host", "")
    if request.get("protocol") == "http" and not is_loopback(host):
        print_message(
            f"The remote is http: the token would be sent unencrypted to {host!r}. Use https."
        )
        return _quit(1)
    try:
        answer = ask(
            keeper_of(options), options.connection, min_ttl=options.min_ttl, wait=options.wait
        )
    except KeeperError:
        # Else git would ask for a password, and wait for ever where nobody types one.
        _quit(0)
        raise
    lines = _credential(answer.token, options, request)
    if answer.token.expires_at is not None:
        lines.append(f"password_expiry_utc={int(answer.token.expires_at)}")
    print_result("".join(f"{line}\n" for line in lines))
    return 0


def _credential(token: Token, options: Namespace, request: Mapping[str, str]) -> list[str]:
    if options.bearer and _AUTHTYPE in request.get("capability[]", "").split():
        scheme, _, value = token.authorization.partition(" ")
        capability = f"capability[]={_AUTHTYPE}"
        return [capability, f"authtype={scheme}", f"credential={value}", "ephemeral=1"]
    username = options.username or request.get("username") or _DEFAULT_USERNAME
    return [f"username={username}", f"password={token.access_token}"]


def _quit(code: int) -> int:
    print_result("quit=1\n")
    return code


def _erase(options: Namespace, request: Mapping[str, str]) -> None:
    """Have a refused token replaced, if it is still the current one. Raises KeeperError."""
    refused = request.get("password") or request.get("credential")
    if not refused:
        return
    keeper = keeper_of(options)
    token = keeper.token(options.connection).token
    if token.access_token != refused:
        return
    if token.generation is None:
        keeper.refresh(options.connection)
    else:
        keeper.token(options.connection, refused=token.generation)

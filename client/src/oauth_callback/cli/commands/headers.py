"""`oauth-callback headers`: HTTP headers as JSON, for helpers that expect them.

- Claude's `headersHelper` runs a command, and reads an object of names and values.
- Bazel's credential helper runs it with `get`, and reads lists of values, and an expiry:
  https://github.com/EngFlow/credential-helper-spec
"""

from __future__ import annotations

import json
import sys

from oauth_callback.cli import exits
from oauth_callback.cli.arguments import Parser, add_connection_option, add_token_options
from oauth_callback.cli.asking import ask_by
from oauth_callback.cli.output import print_result
from oauth_callback.cli.times import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST_REQUEST = 64 * 1024


def add_arguments(parser: Parser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "operation", nargs="?", choices=["get"], help="answer Bazel, whose request is on stdin"
    )
    add_connection_option(parser)
    add_token_options(parser)


def run(parser: Parser, arguments: Sequence[str]) -> int:
    """Print the headers. Raises KeeperError, CommandFailed, OSError."""
    options = parser.read(arguments)
    is_bazel = options.operation == "get"
    if is_bazel:
        _check_request(sys.stdin.read(_LARGEST_REQUEST))
    token = ask_by(options).token
    document: dict[str, object] = {"Authorization": token.authorization}
    if is_bazel:
        document = {"headers": {"Authorization": [token.authorization]}}
        if (expires_at := rfc3339(token.expires_at)) is not None:
            document["expires"] = expires_at
    print_result(json.dumps(document) + "\n")
    return 0


def _check_request(text: str) -> None:
    """Refuse a request without an address, and one that would send the token unencrypted."""
    from urllib.parse import urlsplit

    from oauth_callback.settings import is_loopback

    try:
        uri = json.loads(text)["uri"]
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise exits.CommandFailed(
            'stdin is not a request. Use {"uri": "https://…"}.', code=exits.USAGE
        ) from None
    if parts.scheme == "http" and not is_loopback(host):
        raise exits.CommandFailed(
            f"The address is http: the token would be sent unencrypted to {host}. Use https."
        )

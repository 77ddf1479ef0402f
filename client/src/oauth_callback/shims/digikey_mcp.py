"""digikey_mcp and its forks: an MCP server that fetches one token when it starts.

Its token request gets a placeholder, and each call's headers get the keeper's token.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from oauth_callback.cli.exits import MISCONFIGURED, USAGE, CommandFailed
from oauth_callback.shims.programs import existing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any

    from oauth_callback.source import TokenSource

_TOKEN_PATH = "/v1/oauth2/token"
_PLACEHOLDER = {"access_token": "unused", "token_type": "Bearer", "expires_in": 10**9}


def run(source: TokenSource, arguments: Sequence[str]) -> None:
    """Run `PATH/digikey_mcp_server.py ARGUMENTS…`. Raises CommandFailed."""
    if not arguments:
        raise CommandFailed("Name the server: PATH/digikey_mcp_server.py.", code=USAGE)
    path = os.path.abspath(existing(arguments[0]))
    # The server refuses to start without it, and sends it nowhere.
    os.environ.setdefault("CLIENT_SECRET", "unused")
    server = _import_server(path)
    headers_of = getattr(server, "_get_headers", None)
    if headers_of is None or not hasattr(server, "main"):
        raise CommandFailed(
            f"{path} is not digikey_mcp: it has no _get_headers or main.", code=MISCONFIGURED
        )

    def get_headers(*given: object, **named: object) -> dict[str, str]:
        return {**headers_of(*given, **named), "Authorization": source.get().authorization}

    server._get_headers = get_headers  # type: ignore[attr-defined]  # noqa: SLF001 - its only place
    sys.argv = list(arguments)
    server.main()


def _import_server(path: str) -> ModuleType:
    """Import the server while token requests get a placeholder."""
    import requests

    post = requests.post

    def post_unless_token(url: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        return _Placeholder() if url.endswith(_TOKEN_PATH) else post(url, *given, **named)

    folder, name = os.path.split(path)
    sys.path.insert(0, folder)
    # Also later: some forks ask again before a token expires.
    requests.post = post_unless_token  # type: ignore[assignment]
    return import_module(name.rpartition(".")[0])


class _Placeholder:
    """An answer of the token endpoint, as far as such servers read one."""

    status_code = 200
    ok = True
    text = ""

    def json(self) -> dict[str, object]:
        return dict(_PLACEHOLDER)

    def raise_for_status(self) -> None:
        """Do nothing."""

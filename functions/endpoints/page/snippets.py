"""Snippets to copy: how programs get this connection's token. None has the API key."""

from collections.abc import Sequence
from html import escape
from shlex import quote as shell
from typing import NamedTuple
from urllib.parse import quote

from domain.connection import DEFAULT_CONNECTION

KEY = "$API_KEY"


class Snippet(NamedTuple):
    """One way to get a token."""

    title: str
    text: str


def snippets_for(address: str, connection: str) -> Sequence[Snippet]:
    """Return the snippets of a connection. `address`: PUBLIC_URL."""
    is_default = connection == DEFAULT_CONNECTION
    query = "" if is_default else f"?connection={quote(connection, safe='')}"
    argument = "" if is_default else f"connection={connection!r}"
    client = f"export OAUTH_CALLBACK_URL={shell(address)} OAUTH_CALLBACK_KEY=KEY"
    return (
        Snippet("curl", f'curl -sS -H "x-api-key: {KEY}" {shell(f"{address}/api/token{query}")}'),
        Snippet(
            "Python",
            f"# {client}\n"
            "from oauth_callback import TokenSource\n\n"
            f"source = TokenSource({argument})\n"
            'headers = {"Authorization": f"Bearer {source.token()}"}',
        ),
        Snippet(
            "Command line",
            f"{client}\noauth-callback token{'' if is_default else f' {shell(connection)}'}",
        ),
        Snippet(
            "Token URL",
            f"token URL:     {address}/api/oauth/token{query}\n"
            "grant type:    client_credentials\n"
            "client id:     any text\n"
            "client secret: the API key",
        ),
    )


def snippets_part(address: str, connection: str) -> str:
    """Return the snippets as a part of a page, each of them closed at first."""
    parts = "".join(
        f"<details><summary>{escape(each.title)}</summary>"
        f'<pre tabindex="0"><code>{escape(each.text)}</code></pre></details>'
        for each in snippets_for(address, connection)
    )
    return f"<h2>Get a token</h2>{parts}"

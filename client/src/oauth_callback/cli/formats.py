"""A token as text, in each format of `oauth-callback token`."""

from __future__ import annotations

from oauth_callback.cli.times import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.tokens import TokenAnswer


def plain(answer: TokenAnswer) -> str:
    """Return the token alone."""
    return f"{answer.token.access_token}\n"


def header(answer: TokenAnswer) -> str:
    """Return the line of an HTTP header, for `curl -H @-`."""
    return f"Authorization: {answer.token.authorization}\n"


def as_json(answer: TokenAnswer) -> str:
    """Return the members of `GET /api/token`, with `expires_at_unix` in epoch seconds."""
    import json

    token = answer.token
    members: dict[str, object] = {
        "access_token": token.access_token,
        "token_type": token.token_type,
        "expires_in": None if answer.expires_in is None else int(answer.expires_in),
        "expires_at": rfc3339(token.expires_at),
        "expires_at_unix": None if token.expires_at is None else int(token.expires_at),
        "scope": token.scope,
        "generation": token.generation,
    }
    if token.extra:
        members["extra"] = token.extra
    return json.dumps(members) + "\n"


def curl(answer: TokenAnswer) -> str:
    """Return a line of a configuration file, for `curl -K -`."""
    token = answer.token
    if token.token_type.lower() == "bearer":
        # curl sends it to no other host after a redirect.
        return f"oauth2-bearer = {_curl_quoted(token.access_token)}\n"
    return f"header = {_curl_quoted(f'Authorization: {token.authorization}')}\n"


def env(answer: TokenAnswer) -> str:
    """Return an assignment of a POSIX shell."""
    return f"ACCESS_TOKEN={_shell_quoted(answer.token.access_token)}\n"


FORMATS = {"plain": plain, "header": header, "json": as_json, "curl": curl, "env": env}


def _curl_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _shell_quoted(text: str) -> str:
    from shlex import quote

    return quote(text)

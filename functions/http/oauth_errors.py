"""Errors of the token endpoint (RFC 6749 §5.2): the one translation of problems to their codes."""

import re
from collections.abc import Mapping
from http import HTTPStatus

from functions.http.messages import Response
from functions.http.problems import Problem

# RFC 6749 §5.1 demands it of every answer with a token, and its example of an error has it.
NO_CACHE = ("pragma", "no-cache")
_CHALLENGE = ("www-authenticate", 'Basic realm="oauth-callback"')

# RFC 6749 §5.2: 400 for all but `invalid_client`.
_ERRORS: Mapping[str, tuple[HTTPStatus, str]] = {
    "api-key-invalid": (HTTPStatus.UNAUTHORIZED, "invalid_client"),
    "api-key-missing": (HTTPStatus.UNAUTHORIZED, "invalid_client"),
    "authorization-required": (HTTPStatus.BAD_REQUEST, "invalid_grant"),
    # The grant is no longer here: a client must not retry.
    "connection-moved": (HTTPStatus.BAD_REQUEST, "invalid_grant"),
    "key-not-allowed": (HTTPStatus.BAD_REQUEST, "unauthorized_client"),
}
# RFC 6749 §4.1.2.1 has these codes for a redirect. Clients know them, and no other ones.
_PASSING = frozenset({HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS})
_TEMPORARY, _SERVER, _CLIENT = "temporarily_unavailable", "server_error", "invalid_request"

# RFC 6749 §5.2: %x20-21 / %x23-5B / %x5D-7E, which is without `"` and `\`.
_UNWRITABLE = re.compile(r"[^ !#-\[\]-~]")
# Others become a question mark.
_ASCII = {'"': "'", "\\": "/", "…": "...", "\u201c": "'", "\u201d": "'", "\u2019": "'"}


def error_of(name: str, status: int) -> tuple[int, str]:
    """Return the status and the code at the token endpoint of a problem with a status."""
    if name in _ERRORS:
        return _ERRORS[name]
    if status in _PASSING:
        return status, _TEMPORARY
    is_server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return status, _SERVER if is_server_error else _CLIENT


def error_response(found: Problem) -> Response:
    """Write a problem as an error of RFC 6749 §5.2, with its Retry-After."""
    status, code = error_of(found.name, found.status)
    members = {
        "error": found.oauth_error or code,
        "error_description": _description(found.detail),
    }
    headers = tuple(header for header in found.headers if header[0] != "www-authenticate")
    challenge = (_CHALLENGE,) if status == HTTPStatus.UNAUTHORIZED else ()
    return Response.json(status, members, headers=(*headers, *challenge, NO_CACHE))


def _description(text: str) -> str:
    return _UNWRITABLE.sub(lambda found: _ASCII.get(found.group(), "?"), text)

"""Reads the refresh token to adopt: a form, a JSON file of another program, or the token alone."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from functions.http.parameters import MalformedRequestError, parse_parameters

# RFC 6749 §A.17: visible ASCII. A space inside is a mistake of pasting.
_TOKEN = re.compile(r"[!-~]+")
# RFC 6749 §A.4.
_SCOPE = re.compile(r"[ !#-\[\]-~]*")
# They belong in the query. In the body they would be ignored, as members of a file are.
_PARAMETERS = ("connection", "replace")
_WANTED = "Send a form or JSON object with `refresh_token`, or the token alone as text/plain."


class UnreadableTokensError(Exception):
    """There is no usable refresh token. The message names the member, and never its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedBody:
    """A refresh token of another program, and what its file has next to it."""

    refresh_token: str = field(repr=False)
    scope: str | None = None
    id_token: str | None = field(default=None, repr=False)


def read_form(body: bytes) -> AdoptedBody:
    """Read a form. Raises UnreadableTokensError."""
    try:
        return _tokens(parse_parameters(body.strip()))
    except MalformedRequestError as error:
        raise UnreadableTokensError(str(error)) from error


def read_text(body: bytes) -> AdoptedBody:
    """Read a JSON object, or a refresh token alone. Raises UnreadableTokensError."""
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UnreadableTokensError(f"The body is not UTF-8. {_WANTED}") from error
    return _tokens(_members(text) if text.startswith("{") else {"refresh_token": text})


def _members(text: str) -> Mapping[str, object]:
    try:
        members = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UnreadableTokensError(f"The body is not a JSON object. {_WANTED}") from error
    # It begins with a brace.
    return cast("Mapping[str, object]", members)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    for name in ("refresh_token", "scope", "id_token"):
        if sum(each == name for each, _ in pairs) > 1:
            raise UnreadableTokensError(f"The member {name} appears more than once. Send it once.")
    return members


def _tokens(members: Mapping[str, object]) -> AdoptedBody:
    for name in _PARAMETERS:
        if name in members:
            raise UnreadableTokensError(f"Send {name} in the query instead of the body.")
    token, scope, id_token = (members.get(name) for name in ("refresh_token", "scope", "id_token"))
    if token is None or token == "":
        raise UnreadableTokensError(f"The member refresh_token is missing. {_WANTED}")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token.strip()):
        raise UnreadableTokensError(
            "Invalid refresh_token. Use a text of visible ASCII characters, without spaces."
        )
    if scope is not None and (not isinstance(scope, str) or not _SCOPE.fullmatch(scope)):
        raise UnreadableTokensError("Invalid scope. Use a text of names, separated by spaces.")
    if id_token is not None and not isinstance(id_token, str):
        raise UnreadableTokensError("Invalid id_token. Use a text, or leave it out.")
    return AdoptedBody(refresh_token=token.strip(), scope=scope or None, id_token=id_token or None)

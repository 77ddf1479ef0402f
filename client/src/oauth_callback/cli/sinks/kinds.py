"""The contents of a token file, by the program that reads it. Never a refresh token."""

from __future__ import annotations

import json

from oauth_callback.cli.formats import as_json, plain
from oauth_callback.cli.times import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from oauth_callback.tokens import TokenAnswer

_NEVER = 4102444800
"""2100-01-01 in epoch seconds, for a program that needs an expiry."""


def digikey_api(answer: TokenAnswer) -> str:
    """Return the `token_storage.json` of digikey-api, and of KiCost's plug-ins.

    `expires` is the true time: with a file that nobody renews, these programs stop.
    """
    expires_at = answer.token.expires_at
    members = {
        "access_token": answer.token.access_token,
        "token_type": "Bearer",
        "expires_in": _NEVER if answer.expires_in is None else int(answer.expires_in),
        "expires": _NEVER if expires_at is None else int(expires_at),
    }
    return json.dumps(members) + "\n"


def rclone(answer: TokenAnswer) -> str:
    """Return the value of `token` in rclone's configuration, Go's `oauth2.Token`."""
    token = answer.token
    members = {"access_token": token.access_token, "token_type": token.token_type}
    if (expires_at := rfc3339(token.expires_at)) is not None:
        members["expiry"] = expires_at
    return json.dumps(members) + "\n"


KINDS = {
    "digikey-api": digikey_api,
    "kicost": digikey_api,
    "plain": plain,
    "json": as_json,
    "rclone": rclone,
}

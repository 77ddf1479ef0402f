"""HTTP Basic credentials (RFC 7617)."""

import binascii
from base64 import b64decode
from dataclasses import dataclass, field

from functions.access.credentials import values_of_scheme
from functions.http.messages import Request
from functions.http.problems import problem


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """The user and password of `Authorization: Basic …` (RFC 7617 §2), as they were sent."""

    user: bytes
    password: bytes = field(repr=False)


def basic_credentials(request: Request) -> list[BasicCredentials]:
    """Return the credentials of each `Authorization: Basic …`. Raises ProblemError."""
    return [_decode(value) for value in values_of_scheme(request, b"basic")]


def _decode(value: bytes) -> BasicCredentials:
    try:
        user, colon, password = b64decode(value, validate=True).partition(b":")
    except binascii.Error:
        user, colon, password = b"", b"", b""
    if not colon:
        raise problem(
            "api-key-invalid",
            "Malformed `Authorization: Basic`. Send the base64 of `USER:KEY` (RFC 7617).",
        )
    return BasicCredentials(user=user, password=password)

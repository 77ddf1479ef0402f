"""The credentials in a request's headers. Those in a URL are ignored, because URLs are logged."""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field

from functions.http.messages import Request
from functions.http.problems import problem

# The base64url of `{"`.
_JWT_START = b"eyJ"
_JWT_DOTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredentials:
    """The user and password of `Authorization: Basic …` (RFC 7617 §2), as they were sent."""

    user: bytes
    password: bytes = field(repr=False)


# Browsers add cached Basic credentials to requests that other sites cause. So they count only where
# a request changes nothing that a person would miss.
_WITH_BASIC = frozenset({"/api/token", "/api/verify"})
_READS = frozenset({"GET", "HEAD"})
# Fetch Metadata: a browser says that the request is its user's own, or of a page of this origin.
_OWN_SITES = frozenset({b"none", b"same-origin"})


def api_keys_in(request: Request) -> list[bytes]:
    """Return every API key of the request; the password of HTTP Basic only if there is no other.

    Raises ProblemError.
    """
    if uses_basic(request):
        return [found.password for found in basic_credentials(request)]
    return keys_in_headers(request)


def uses_basic(request: Request) -> bool:
    """Whether the request authenticates by HTTP Basic, and may."""
    is_read = request.method in _READS and request.path.rstrip("/") in _WITH_BASIC
    if not is_read or keys_in_headers(request):
        return False
    is_own = _OWN_SITES.issuperset(request.header_values(b"sec-fetch-site"))
    return is_own and bool(_of_scheme(request, b"basic"))


def keys_in_headers(request: Request) -> list[bytes]:
    """Return every API key of `x-api-key` and `Authorization: Bearer`."""
    return [*map(bytes.strip, request.header_values(b"x-api-key")), *bearer_tokens(request)]


def identity_token(given: Iterable[bytes]) -> bytes | None:
    """Return the only credential that is given, if it has the form of a JWT (RFC 7519 §3)."""
    different = set(given)
    token = different.pop() if len(different) == 1 else b""
    return token if token.startswith(_JWT_START) and token.count(b".") == _JWT_DOTS else None


def bearer_tokens(request: Request) -> list[bytes]:
    """Return the values of `Authorization: Bearer …` (RFC 6750 §2.1)."""
    return _of_scheme(request, b"bearer")


def basic_credentials(request: Request) -> list[BasicCredentials]:
    """Return the credentials of each `Authorization: Basic …`. Raises ProblemError."""
    return [_decode(value) for value in _of_scheme(request, b"basic")]


def _of_scheme(request: Request, scheme: bytes) -> list[bytes]:
    values = [value.strip().partition(b" ") for value in request.header_values(b"authorization")]
    return [value.strip() for given, _, value in values if given.lower() == scheme]


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

"""The credentials in a request's headers. Those in a URL are ignored, because URLs are logged."""

from collections.abc import Iterable

from functions.http.messages import Request

# The base64url of `{"`.
_JWT_START = b"eyJ"
_JWT_DOTS = 2


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
        # Imported here, because a fresh token seldom needs it.
        from functions.access.basic import basic_credentials

        return [found.password for found in basic_credentials(request)]
    return keys_in_headers(request)


def uses_basic(request: Request) -> bool:
    """Whether the request authenticates by HTTP Basic, and may."""
    is_read = request.method in _READS and request.path.rstrip("/") in _WITH_BASIC
    if not is_read or keys_in_headers(request):
        return False
    is_own = _OWN_SITES.issuperset(request.header_values(b"sec-fetch-site"))
    return is_own and bool(values_of_scheme(request, b"basic"))


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
    return values_of_scheme(request, b"bearer")


def values_of_scheme(request: Request, scheme: bytes) -> list[bytes]:
    """Return the values of `Authorization` with this scheme, which is in lower case."""
    values = [value.strip().partition(b" ") for value in request.header_values(b"authorization")]
    return [value.strip() for given, _, value in values if given.lower() == scheme]

"""Who may ask: the API key, compared in constant time."""

from hmac import compare_digest

from functions.messages import Request
from functions.problems import problem

_HOW = "send it as `x-api-key: KEY` or `Authorization: Bearer KEY`"


def require_api_key(request: Request, api_key: str) -> None:
    """Let the request pass if it carries the key. Raises ProblemError (RFC 6750 §3).

    The key is taken from headers only: URLs end up in logs.
    """
    given = _keys(request)
    if not given:
        raise problem("api-key-missing", f"this endpoint needs the deployment's API key: {_HOW}")
    # Every key is compared, so that which one differs does not show either.
    matches = [compare_digest(key, api_key.encode("ascii")) for key in given]
    if not api_key or not all(matches):
        raise problem("api-key-invalid", f"the API key is not the deployment's: {_HOW}")


def _keys(request: Request) -> list[bytes]:
    keys = [value.strip() for value in request.header_values(b"x-api-key")]
    for value in request.header_values(b"authorization"):
        scheme, _, credentials = value.strip().partition(b" ")
        if scheme.lower() == b"bearer":
            keys.append(credentials.strip())
    return keys

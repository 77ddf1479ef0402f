"""The headers of responses."""

from collections.abc import Mapping

from functions.endpoints.promises.operation import JsonObject

# By component name: the name in HTTP, and its description.
_HEADERS: Mapping[str, tuple[str, JsonObject]] = {
    "CacheControl": (
        "Cache-Control",
        {"description": "Responses must not be cached.", "schema": {"const": "no-store"}},
    ),
    "ContentTypeOptions": (
        "X-Content-Type-Options",
        {"description": "Browsers must not guess the type.", "schema": {"const": "nosniff"}},
    ),
    "RequestId": (
        "X-Request-Id",
        {
            "description": "The request's id in the log: the platform's, or the request's own "
            "`X-Request-Id`, or a new one.",
            "schema": {"type": "string", "minLength": 1},
        },
    ),
    "RetryAfter": (
        "Retry-After",
        {
            "description": "Seconds to wait before a retry.",
            "schema": {"type": "integer", "minimum": 1},
        },
    ),
    "Location": (
        "Location",
        {
            "description": "The provider's authorization URL.",
            "schema": {"type": "string", "format": "uri"},
        },
    ),
    "Link": (
        "Link",
        {
            "description": 'The next page, with `rel="next"` (RFC 8288). Missing on the last.',
            "schema": {"type": "string"},
            "required": False,
        },
    ),
    "SetCookie": (
        "Set-Cookie",
        {"description": "A cookie for this login only.", "schema": {"type": "string"}},
    ),
    "Challenge": (
        "WWW-Authenticate",
        {"description": "How to authenticate (RFC 6750 §3).", "schema": {"type": "string"}},
    ),
    "ServerTiming": (
        "Server-Timing",
        {
            "description": "Milliseconds spent on `store`, `provider` and in `total`, with the "
            "number of round trips (W3C Server Timing). Only for authenticated requests.",
            "schema": {"type": "string"},
            "required": False,
        },
    ),
}

COMPONENTS: Mapping[str, JsonObject] = {
    name: {"required": True, **header} for name, (_, header) in _HEADERS.items()
}
"""The headers, by the names that `references` takes."""


def references(*names: str) -> dict[str, JsonObject]:
    """Refer to COMPONENTS, by the names in HTTP."""
    return {_HEADERS[name][0]: {"$ref": f"#/components/headers/{name}"} for name in names}

"""Problem documents (RFC 9457): every error response, with its stable type."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from functions.http.messages import Response

TYPE_PREFIX = "urn:oauth-callback:problem:"
INSTANCE_PREFIX = "urn:oauth-callback:request:"
REALM = 'Bearer realm="oauth-callback"'
BASIC_CHALLENGE = ("www-authenticate", 'Basic realm="oauth-callback", charset="UTF-8"')
"""The header that a 401 has as well, if the request used HTTP Basic (RFC 7617 §2)."""

# RFC 6750 §3.1: the `error` of a challenge, if the request has a key.
_CHALLENGE_ERRORS = MappingProxyType(
    {"api-key-invalid": "invalid_token", "key-not-allowed": "insufficient_scope"}
)

# Errors of the client: `functions.access.limits` counts them.
CLIENT_ERRORS = frozenset(
    {
        "api-key-invalid",
        "api-key-missing",
        "cron-secret-required",
        "invalid-link",
        "invalid-request",
        "invalid-state",
        "key-not-allowed",
    }
)

# Name to status and title.
PROBLEMS: Mapping[str, tuple[HTTPStatus, str]] = {
    "adoption-refused": (HTTPStatus.BAD_GATEWAY, "The provider refused the refresh token"),
    "api-key-invalid": (HTTPStatus.UNAUTHORIZED, "Invalid API key"),
    "api-key-missing": (HTTPStatus.UNAUTHORIZED, "API key required"),
    "authorization-refused": (HTTPStatus.BAD_REQUEST, "The provider refused the login"),
    "authorization-required": (HTTPStatus.UNAUTHORIZED, "Login required"),
    "client-refused": (HTTPStatus.BAD_GATEWAY, "The provider refuses this client"),
    "code-refused": (HTTPStatus.BAD_GATEWAY, "The provider refused to exchange the code"),
    "connection-in-use": (HTTPStatus.CONFLICT, "The connection works"),
    # RFC 9110 §15.5.11: permanent, so that clients do not retry.
    "connection-moved": (HTTPStatus.GONE, "Connection moved"),
    "cron-secret-required": (HTTPStatus.UNAUTHORIZED, "CRON_SECRET required"),
    "invalid-link": (HTTPStatus.BAD_REQUEST, "Invalid login link"),
    "invalid-request": (HTTPStatus.BAD_REQUEST, "Invalid request"),
    "invalid-state": (HTTPStatus.BAD_REQUEST, "Unknown or expired login"),
    "issuer-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Issuer unavailable"),
    "key-not-allowed": (HTTPStatus.FORBIDDEN, "API key not allowed"),
    "login-not-needed": (HTTPStatus.CONFLICT, "No login required"),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "Method not allowed"),
    "not-authorized": (HTTPStatus.NOT_FOUND, "Login required"),
    "not-configured": (HTTPStatus.INTERNAL_SERVER_ERROR, "Invalid configuration"),
    "not-found": (HTTPStatus.NOT_FOUND, "Not found"),
    "other-account": (HTTPStatus.CONFLICT, "A different account logged in"),
    "other-browser": (HTTPStatus.BAD_REQUEST, "This login started in a different browser"),
    "other-issuer": (HTTPStatus.BAD_REQUEST, "This login came from a different provider"),
    "prefetch-refused": (HTTPStatus.SERVICE_UNAVAILABLE, "Prefetch refused"),
    "provider-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Provider unavailable"),
    "record-unreadable": (HTTPStatus.INTERNAL_SERVER_ERROR, "Stored record unreadable"),
    "refresh-in-progress": (HTTPStatus.SERVICE_UNAVAILABLE, "Refresh in progress"),
    "refresh-too-early": (HTTPStatus.SERVICE_UNAVAILABLE, "Too early to refresh"),
    "refused-for-now": (HTTPStatus.SERVICE_UNAVAILABLE, "The provider refuses to refresh for now"),
    "refused-without-reason": (HTTPStatus.BAD_GATEWAY, "The provider refuses to refresh"),
    "settings-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Configuration unavailable"),
    "store-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Store unavailable"),
    "token-refused-again": (HTTPStatus.SERVICE_UNAVAILABLE, "Token refused again"),
    "too-many-failures": (HTTPStatus.TOO_MANY_REQUESTS, "Too many failed requests"),
    "unexpected": (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal error"),
}


class Problem(NamedTuple):
    """One error: `name` for programs, `detail` for a person.

    `on_page` replaces `detail` on a page, whose reader has no API key. `logged` is a log line; it
    is dropped if the client made too many errors. `oauth_error` is its code at the token endpoint,
    if that is another than its name has (`functions.http.oauth_errors`).
    """

    # A tuple, because every cold start makes this class: a dataclass takes five times as long.

    name: str
    detail: str
    status: int
    headers: tuple[tuple[str, str], ...]
    members: Mapping[str, object]
    on_page: str = ""
    logged: str = ""
    oauth_error: str = ""

    @property
    def title(self) -> str:
        """The title of all problems of this type."""
        return PROBLEMS[self.name][1]

    def response(self, *, request_id: str | None) -> Response:
        """Write the problem document; `instance` names the request."""
        # RFC 9457 §3.1.5: a URI that identifies this occurrence; it need not resolve.
        instance = {} if request_id is None else {"instance": INSTANCE_PREFIX + request_id}
        members = {
            "type": TYPE_PREFIX + self.name,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **instance,
            **self.members,
        }
        return Response.json(
            self.status, members, content_type="application/problem+json", headers=self.headers
        )


class ProblemError(Exception):
    """The response is this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.name)
        self.problem = problem


def problem(
    name: str,
    detail: str,
    *,
    status: int | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    retry_after: int | None = None,
    members: Mapping[str, object] = MappingProxyType({}),
    on_page: str = "",
    logged: str = "",
    oauth_error: str = "",
) -> ProblemError:
    """Make a problem to raise; `retry_after` is in seconds, `members` are added to the document."""
    if retry_after is not None:
        headers = (*headers, ("retry-after", str(retry_after)))
    error = _CHALLENGE_ERRORS.get(name)
    if error or (status or PROBLEMS[name][0]) == HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §15.5.2: a 401 has a challenge.
        challenge = f'{REALM}, error="{error}"' if error else REALM
        headers = (*headers, ("www-authenticate", challenge))
    return ProblemError(
        Problem(
            name=name,
            detail=detail,
            status=status or PROBLEMS[name][0],
            headers=headers,
            members=members,
            on_page=on_page,
            logged=logged,
            oauth_error=oauth_error,
        )
    )

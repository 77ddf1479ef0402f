"""Problem documents (RFC 9457): every error the application answers, with its stable type."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from functions.http.messages import Response

TYPE_PREFIX = "urn:oauth-callback:problem:"
INSTANCE_PREFIX = "urn:oauth-callback:request:"
REALM = 'Bearer realm="oauth-callback"'

# RFC 6750 §3.1: what a challenge says to who has shown a key.
_CHALLENGED_WITH = MappingProxyType(
    {"api-key-invalid": "invalid_token", "key-not-allowed": "insufficient_scope"}
)

# What goes wrong by whoever asks, and goes on like that: `functions.access.limits` counts it.
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
    "api-key-invalid": (HTTPStatus.UNAUTHORIZED, "This API key is not accepted"),
    "api-key-missing": (HTTPStatus.UNAUTHORIZED, "An API key is needed"),
    "authorization-refused": (HTTPStatus.BAD_REQUEST, "The provider did not authorize the login"),
    "authorization-required": (HTTPStatus.UNAUTHORIZED, "A person has to log in"),
    "client-refused": (HTTPStatus.BAD_GATEWAY, "The provider refuses this client"),
    "code-refused": (HTTPStatus.BAD_GATEWAY, "The provider refused to exchange the code"),
    # Gone (RFC 9110 §15.5.11): to come back later is of no use, to ask elsewhere is.
    "connection-moved": (HTTPStatus.GONE, "Another deployment has this connection"),
    "cron-secret-required": (HTTPStatus.UNAUTHORIZED, "The sweep's secret is needed"),
    "invalid-link": (HTTPStatus.BAD_REQUEST, "This link begins no login"),
    "invalid-request": (HTTPStatus.BAD_REQUEST, "The request cannot be understood"),
    "invalid-state": (HTTPStatus.BAD_REQUEST, "This login is not known"),
    "key-not-allowed": (HTTPStatus.FORBIDDEN, "This API key is not for that"),
    "login-not-needed": (HTTPStatus.CONFLICT, "This connection needs no login"),
    "method-not-allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "The method is not allowed here"),
    "not-authorized": (HTTPStatus.NOT_FOUND, "There is no living authorization"),
    "not-configured": (
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The deployment's configuration is not usable",
    ),
    "not-found": (HTTPStatus.NOT_FOUND, "There is nothing here"),
    "other-account": (HTTPStatus.CONFLICT, "Another account than before has logged in"),
    "other-browser": (HTTPStatus.BAD_REQUEST, "This login began in another browser"),
    "other-issuer": (HTTPStatus.BAD_REQUEST, "This login comes from another provider"),
    "prefetch-refused": (HTTPStatus.SERVICE_UNAVAILABLE, "A login waits for its person"),
    "provider-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The provider is not available"),
    "record-unreadable": (HTTPStatus.INTERNAL_SERVER_ERROR, "What is stored cannot be read"),
    "refresh-in-progress": (HTTPStatus.SERVICE_UNAVAILABLE, "A refresh is going on"),
    "refused-for-now": (HTTPStatus.SERVICE_UNAVAILABLE, "The provider refuses to refresh for now"),
    "refused-without-reason": (HTTPStatus.BAD_GATEWAY, "The provider refuses to refresh"),
    "settings-unavailable": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The deployment's configuration cannot be read now",
    ),
    "store-unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "The store is not available"),
    "too-many-failures": (HTTPStatus.TOO_MANY_REQUESTS, "Too many requests were refused"),
    "unexpected": (HTTPStatus.INTERNAL_SERVER_ERROR, "Something unexpected went wrong"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error: what it is for a program (`name`), and what to do for a person (`detail`).

    `logged` is told to the log, unless there were too many of the kind.
    """

    name: str
    detail: str
    status: int
    headers: tuple[tuple[str, str], ...]
    members: Mapping[str, object]
    logged: str = ""

    @property
    def title(self) -> str:
        """What all problems of this type have in common."""
        return PROBLEMS[self.name][1]

    def response(self, *, request_id: str | None) -> Response:
        """Write the problem document, of the request with this id."""
        # RFC 9457 §3.1.5: a URI that tells this occurrence from others, and leads nowhere.
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
    """The request ends with a problem."""

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
) -> ProblemError:
    """Make a problem to raise; `retry_after` is in seconds, `members` are added to the document."""
    if retry_after is not None:
        headers = (*headers, ("retry-after", str(retry_after)))
    error = _CHALLENGED_WITH.get(name)
    if error or (status or PROBLEMS[name][0]) == HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §15.5.2: a 401 says how to authenticate.
        challenge = f'{REALM}, error="{error}"' if error else REALM
        headers = (*headers, ("www-authenticate", challenge))
    return ProblemError(
        Problem(
            name=name,
            detail=detail,
            status=status or PROBLEMS[name][0],
            headers=headers,
            members=members,
        )
    )

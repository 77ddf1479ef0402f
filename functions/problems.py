"""Problem documents (RFC 9457): every error the application answers, with its stable type."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from functions.messages import Response

TYPE_PREFIX = "urn:oauth-callback:problem:"
REALM = 'Bearer realm="oauth-callback"'

_TITLES = {
    "api-key-invalid": (401, "This API key is not accepted"),
    "api-key-missing": (401, "An API key is needed"),
    "authorization-refused": (400, "The provider did not authorize the login"),
    "authorization-required": (401, "A person has to log in"),
    "client-refused": (502, "The provider refuses this client"),
    "code-refused": (502, "The provider refused to exchange the code"),
    "invalid-request": (400, "The request cannot be understood"),
    "invalid-state": (400, "This login is not known"),
    "method-not-allowed": (405, "The method is not allowed here"),
    "not-authorized": (404, "There is no living authorization"),
    "not-configured": (500, "The deployment's configuration is not usable"),
    "not-found": (404, "There is nothing here"),
    "provider-unavailable": (503, "The provider is not available"),
    "record-unreadable": (500, "What is stored cannot be read"),
    "refresh-in-progress": (503, "A refresh is going on"),
    "refused-without-reason": (502, "The provider refuses and does not say why"),
    "store-unavailable": (503, "The store is not available"),
    "unexpected": (500, "Something unexpected went wrong"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error: what it is for a program (`name`), and what to do for a person (`detail`)."""

    name: str
    detail: str
    status: int
    headers: tuple[tuple[str, str], ...]
    members: Mapping[str, object]

    @property
    def title(self) -> str:
        """What all problems of this type have in common."""
        return _TITLES[self.name][1]

    def response(self) -> Response:
        """Write the problem document."""
        members = {
            "type": TYPE_PREFIX + self.name,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
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
    if (status or _TITLES[name][0]) == HTTPStatus.UNAUTHORIZED:
        # RFC 9110 §15.5.2: a 401 says how to authenticate.
        error = ', error="invalid_token"' if name == "api-key-invalid" else ""
        headers = (*headers, ("www-authenticate", REALM + error))
    return ProblemError(
        Problem(
            name=name,
            detail=detail,
            status=status or _TITLES[name][0],
            headers=headers,
            members=members,
        )
    )

"""When each type of problem occurs, and its members beyond RFC 9457."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from functions.endpoints.promises.operation import Schema
from functions.endpoints.promises.schemas import (
    CAUSE,
    HISTORY,
    LOGIN,
    OPTIONAL_STATUS,
    STATES,
    STATUS,
    object_with,
)
from functions.http.problems import INSTANCE_PREFIX, PROBLEMS, TYPE_PREFIX

_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """When a problem occurs, in Markdown, and its statuses: the usual one first."""

    statuses: tuple[int, ...]
    when: str

    @property
    def description(self) -> str:
        """`when` without links, which lead nowhere outside of `docs/`."""
        return _LINK.sub(r"\1", self.when)


OCCURRENCES: Mapping[str, Occurrence] = {
    "api-key-missing": Occurrence((401,), "the request has no API key"),
    "api-key-invalid": Occurrence(
        (401,),
        "the API key is unknown or has expired, or the request has two different ones. Or the "
        "request has an [identity token](callers.md), and no entry of `CALLERS` accepts it",
    ),
    "issuer-unavailable": Occurrence(
        (503,),
        "the request has an [identity token](callers.md), and the keys of its issuer cannot be "
        "read now",
    ),
    "key-not-allowed": Occurrence(
        (403,),
        "the API key is valid, but not for this endpoint or connection, by its entry in `API_KEYS` "
        "or `CALLERS`",
    ),
    "cron-secret-required": Occurrence(
        (401,),
        "the sweep was called without the `CRON_SECRET`, or with a wrong one",
    ),
    "adoption-refused": Occurrence(
        (502,),
        "the provider refused the refresh token that was sent to `POST /api/adopt`; nothing was "
        "adopted, and the earlier grant stays",
    ),
    "connection-in-use": Occurrence(
        (409,),
        "tokens were sent to `POST /api/adopt` for a connection that works. They were not used; "
        "`replace=true` replaces the grant",
    ),
    "connection-moved": Occurrence(
        (410,),
        "the connection was [handed over](moving.md) to another deployment: use that one, retrying "
        "does not help",
    ),
    "authorization-required": Occurrence((401,), "a person has to log in to get a token"),
    "not-authorized": Occurrence(
        (404,),
        "`verify`: the refresh token has expired or was refused, or none exists, for example "
        "after a revocation",
    ),
    "invalid-request": Occurrence(
        (400, 408, 413, 414, 431),
        "parameters, headers or body are malformed, too large or too slow, or parameters are in "
        "the body instead of the query",
    ),
    "invalid-state": Occurrence(
        (400,),
        "the callback's state is missing, unknown, expired or used, or its connection was "
        "revoked since the login began",
    ),
    "invalid-link": Occurrence(
        (400,),
        "the login link is unknown, expired, used, or older than a revocation of the "
        "connection. Or a page of another origin sent it",
    ),
    "login-not-needed": Occurrence(
        (409,),
        "the link is valid, but the connection works without a login; replacing that login "
        "needs the API key. Or [`GRANT`](client-credentials.md) is `client_credentials`, and no "
        "connection needs a login",
    ),
    "other-account": Occurrence(
        (409,),
        "a different account logged in than before, or the provider did not identify it this "
        "time. The working login stays. `POST /api/login?replace=true` starts a login that "
        "changes the account. Or adopted tokens are of a different account",
    ),
    "other-browser": Occurrence(
        (400,),
        "a login by a link returned to a different browser, or to one without cookies",
    ),
    "other-issuer": Occurrence(
        (400,),
        "the callback's `iss` is not the provider's, or is missing though the provider always "
        "sends it. Or the callback is that of another client",
    ),
    "authorization-refused": Occurrence((400,), "the provider returned the browser with an error"),
    "code-refused": Occurrence((502,), "the provider refused to exchange the code for tokens"),
    "client-refused": Occurrence(
        (502,),
        "the provider refuses the client or the form of its request, or `TOKEN_ENDPOINT` is "
        "wrong (it redirects, or returns 404, 405 or 415); stored tokens are kept",
    ),
    "refused-without-reason": Occurrence(
        (502,),
        "the provider refuses to refresh, without a reason or with an unknown one; stored "
        "tokens are kept",
    ),
    "refused-for-now": Occurrence(
        (503,),
        "the provider refuses the refresh token while its access token is still valid. That may "
        "pass: one more try at the access token's expiry decides",
    ),
    "prefetch-refused": Occurrence(
        (503,),
        "the browser prefetched the callback; this used up nothing",
    ),
    "provider-unavailable": Occurrence(
        (503,),
        "the provider is unreachable, does not respond, or asks to wait, or a page replaced its "
        "response, as firewalls and captive portals send. Also if a callback is repeated while "
        "another request still completes its login",
    ),
    "refresh-in-progress": Occurrence(
        (503,),
        "another request is refreshing, and the provider is slow",
    ),
    "refresh-too-early": Occurrence(
        (503,),
        "an explicit refresh, and the provider refuses one until shortly before the access token "
        "expires (`REFRESH_ONLY_WITHIN`). `GET /api/token` returns the current token until then",
    ),
    "token-refused-again": Occurrence(
        (503,),
        "an API refused an access token (`refused`), and soon after the one that replaced it. The "
        "next refresh waits; without `refused`, the current token is returned",
    ),
    "settings-unavailable": Occurrence(
        (503,),
        "the AWS secret that holds the variables cannot be read now; it is retried",
    ),
    "too-many-failures": Occurrence(
        (429,),
        "too many requests from this address or with this API key failed, by errors of the "
        "caller; valid requests still work",
    ),
    "store-unavailable": Occurrence(
        (503,),
        "the store is unavailable, or its data is damaged; `detail` distinguishes them",
    ),
    "record-unreadable": Occurrence(
        (500,),
        "the stored record is damaged, or was encrypted with a key that is not in "
        "`ENCRYPTION_KEYS`",
    ),
    "not-configured": Occurrence(
        (500,),
        "a variable, the secret that holds the variables, or the metadata of `ISSUER` is "
        "missing or unusable; `detail` names it",
    ),
    "not-found": Occurrence((404,), "the path is not an endpoint"),
    "method-not-allowed": Occurrence(
        (405,),
        "the method is not allowed; `Allow` lists those that are",
    ),
    "unexpected": Occurrence((500,), "an error in the application; see its log"),
}
"""By type, without the prefix. The first table of `docs/problems.md` repeats it."""

PROBLEM_MEMBERS: Mapping[str, Mapping[str, Schema]] = {
    "authorization-required": {
        "cause": CAUSE,
        "login": LOGIN,
    },
    "connection-moved": {"moved_at": {"type": "string", "format": "date-time"}},
    "not-authorized": {
        "cause": CAUSE,
        "login": LOGIN,
        "state": {
            "type": "string",
            "enum": ["unauthorized", "authorization-required", "revoked", *STATES],
        },
    },
}
OPTIONAL_PROBLEM_MEMBERS: Mapping[str, Mapping[str, Schema]] = {
    "connection-moved": {
        **STATUS,
        **OPTIONAL_STATUS,
        "state": {"const": "moved"},
        "history": HISTORY,
    },
    "not-authorized": {
        "revoked_at": {"type": "string", "format": "date-time"},
        **{name: STATUS[name] for name in STATUS if name not in {"state", "cause"}},
        **OPTIONAL_STATUS,
        "history": HISTORY,
    },
}
_LOGIN_EXAMPLE: Mapping[str, object] = {
    "method": "POST",
    "url": "https://keeper.example/api/login",
    "link": "https://keeper.example/api/login?link=a-link",
    "link_expires_in": 86400,
}
_EXAMPLES: Mapping[str, Mapping[str, object]] = {
    "authorization-required": {
        "cause": "refresh-token-expired",
        "login": _LOGIN_EXAMPLE,
    },
    "connection-moved": {"moved_at": "2026-11-24T10:19:48Z"},
    "not-authorized": {
        "cause": "never-authorized",
        "login": _LOGIN_EXAMPLE,
        "state": "unauthorized",
    },
}


def problem_schemas() -> dict[str, Schema]:
    """Return the schema of each type of problem, by `component`."""
    return {component(name): _schema(name, of) for name, of in OCCURRENCES.items()}


def component(name: str) -> str:
    """Return the name of a problem's schema in the document."""
    return "".join(part.capitalize() for part in name.split("-")) + "Problem"


def _schema(name: str, occurrence: Occurrence) -> Schema:
    required: Mapping[str, Schema] = {
        "type": {"const": TYPE_PREFIX + name},
        "title": {"const": PROBLEMS[name][1]},
        "status": {"enum": list(occurrence.statuses)},
        "detail": {
            "type": "string",
            "minLength": 1,
            "description": "The explanation and the next step, for a person.",
        },
        "instance": {
            "type": "string",
            "pattern": f"^{INSTANCE_PREFIX}.",
            "description": "The request's id, as in the log.",
        },
        **PROBLEM_MEMBERS.get(name, {}),
    }
    optional = OPTIONAL_PROBLEM_MEMBERS.get(name, {})
    schema = object_with(required, occurrence.description, optional=optional)
    return {**schema, "examples": [_example(name, occurrence)]}


def _example(name: str, occurrence: Occurrence) -> dict[str, object]:
    return {
        "type": TYPE_PREFIX + name,
        "title": PROBLEMS[name][1],
        "status": occurrence.statuses[0],
        "detail": "The reason. The next step.",
        "instance": f"{INSTANCE_PREFIX}5f0c1d8e9a7b4c3d2e1f0a9b8c7d6e5f",
        **_EXAMPLES.get(name, {}),
    }

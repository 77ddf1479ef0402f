"""When each type of problem occurs, and its members beyond RFC 9457."""

from collections.abc import Mapping
from dataclasses import dataclass

from functions.endpoints.promises.operation import Schema
from functions.endpoints.promises.schemas import CAUSE, HISTORY, LOGIN, STANDING, STATES, closed
from functions.http.problems import INSTANCE_PREFIX, PROBLEMS, TYPE_PREFIX


@dataclass(frozen=True, slots=True)
class Occurrence:
    """When a problem occurs, in Markdown, and its statuses: the usual one first."""

    statuses: tuple[int, ...]
    when: str


OCCURRENCES: Mapping[str, Occurrence] = {
    "api-key-missing": Occurrence((401,), "the request carries no API key"),
    "api-key-invalid": Occurrence(
        (401,),
        "the API key is none of the deployment's, or has expired, or two different ones were sent",
    ),
    "key-not-allowed": Occurrence(
        (403,),
        "the API key is a good one, and not for this endpoint or this connection: its entry in "
        "`API_KEYS` says what it is for",
    ),
    "cron-secret-required": Occurrence(
        (401,),
        "the sweep was asked for without the deployment's `CRON_SECRET`, or with another",
    ),
    "connection-moved": Occurrence(
        (410,),
        "the connection was handed over to another deployment ([moving](moving.md)): ask there; "
        "coming back later is of no use",
    ),
    "authorization-required": Occurrence(
        (401,),
        "a person has to log in before there can be a token",
    ),
    "not-authorized": Occurrence(
        (404,),
        "`verify`: the refresh token has expired, was refused, or there is none, as after a "
        "revocation",
    ),
    "invalid-request": Occurrence(
        (400, 408, 413, 414, 431),
        "parameters, headers or body cannot be understood, are too large, or do not come in "
        "time; or parameters were sent in a body and not in the query",
    ),
    "invalid-state": Occurrence(
        (400,),
        "the callback's state is missing, unknown, expired or used, or its connection was "
        "revoked since the login began",
    ),
    "invalid-link": Occurrence(
        (400,),
        "the link to log in with was not made here, has expired, was used before, or was made "
        "before the connection was revoked; or another page than its own has sent it",
    ),
    "login-not-needed": Occurrence(
        (409,),
        "the link is good, but the connection works without a login; to replace it anyway takes "
        "the API key",
    ),
    "other-account": Occurrence(
        (409,),
        "another account logged in than the one whose login works and stays in force, or the "
        "provider did not say which, though it had before; `POST /api/login?replace=true` "
        "begins a login that changes the account",
    ),
    "other-browser": Occurrence(
        (400,),
        "a login that was begun by a link came back to another browser, or to one that keeps no "
        "cookies",
    ),
    "other-issuer": Occurrence(
        (400,),
        "the callback's `iss` is not the provider's, or is missing though the provider always "
        "sends it",
    ),
    "authorization-refused": Occurrence((400,), "the provider sent the browser back with an error"),
    "code-refused": Occurrence((502,), "the provider did not trade the code for tokens"),
    "client-refused": Occurrence(
        (502,),
        "the provider refuses the client or the form of its request, or `TOKEN_ENDPOINT` is not "
        "its address (it redirects, or answers 404, 405 or 415); what is stored is kept",
    ),
    "refused-without-reason": Occurrence(
        (502,),
        "the provider refuses to refresh, and does not say why or says it in words that are not "
        "known here; what is stored is kept",
    ),
    "refused-for-now": Occurrence(
        (503,),
        "the provider refuses the refresh token while the access token it issued before lives: "
        "that may pass, and one more try at its end decides",
    ),
    "prefetch-refused": Occurrence(
        (503,),
        "the browser asked for the callback ahead of its person; nothing was used up by it",
    ),
    "provider-unavailable": Occurrence(
        (503,),
        "the provider cannot be reached, does not answer, or asks for patience; or a page came "
        "in the place of its answer, as firewalls and captive portals send them",
    ),
    "refresh-in-progress": Occurrence(
        (503,),
        "another request is refreshing, and the provider takes its time",
    ),
    "settings-unavailable": Occurrence(
        (503,),
        "the secret that holds the variables, on AWS, cannot be read now; it is tried again",
    ),
    "too-many-failures": Occurrence(
        (429,),
        "too many requests from this address, or with this API key, were refused for the "
        "reasons above that are the caller's; good ones are answered all the same",
    ),
    "store-unavailable": Occurrence(
        (503,),
        "what is stored cannot be reached now; nothing is lost",
    ),
    "record-unreadable": Occurrence(
        (500,),
        "what is stored was sealed with a key that is not in the key ring, or is damaged",
    ),
    "not-configured": Occurrence(
        (500,),
        "a variable, or the secret that holds the variables, is missing or cannot be used, or "
        "what `ISSUER` publishes cannot; `detail` names it",
    ),
    "not-found": Occurrence((404,), "there is no such endpoint"),
    "method-not-allowed": Occurrence((405,), "`Allow` names the methods"),
    "unexpected": Occurrence((500,), "a fault of the application; its log says more"),
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
    "connection-moved": {**STANDING, "state": {"const": "moved"}, "history": HISTORY},
    "not-authorized": {
        "revoked_at": {"type": "string", "format": "date-time"},
        **{name: STANDING[name] for name in STANDING if name not in {"state", "cause"}},
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


def schemas() -> dict[str, Schema]:
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
    schema = closed(required, occurrence.when, optional=optional)
    return {**schema, "examples": [_example(name, occurrence)]}


def _example(name: str, occurrence: Occurrence) -> dict[str, object]:
    return {
        "type": TYPE_PREFIX + name,
        "title": PROBLEMS[name][1],
        "status": occurrence.statuses[0],
        "detail": "What happened. What to do.",
        "instance": f"{INSTANCE_PREFIX}5f0c1d8e9a7b4c3d2e1f0a9b8c7d6e5f",
        **_EXAMPLES.get(name, {}),
    }

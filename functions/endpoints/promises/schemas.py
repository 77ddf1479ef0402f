"""The documents that are answered, as JSON Schema, and what problems have beside RFC 9457's."""

from collections.abc import Mapping
from types import MappingProxyType

from domain.grant import Cause, Failure
from domain.ledger import LONGEST_SAID, MOST_ENTRIES, OUTCOMES, Happening
from domain.refusals import LONGEST_QUOTE
from domain.tokens import Freshness
from functions.endpoints.promises.operation import Schema

_COUNT: Schema = {"type": "integer", "minimum": 0}
_CAUSES = [cause.value for cause in Cause]
_FAILURES = [failure.value for failure in Failure]
_CAUSE: Schema = {
    "type": "string",
    "enum": _CAUSES,
    "description": "Why a person has to log in.",
}
_STATES = [freshness.value for freshness in Freshness]
_OUTCOMES = [
    "tokens",
    "in-progress",
    *_CAUSES,
    *_FAILURES,
]


def closed(
    properties: Mapping[str, Schema],
    description: str,
    *,
    optional: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """Describe an object that has all these members; later versions may add some."""
    return {
        "type": "object",
        "description": description,
        "required": list(properties),
        "properties": {**properties, **optional},
    }


def reference(name: str, **narrower: Schema) -> Schema:
    """Refer to one of SCHEMAS, with narrower schemas for some of its members."""
    found: Schema = {"$ref": f"#/components/schemas/{name}"}
    return {"allOf": [found, {"properties": narrower}]} if narrower else found


def _instant(description: str) -> Schema:
    return {"type": ["string", "null"], "format": "date-time", "description": description}


_LOGIN = closed(
    {
        "method": {"const": "POST"},
        "url": {
            "type": "string",
            "format": "uri-reference",
            "description": "Relative where the deployment's address is not known.",
        },
    },
    "What begins a login: a request, which wants an API key; or a link, which wants none. The link "
    "is there where the deployment's address is known, and for API keys that may begin logins.",
    optional={
        "link": {
            "type": "string",
            "format": "uri",
            "description": "For whoever is to log in, to open in a browser: good once. It belongs "
            "into no log.",
        },
        "link_expires_in": {**_COUNT, "description": "For how many seconds the link is good."},
    },
)
_SAID: Schema = {
    "type": "string",
    "maxLength": LONGEST_QUOTE,
    "description": "What came instead of tokens, in the provider's words where it said something: "
    "cut, and without secrets. There only where something was said.",
}
_STANDING: Mapping[str, Schema] = {
    "state": {"type": "string", "enum": _STATES, "description": "What the tokens are good for."},
    "generation": {
        **_COUNT,
        "description": "How many times the refresh token was replaced, by a refresh or a login.",
    },
    "access_token_expires_at": _instant("Null where it does not expire."),
    "refresh_token_expires_at": _instant("Null where there is none, or it does not expire."),
    "refresh_token_days_left": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "Whole days until a person has to log in again, if nothing refreshes.",
    },
    "last_refresh": closed(
        {
            "at": {"type": "string", "format": "date-time"},
            "outcome": {
                "type": "string",
                "enum": _OUTCOMES,
                "description": "`tokens`, `in-progress`, a cause, or a failure.",
            },
        },
        "The last attempt, or the login where there was none since.",
        optional={"said": _SAID},
    ),
    "next_try_at": _instant("When the provider is asked again after a failure."),
    "action_required": {
        "type": "boolean",
        "description": "What alarms should be set on: whether somebody has to do something, be it "
        "to log in, to mend the settings, or to see why refreshes have failed for an hour.",
    },
    "cause": {
        "type": ["string", "null"],
        "enum": [None, *_CAUSES, *_FAILURES],
        "description": "Why; null where nobody has to. `refresh-token-rejected` outside of a "
        "problem: the provider has refused the refresh token, and one more try at `next_try_at` "
        "decides.",
    },
}

_HISTORY = reference("History")

SCHEMAS: Mapping[str, Schema] = {
    "Health": closed({"status": {"const": "ok"}}, "A sign of life."),
    "Token": closed(
        {
            "access_token": {"type": "string", "minLength": 1},
            "token_type": {
                "type": "string",
                "minLength": 1,
                "description": "How to send it: `Bearer`, or what the provider calls it.",
            },
            "expires_in": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Seconds it still lives; null where it does not expire.",
            },
            "expires_at": _instant("When it expires; null where it does not."),
            "scope": {
                "type": ["string", "null"],
                "description": "What it is good for, where the provider or SCOPE says so.",
            },
        },
        "An access token that works now. Never the refresh token.",
    ),
    "Standing": closed(
        _STANDING, "How the tokens of a connection stand.", optional={"history": _HISTORY}
    ),
    "History": {
        "type": "array",
        "maxItems": MOST_ENTRIES,
        "description": "What has become of the connection lately, newest first; there where it is "
        "asked for.",
        "items": closed(
            {
                "at": {"type": "string", "format": "date-time"},
                "event": {"type": "string", "enum": [happening.value for happening in Happening]},
                "generation": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "description": "That of the tokens it is about; null where there are none.",
                },
                "key": {
                    "type": ["string", "null"],
                    "description": "The name of the API key on whose request it happened. Null "
                    "where none was shown, as by a callback, the sweep or an operator, and where "
                    "it is not known.",
                },
                "outcome": {
                    "type": "string",
                    "enum": list(OUTCOMES),
                    "description": "`tokens`, `done`, a cause, or a failure.",
                },
            },
            "One thing that happened.",
            optional={"said": {**_SAID, "maxLength": LONGEST_SAID}},
        ),
    },
    "BegunLogin": closed(
        {
            "authorization_url": {
                "type": "string",
                "format": "uri",
                "description": "To be opened in a browser, once.",
            },
            "expires_in": {**_COUNT, "description": "For how many seconds it is good."},
        },
        "Where to log in.",
    ),
    "CompletedLogin": closed(
        {
            "status": {"const": "authorized"},
            "detail": {"type": "string", "description": "What that means, for a person."},
        },
        "A login that worked.",
        optional={
            "connection": {
                "type": "string",
                "description": "Not told to another browser that brings the same redirect.",
            }
        },
    ),
    "SweepReport": closed(
        {
            "refreshed": _COUNT,
            "skipped": {**_COUNT, "description": "Somebody else is at these."},
            "failed": {**_COUNT, "description": "`verify` and the log say why."},
            "is_complete": {
                "type": "boolean",
                "description": "False where time did not suffice; the next sweep goes on.",
            },
        },
        "What came of those connections that were due.",
    ),
}

# By type of problem: the members it has, and those that it may have.
PROBLEM_MEMBERS: Mapping[str, Mapping[str, Schema]] = {
    "authorization-required": {
        "cause": _CAUSE,
        "login": _LOGIN,
    },
    "connection-moved": {"moved_at": {"type": "string", "format": "date-time"}},
    "not-authorized": {
        "cause": _CAUSE,
        "login": _LOGIN,
        "state": {
            "type": "string",
            "enum": ["unauthorized", "authorization-required", "revoked", *_STATES],
        },
    },
}
OPTIONAL_PROBLEM_MEMBERS: Mapping[str, Mapping[str, Schema]] = {
    "connection-moved": {**_STANDING, "state": {"const": "moved"}, "history": _HISTORY},
    "not-authorized": {
        "revoked_at": {"type": "string", "format": "date-time"},
        **{name: _STANDING[name] for name in _STANDING if name not in {"state", "cause"}},
        "history": _HISTORY,
    },
}
_LOGIN_EXAMPLE: Mapping[str, object] = {
    "method": "POST",
    "url": "https://keeper.example/api/login",
    "link": "https://keeper.example/api/login?link=a-link",
    "link_expires_in": 86400,
}
# Of the types with members of their own: an example of these.
PROBLEM_EXAMPLES: Mapping[str, Mapping[str, object]] = {
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
STANDING_EXAMPLE: Mapping[str, object] = {
    "state": "fresh",
    "generation": 7,
    "access_token_expires_at": "2026-11-24T10:49:48Z",
    "refresh_token_expires_at": "2027-02-22T10:19:48Z",
    "refresh_token_days_left": 89,
    "last_refresh": {"at": "2026-11-24T10:19:48Z", "outcome": "tokens"},
    "next_try_at": None,
    "action_required": False,
    "cause": None,
}

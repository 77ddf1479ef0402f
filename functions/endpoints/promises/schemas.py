"""The responses as JSON Schema."""

from collections.abc import Mapping
from types import MappingProxyType

from domain.error_meanings import LONGEST_QUOTE
from domain.grant import Cause, Failure
from domain.ledger import LONGEST_HISTORY_QUOTE, MAX_ENTRIES, HistoryEvent
from domain.outcomes import OUTCOMES
from domain.provider import GrantType
from domain.tokens import Freshness
from functions.endpoints.overview import (
    LISTED_FAULTS,
    MOST_RECORDS,
    NOT_CONFIGURED,
    UNREADABLE,
)
from functions.endpoints.promises.operation import Schema

_COUNT: Schema = {"type": "integer", "minimum": 0}
_CAUSES = [cause.value for cause in Cause]
_FAILURES = [failure.value for failure in Failure]
CAUSE: Schema = {
    "type": "string",
    "enum": _CAUSES,
    "description": "Why a login is required.",
}
STATES = [freshness.value for freshness in Freshness]
_OUTCOMES = [
    "tokens",
    "in-progress",
    *_CAUSES,
    *_FAILURES,
]


def object_with(
    properties: Mapping[str, Schema],
    description: str,
    *,
    optional: Mapping[str, Schema] = MappingProxyType({}),
) -> Schema:
    """Describe an object with all these members; later versions may add some."""
    return {
        "type": "object",
        "description": description,
        "required": list(properties),
        "properties": {**properties, **optional},
    }


def reference(name: str, **narrower: Schema) -> Schema:
    """Refer to one of SCHEMAS, with narrower schemas for some members."""
    found: Schema = {"$ref": f"#/components/schemas/{name}"}
    return {"allOf": [found, {"properties": narrower}]} if narrower else found


def _instant(description: str) -> Schema:
    return {"type": ["string", "null"], "format": "date-time", "description": description}


LOGIN = object_with(
    {
        "method": {"const": "POST"},
        "url": {
            "type": "string",
            "format": "uri-reference",
            "description": "Relative if PUBLIC_URL is not set.",
        },
    },
    "How to log in: by a request with an API key, or by a link without one. The link requires "
    "PUBLIC_URL, and an API key that is allowed for login.",
    optional={
        "link": {
            "type": "string",
            "format": "uri",
            "description": "Login link for a person without an API key. Single use, 24 hours. Keep "
            "it out of logs.",
        },
        "link_expires_in": {**_COUNT, "description": "Seconds until the link expires."},
    },
)
_SAID: Schema = {
    "type": "string",
    "maxLength": LONGEST_QUOTE,
    "description": "The provider's error, or the reason why it gave no answer, shortened and "
    "without secrets. Missing if there is none.",
}
STATUS: Mapping[str, Schema] = {
    "state": {"type": "string", "enum": STATES, "description": "The state of the tokens."},
    "generation": {
        **_COUNT,
        "description": "How many times a refresh or a login replaced the refresh token. A refresh "
        "that an API's refusal caused (`refused`) counts in any case.",
    },
    "access_token_expires_at": _instant("Null if it does not expire."),
    "refresh_token_expires_at": _instant("Null if there is none, or its expiry is unknown."),
    "refresh_token_days_left": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "Whole days until a login is required, without further refreshes.",
    },
    "login_expires_at": _instant(
        "When a login is required at the latest: no refresh extends it. Null if there is no such "
        "limit, or it is unknown."
    ),
    "last_refresh": object_with(
        {
            "at": {"type": "string", "format": "date-time"},
            "outcome": {
                "type": "string",
                "enum": _OUTCOMES,
                "description": "`tokens`, `in-progress`, a cause, or a failure.",
            },
        },
        "The last refresh, or the login if there was none since.",
        optional={"said": _SAID},
    ),
    "next_try_at": _instant("The next refresh after a failure; null without one."),
    "action_required": {
        "type": "boolean",
        "description": "Whether a person must act: log in, correct the settings, or find out why "
        "refreshes have failed for an hour. Set alarms on it.",
    },
    "cause": {
        "type": ["string", "null"],
        "enum": [None, *_CAUSES, *_FAILURES],
        "description": "Why `action_required` is true; null if it is false. With 200 or 202, "
        "`refresh-token-rejected` means that the provider refused the refresh token, and that the "
        "try at `next_try_at` is the last.",
    },
}

_OF_TOKENS = STATUS.keys() - {"state", "action_required", "cause"}
_GRANT: Schema = {
    "type": "string",
    "enum": [grant_type.value for grant_type in GrantType],
    "description": "How the tokens are requested. Only with GRANT=client_credentials.",
}
HISTORY = reference("History")
OPTIONAL_STATUS: Mapping[str, Schema] = {
    "missing_scopes": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Scopes that were requested and not granted. Only with tokens, and if SCOPE "
        "is set.",
    },
    "account": {
        "type": "string",
        "description": "The account: its email address, user name or name. Only if the provider "
        "sends one in an `id_token`.",
    },
}
_EXTRA: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "description": "Members of the provider's responses that API calls require, such as "
    "`instance_url`, by RESPONSE_MEMBERS and CALLBACK_MEMBERS. Missing if there are none.",
}

SCHEMAS: Mapping[str, Schema] = {
    "Health": object_with({"status": {"const": "ok"}}, "The deployment is up."),
    "Token": object_with(
        {
            "access_token": {"type": "string", "minLength": 1},
            "token_type": {
                "type": "string",
                "minLength": 1,
                "description": "The authentication scheme, usually `Bearer`.",
            },
            "expires_in": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Seconds until it expires; null if it does not.",
            },
            "expires_at": _instant("When it expires; null if it does not."),
            "scope": {
                "type": ["string", "null"],
                "description": "Its scope, from the provider or SCOPE; null if unknown.",
            },
            "generation": {
                **_COUNT,
                "description": "As in `verify`. Send it as `refused` if an API refuses this token.",
            },
            "ask_again_in": {
                "type": ["integer", "null"],
                "minimum": 1,
                "description": "Seconds until it pays to ask again: there is no other token "
                "before. Null if this one does not expire.",
            },
        },
        "A valid access token, without the refresh token.",
        optional={"extra": _EXTRA},
    ),
    "Standing": object_with(
        STATUS,
        "The status of a connection.",
        optional={**OPTIONAL_STATUS, "grant": _GRANT, "history": HISTORY},
    ),
    "WithoutToken": object_with(
        {
            "state": {"type": "string", "enum": ["unauthorized", "revoked"]},
            "grant": {"const": GrantType.CLIENT_CREDENTIALS.value},
            **{name: STATUS[name] for name in ("action_required", "cause")},
        },
        "The status of a connection that needs no login, and has no token yet.",
        optional={
            **{name: STATUS[name] for name in ("last_refresh", "next_try_at")},
            "revoked_at": {"type": "string", "format": "date-time"},
            "history": HISTORY,
        },
    ),
    "Connections": object_with(
        {
            "connections": {
                "type": "array",
                "maxItems": MOST_RECORDS,
                "items": reference("Connection"),
                "description": "Those that need a person first, then those whose refreshes fail, "
                "then by the first expiry that can require a login. Unused and revoked ones last.",
            },
            "next": {
                "type": ["string", "null"],
                "description": "The `after` of the next page; null on the last one. The header "
                "`Link` has the whole URL.",
            },
        },
        "A page of connections.",
    ),
    "Connection": object_with(
        {
            "connection": {"type": "string"},
            "client": {
                "type": ["string", "null"],
                "description": "Its client in CLIENTS; null for the unnamed one.",
            },
            "provider": {
                "type": ["string", "null"],
                "description": "The provider, such as `digikey`; null if the client is unusable.",
            },
            "state": {
                "type": "string",
                "enum": [
                    *STATES,
                    *("authorization-required", "unauthorized", "revoked", "moved"),
                    *(UNREADABLE, NOT_CONFIGURED),
                ],
                "description": "As in `verify`. `unreadable`: the stored record cannot be read. "
                "`not-configured`: the client is unknown, or has invalid settings.",
            },
            "action_required": STATUS["action_required"],
            "cause": {
                **STATUS["cause"],
                "enum": [None, *_CAUSES, *_FAILURES, *LISTED_FAULTS],
                "description": "Why `action_required` is true; null if it is false.",
            },
        },
        "One connection, with the members of `verify`.",
        optional={
            **{name: each for name, each in STATUS.items() if name in _OF_TOKENS},
            **OPTIONAL_STATUS,
            "grant": _GRANT,
            "moved_at": {"type": "string", "format": "date-time"},
            "revoked_at": {"type": "string", "format": "date-time"},
            "fault": {
                "type": "string",
                "description": "The fault of the record or of the client. Only with the states "
                "`unreadable` and `not-configured`.",
            },
        },
    ),
    "History": {
        "type": "array",
        "maxItems": MAX_ENTRIES,
        "description": "The last events of the connection, newest first; only with history=1.",
        "items": object_with(
            {
                "at": {"type": "string", "format": "date-time"},
                "event": {"type": "string", "enum": [event.value for event in HistoryEvent]},
                "generation": {
                    "type": ["integer", "null"],
                    "minimum": 0,
                    "description": "The generation of its tokens; null without tokens.",
                },
                "key": {
                    "type": ["string", "null"],
                    "description": "The name of the API key of the request, followed by the "
                    "subject of an identity token in parentheses. Null for callbacks, the sweep "
                    "and operator commands, and if unknown.",
                },
                "outcome": {
                    "type": "string",
                    "enum": list(OUTCOMES),
                    "description": "`tokens`, `tokens-of-another-account`, `done`, "
                    "`not-supported`, a cause, or a failure.",
                },
            },
            "One event.",
            optional={"said": {**_SAID, "maxLength": LONGEST_HISTORY_QUOTE}},
        ),
    },
    "BegunLogin": object_with(
        {
            "authorization_url": {
                "type": "string",
                "format": "uri",
                "description": "Open it in a browser, once.",
            },
            "expires_in": {**_COUNT, "description": "Seconds until it expires."},
        },
        "The URL to log in at.",
    ),
    "CompletedLogin": object_with(
        {
            "status": {"const": "authorized"},
            "detail": {
                "type": "string",
                "description": "The explanation and the next step, for a person.",
            },
        },
        "A completed login.",
        optional={
            "connection": {
                "type": "string",
                "description": "Missing in the response to another browser.",
            }
        },
    ),
    "SweepReport": object_with(
        {
            "refreshed": _COUNT,
            "skipped": {
                **_COUNT,
                "description": "Another request refreshes them, or they changed meanwhile and need "
                "no refresh.",
            },
            "failed": {**_COUNT, "description": "`verify` and the log have the reasons."},
            "left": {
                **_COUNT,
                "description": "Their provider is away or refuses their client, by ten failures in "
                "a row.",
            },
            "is_complete": {
                "type": "boolean",
                "description": "False if time ran out, or if connections were left; the next sweep "
                "continues.",
            },
        },
        "The counts of the connections that were due. Sweeps that run at the same time share them.",
    ),
}

STATUS_EXAMPLE: Mapping[str, object] = {
    "state": "fresh",
    "generation": 7,
    "access_token_expires_at": "2026-11-24T10:49:48Z",
    "refresh_token_expires_at": "2027-02-22T10:19:48Z",
    "refresh_token_days_left": 89,
    "login_expires_at": None,
    "last_refresh": {"at": "2026-11-24T10:19:48Z", "outcome": "tokens"},
    "next_try_at": None,
    "action_required": False,
    "cause": None,
}

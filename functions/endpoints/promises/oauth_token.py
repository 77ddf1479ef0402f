"""The interface of `functions.endpoints.oauth_token`."""

from collections.abc import Mapping

from functions.access.token_requests import GRANT_TYPES
from functions.endpoints.promises.operation import (
    CONNECTION,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
    Schema,
)
from functions.endpoints.promises.schemas import object_with
from functions.endpoints.promises.token import MIN_TTL
from functions.routes import TOKEN_URL

_FIELDS: Mapping[str, Schema] = {
    "grant_type": {"type": "string", "enum": list(GRANT_TYPES)},
    "client_id": {
        "type": "string",
        "description": "Any name. A client of the deployment, or one of its accounts, stands for "
        "that connection, unless the URL has one.",
    },
    "client_secret": {
        "type": "string",
        "description": "The API key, with `client_credentials`, unless `Authorization` has it.",
    },
    "refresh_token": {"type": "string", "description": "The API key, with `refresh_token`."},
    "scope": {
        "type": "string",
        "description": "Scopes that the token must have. Default: all that were granted.",
    },
}
_FORM: Schema = {
    "schema": {
        "type": "object",
        "required": ["grant_type"],
        "properties": _FIELDS,
        # A name that is repeated is refused, and a list would be.
        "additionalProperties": {"type": "string"},
        "description": "Other parameters are ignored.",
    },
    "example": {
        "grant_type": "client_credentials",
        "client_id": "a-client",
        "client_secret": "an-api-key",
    },
}
_MEMBERS = object_with(
    {
        "access_token": {"type": "string", "minLength": 1},
        "token_type": {
            "type": "string",
            "minLength": 1,
            "description": "The authentication scheme, usually `Bearer`.",
        },
    },
    "A valid access token. The members that an API requires, such as `instance_url`, are next to "
    "it, by RESPONSE_MEMBERS and CALLBACK_MEMBERS.",
    optional={
        "expires_in": {
            "type": "integer",
            "minimum": 1,
            "description": "Seconds until it expires, at least 1. Missing if it does not.",
        },
        "scope": {
            "type": "string",
            "description": "Its scope, from the provider or SCOPE. Missing if unknown.",
        },
        "refresh_token": {
            "type": "string",
            "description": "The API key again, with `grant_type=refresh_token`.",
        },
    },
)
_TOKEN: Schema = {
    **_MEMBERS,
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
_POST = Operation(
    id="postTokenRequest",
    summary="Get a valid access token by OAuth 2.0",
    description="The token of GET /api/token, for programs that have a token URL (RFC 6749 §3.2). "
    "The API key is the client secret (`client_credentials`) or the refresh token "
    "(`refresh_token`). It needs the endpoint `token`.",
    key=Key.CLIENT_SECRET,
    parameters=(CONNECTION, MIN_TTL),
    body={"application/x-www-form-urlencoded": _FORM},
    answers={
        200: Answer(
            description="The token.",
            schema=_TOKEN,
            example={
                "access_token": "an-access-token",
                "token_type": "Bearer",
                "expires_in": 1799,
                "scope": "read",
            },
        )
    },
    own_problems=TOKEN_PROBLEMS,
    oauth_errors={
        "invalid_scope": "the scope is malformed, or the provider did not grant all of it",
        "unsupported_grant_type": "the grant type is another one",
    },
)

OPERATIONS: Operations = {TOKEN_URL: {"POST": _POST}}

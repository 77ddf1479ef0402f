"""The interface of `functions.endpoints.adopt`."""

from collections.abc import Mapping

from functions.endpoints.promises.operation import (
    CONNECTION,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
    Schema,
)
from functions.endpoints.promises.schemas import (
    OPTIONAL_STATUS,
    STATUS,
    STATUS_EXAMPLE,
    object_with,
)
from functions.login.adoptions import STOP_USING

_REFRESH_TOKEN: Schema = {
    "type": "string",
    "pattern": "^[!-~]+$",
    "maxLength": 8192,
    "description": "The refresh token, as the provider issued it.",
}
_MEMBERS: Mapping[str, Schema] = {
    "refresh_token": _REFRESH_TOKEN,
    "scope": {
        "type": "string",
        "pattern": "^[a-z:/._-]+( [a-z:/._-]+)*$",
        "description": "The scope that it was issued for. Default: the client's.",
    },
    "id_token": {
        "type": "string",
        "description": "An ID token of the same login. Its account is compared with the "
        "connection's.",
    },
}
_BODY: Schema = {
    "type": "object",
    "required": ["refresh_token"],
    "properties": _MEMBERS,
    "description": "Other members are ignored: a refresh replaces the access token at once.",
}
_MEMBERS_CONTENT: Schema = {"schema": _BODY, "example": {"refresh_token": "a-refresh-token"}}
# A name that is repeated is refused, and a list would be.
_FORM_CONTENT: Schema = {
    **_MEMBERS_CONTENT,
    "schema": {**_BODY, "additionalProperties": {"type": "string"}},
}
_ADOPT = Operation(
    id="adoptTokens",
    summary="Adopt a refresh token that another program got",
    description="Stores the refresh token and proves it by one refresh. The earlier grant stays "
    "until then. The key needs the endpoint `login`. The same token again continues an interrupted "
    "adoption. Stop the other program from using the token.",
    key=Key.API_KEY,
    parameters=(
        CONNECTION,
        Parameter(
            name="replace",
            description="Whether to replace a grant that works, or one of another account. Default "
            "false.",
            schema={"type": "string", "enum": ["true", "false"], "default": "false"},
            example="false",
        ),
    ),
    body={
        "application/json": _MEMBERS_CONTENT,
        "application/x-www-form-urlencoded": _FORM_CONTENT,
        "text/plain": {"schema": _REFRESH_TOKEN, "example": "a-refresh-token"},
    },
    answers={
        200: Answer(
            description="The tokens are adopted: the connection's status after the refresh.",
            schema=object_with(
                {
                    **STATUS,
                    "detail": {"type": "string", "description": "The next step, for a person."},
                },
                "The connection's status, and the next step.",
                optional=OPTIONAL_STATUS,
            ),
            example={**STATUS_EXAMPLE, "detail": STOP_USING},
        )
    },
    own_problems=(
        "adoption-refused",
        "connection-in-use",
        "login-not-needed",
        "other-account",
        *TOKEN_PROBLEMS,
    ),
)

OPERATIONS: Operations = {"/api/adopt": {"POST": _ADOPT}}

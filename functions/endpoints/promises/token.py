"""The interface of `functions.endpoints.token`."""

from functions.endpoints.promises.operation import (
    CONNECTION,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import reference

MIN_TTL = Parameter(
    name="min_ttl",
    description="Minimum seconds until the token expires. Default 60; values above half of the "
    "token's lifetime count as that half. The rest of a token is enough while the provider refuses "
    "to refresh it (`REFRESH_ONLY_WITHIN`).",
    schema={"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 60},
    example=300,
)
_REFUSED = Parameter(
    name="refused",
    description="The `generation` of an access token that an API has refused. Returns a token of "
    "another generation; refreshes first, if the stored token is of this one. All callers share "
    "that refresh. If the API refuses the new token, too, the next refresh waits 10 s, then twice "
    "as long each time, up to 5 minutes: `token-refused-again`.",
    schema={"type": "integer", "minimum": 0, "maximum": 999_999_999},
    example=None,
)
_TOKEN = Operation(
    id="getToken",
    summary="Get a valid access token",
    description="Returns the stored token while it is fresh, with one read of the store. Otherwise "
    "refreshes it first; all callers share one refresh. Never returns the refresh token. With "
    "`Accept: text/plain` it returns the access token alone, and errors as one line of text.",
    key=Key.API_KEY_OR_BASIC,
    parameters=(CONNECTION, MIN_TTL, _REFUSED),
    answers={
        200: Answer(
            description="The token.",
            schema=reference("Token"),
            example={
                "access_token": "an-access-token",
                "token_type": "Bearer",
                "expires_in": 1799,
                "expires_at": "2026-11-24T10:49:48Z",
                "scope": None,
                "generation": 7,
                "ask_again_in": 1499,
                "extra": {"instance_url": "https://instance.example"},
            },
            text="The access token and a line feed.",
        )
    },
    own_problems=(*TOKEN_PROBLEMS, "token-refused-again"),
    has_error_texts=True,
)

OPERATIONS: Operations = {"/api/token": {"GET": _TOKEN}}

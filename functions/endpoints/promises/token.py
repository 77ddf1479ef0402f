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
_TOKEN = Operation(
    id="getToken",
    summary="Get a valid access token",
    description="Returns the stored token while it is fresh, with one read of the store. Otherwise "
    "refreshes it first; all callers share one refresh. Never returns the refresh token.",
    key=Key.API_KEY,
    parameters=(CONNECTION, MIN_TTL),
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
                "extra": {"instance_url": "https://instance.example"},
            },
        )
    },
    own_problems=TOKEN_PROBLEMS,
)

OPERATIONS: Operations = {"/api/token": {"GET": _TOKEN}}

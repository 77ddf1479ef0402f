"""The interface of the endpoints `token`, `verify` and `health`."""

from functions.endpoints.promises.operation import (
    CONNECTION,
    STORE_PROBLEMS,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import STANDING_EXAMPLE, reference

_MIN_TTL = Parameter(
    name="min_ttl",
    description="Minimum seconds until the token expires. Default 60; values above half of the "
    "token's lifetime count as that half.",
    schema={"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 60},
    example=300,
)
_HISTORY = Parameter(
    name="history",
    description="1 adds the last events of the connection. Default 0.",
    schema={"type": "integer", "enum": [0, 1], "default": 0},
    example=1,
)
_HEALTH = Operation(
    id="checkHealth",
    summary="Check that the deployment is up",
    description="Checks the settings, but neither the store nor the provider.",
    key=Key.NONE,
    answers={200: Answer(description="Up.", schema=reference("Health"), example={"status": "ok"})},
    open_parameters=True,
)
_TOKEN = Operation(
    id="getToken",
    summary="Get a valid access token",
    description="Returns the stored token while it is fresh, with one read of the store. Otherwise "
    "refreshes it first; all callers share one refresh. Never returns the refresh token.",
    key=Key.API_KEY,
    parameters=(CONNECTION, _MIN_TTL),
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
            },
        )
    },
    own_problems=TOKEN_PROBLEMS,
)
_VERIFY = Operation(
    id="verifyConnection",
    summary="Get the status of a connection",
    description="Reads the store only. For monitoring: `action_required` says whether somebody "
    "must act, `cause` why, and `refresh_token_days_left` how soon a login is required.",
    key=Key.API_KEY,
    parameters=(CONNECTION, _HISTORY),
    answers={
        200: Answer(
            description="The access token and the refresh token are valid.",
            schema=reference("Standing", state={"const": "fresh"}),
            example=STANDING_EXAMPLE,
        ),
        202: Answer(
            description="The access token has expired, and can be refreshed.",
            schema=reference("Standing", state={"const": "access-expired"}),
            example={**STANDING_EXAMPLE, "state": "access-expired"},
        ),
    },
    own_problems=("not-authorized", "connection-moved", *STORE_PROBLEMS),
)

OPERATIONS: Operations = {
    "/api/health": {"GET": _HEALTH},
    "/api/token": {"GET": _TOKEN},
    "/api/verify": {"GET": _VERIFY},
}

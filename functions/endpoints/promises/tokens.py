"""What the endpoints `token`, `verify` and `health` promise."""

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
    description="How many seconds the token is to live at least; half of a token's life at most "
    "is given. Without it 60.",
    schema={"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 60},
    example=300,
)
_HISTORY = Parameter(
    name="history",
    description="1 for what has become of the connection lately as well.",
    schema={"type": "integer", "enum": [0, 1], "default": 0},
    example=1,
)
_HEALTH = Operation(
    id="checkHealth",
    summary="Tell whether the deployment is alive",
    description="Alive, and configured. The store and the provider are not asked.",
    key=Key.NONE,
    answers={
        200: Answer(description="Alive.", schema=reference("Health"), example={"status": "ok"})
    },
    open_parameters=True,
)
_TOKEN = Operation(
    id="getToken",
    summary="Get an access token that works now",
    description="While the stored token is fresh, the answer costs one read of the store. Else it "
    "is refreshed first, once for all who ask at the same time. The refresh token is never told.",
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
    summary="Tell how the tokens of a connection stand",
    description="Asks the store only. What monitoring should look at: `action_required` says "
    "whether somebody has to do something and `cause` why, `refresh_token_days_left` how long a "
    "login is still off.",
    key=Key.API_KEY,
    parameters=(CONNECTION, _HISTORY),
    answers={
        200: Answer(
            description="The access token and the refresh token are good.",
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

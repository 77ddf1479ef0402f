"""The interface of `functions.endpoints.verify`."""

from functions.endpoints.promises.operation import (
    CONNECTION,
    STORE_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
    Parameter,
)
from functions.endpoints.promises.schemas import STATUS_EXAMPLE, reference

_HISTORY = Parameter(
    name="history",
    description="1 adds the last events of the connection. Default 0.",
    schema={"type": "integer", "enum": [0, 1], "default": 0},
    example=1,
)
_VERIFY = Operation(
    id="verifyConnection",
    summary="Get the status of a connection",
    description="Does not ask the provider. For monitoring: `action_required` states whether a "
    "person must act, `cause` why, and `refresh_token_days_left` how soon a login is required.",
    key=Key.API_KEY_OR_BASIC,
    parameters=(CONNECTION, _HISTORY),
    answers={
        200: Answer(
            description="The access token is valid, and no login is required.",
            schema=reference("Standing", state={"const": "fresh"}),
            example=STATUS_EXAMPLE,
        ),
        202: Answer(
            description="The access token has expired, and can be refreshed. With "
            "GRANT=client_credentials also if there is none yet.",
            schema={
                "anyOf": [
                    reference("Standing", state={"const": "access-expired"}),
                    reference("WithoutToken"),
                ]
            },
            example={**STATUS_EXAMPLE, "state": "access-expired"},
        ),
    },
    own_problems=("not-authorized", "connection-moved", *STORE_PROBLEMS),
)

OPERATIONS: Operations = {"/api/verify": {"GET": _VERIFY}}

"""The interface of `functions.endpoints.refresh`."""

from dataclasses import replace

from functions.endpoints.promises.operation import (
    CONNECTION,
    TOKEN_PROBLEMS,
    Answer,
    Key,
    Operation,
    Operations,
)
from functions.endpoints.promises.schemas import STATUS_EXAMPLE, reference
from functions.endpoints.promises.sweep import SWEEP

_REFRESH = Operation(
    id="refreshConnection",
    summary="Refresh the tokens of a connection now",
    description="An explicit refresh always refreshes, unless one finished in the last 10 seconds, "
    "whose result is returned. A provider may refuse one until shortly before the access token "
    "expires (`REFRESH_ONLY_WITHIN`): then the answer is `refresh-too-early`.",
    key=Key.API_KEY,
    parameters=(CONNECTION,),
    answers={
        200: Answer(
            description="The connection's status after the refresh.",
            schema=reference("Standing"),
            example=STATUS_EXAMPLE,
        )
    },
    own_problems=TOKEN_PROBLEMS,
)

OPERATIONS: Operations = {
    "/api/refresh": {
        "GET": replace(
            SWEEP,
            id="sweepByFormerPath",
            description="The same as GET /api/sweep, for existing schedules.",
            is_deprecated=True,
        ),
        "POST": _REFRESH,
    },
}
